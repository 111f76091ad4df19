// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package serving_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/condition"
	"fairlead.dev/services/internal/kube"
	"fairlead.dev/services/internal/lease"
	"fairlead.dev/services/internal/rpc"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/store/etcdtest"
	"fairlead.dev/services/serving"
	"fairlead.dev/services/serving/router"
)

// replica is one of several serving processes, reached over TCP, with a line to etcd that can be cut.
type replica struct {
	address string
	line    *etcdtest.Proxy
	member  *lease.Member
	kube    *kube.Client
	grpc    *grpc.Server
	stop    func()
}

// leads tells whether the replica leads.
func (r *replica) leads() bool {
	_, self, ok := r.member.Group("serving-leader", 1).Holder(0)
	return ok && self
}

// dialPeer connects as clients and other replicas do.
func dialPeer(address string) (grpc.ClientConnInterface, error) {
	return grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithStreamInterceptor(withToken))
}

func startReplica(t *testing.T, id string, etcd string, config *rest.Config, cfg serving.Config, installation string, log *slog.Logger) *replica {
	t.Helper()
	r := &replica{line: etcdtest.NewProxy(t, etcd)}
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{r.line.Endpoint()}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.New(client, store.Options{CompactionInterval: -1, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if r.kube, err = kube.NewClient(config, kube.Options{Installation: installation, Component: "fairlead", SystemNamespace: "default", Log: log}); err != nil {
		t.Fatal(err)
	}
	l := listen(t, "127.0.0.1:0")
	r.address = l.Addr().String()
	if r.member, err = lease.New(client, lease.Options{ID: id, Address: r.address, Log: log}); err != nil {
		t.Fatal(err)
	}
	var conns sync.Map
	srv, err := serving.New(cfg, serving.Deps{Store: s, Kube: r.kube, Log: log.With("replica", id), Lease: r.member, Dial: func(address string) (grpc.ClientConnInterface, error) {
		conn, err := dialPeer(address)
		if err == nil {
			conns.Store(conn, true)
		}
		return conn, err
	}})
	if err != nil {
		t.Fatal(err)
	}
	if r.grpc, err = rpc.NewServer(rpc.Config{Authn: anybody{}, Authz: anybody{}}); err != nil {
		t.Fatal(err)
	}
	if err := srv.Register(r.grpc); err != nil {
		t.Fatal(err)
	}
	state, endState := context.WithCancel(context.Background())
	work, endWork := context.WithCancel(context.Background())
	var stateParts, workParts sync.WaitGroup
	run := func(wg *sync.WaitGroup, ctx context.Context, what string, f func(context.Context) error) {
		wg.Go(func() {
			if err := f(ctx); err != nil {
				t.Errorf("%s of %s: %v", what, id, err)
			}
		})
	}
	run(&stateParts, state, "kube", r.kube.Run)
	run(&stateParts, state, "store", s.Run)
	run(&stateParts, state, "lease", r.member.Run)
	run(&workParts, work, "serving", srv.Run)
	run(&stateParts, state, "grpc", func(context.Context) error { return r.grpc.Serve(l) })
	r.stop = sync.OnceFunc(func() {
		endWork()
		workParts.Wait()
		r.grpc.Stop()
		endState()
		stateParts.Wait()
		conns.Range(func(conn, _ any) bool { _ = conn.(*grpc.ClientConn).Close(); return true })
		_ = client.Close()
	})
	t.Cleanup(r.stop)
	return r
}

// TestLeaderIsReplaced has two replicas, and a router that knows only the one that does not lead. The leader is cut off from
// etcd and from everybody, as one that is paused or killed: the other takes over, no pod goes, no request fails. When the
// first wakes up, it does no harm.
func TestLeaderIsReplaced(t *testing.T) {
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("FAIRLEAD_CLUSTER_KUBECONFIG"))
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
	cfg := serving.DefaultConfig()
	cfg.Autoscaler.ScaleToZeroGrace = 2 * time.Second
	cfg.DrainDelay = time.Second
	etcd := etcdtest.StartEmbedded(t, t.TempDir()).Endpoints()[0]
	installation := fmt.Sprintf("test-%d", time.Now().UnixNano())

	first := startReplica(t, "first", etcd, config, cfg, installation, log)
	eventually(t, "the first leads", first.leads)
	second := startReplica(t, "second", etcd, config, cfg, installation, log)
	namespace := newNamespace(t, second.kube)
	conn, err := dialPeer(second.address)
	if err != nil {
		t.Fatal(err)
	}
	rt, err := router.New(router.DefaultConfig(), conn, log, nil)
	if err != nil {
		t.Fatal(err)
	}
	outside := listen(t, "127.0.0.1:0")
	ctx, cancel := context.WithCancel(context.Background())
	routed := make(chan error, 1)
	go func() { routed <- rt.Run(ctx, outside) }()
	defer func() {
		cancel()
		if err := <-routed; err != nil {
			t.Errorf("router: %v", err)
		}
		_ = conn.(*grpc.ClientConn).Close()
	}()
	select {
	case <-rt.Ready():
	case <-time.After(patience):
		t.Fatal("the router got no table through the replica that does not lead")
	}
	if !first.leads() || second.leads() {
		t.Fatal("the second replica leads although the first is there")
	}
	g := &rig{namespace: namespace}
	g.process = process{
		kube: second.kube, services: servingv1.NewServiceServiceClient(conn), revisions: servingv1.NewRevisionServiceClient(conn),
		address: outside.Addr().String(), ctx: metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer x"),
	}
	g.create(t, g.newService(t, "hello", "hello", func(s *servingv1.Service) {
		s.Spec.Template.Metadata.Annotations["autoscaling.knative.dev/window"] = "10s"
	}))
	url := g.await(t, "hello", condition.True).GetStatus().GetUrl()
	before := g.podNames(t)

	began := time.Now()
	first.line.Cut()
	first.grpc.Stop()
	for !second.leads() { // requests are answered all the time, by the last table
		if code, body := g.get(t, url); code != http.StatusOK {
			t.Fatalf("%s after the leader was cut off: %d %s", time.Since(began), code, body)
		}
		if time.Since(began) > patience {
			t.Fatal("nobody took over")
		}
	}
	t.Logf("taken over %s after the leader was cut off", time.Since(began).Round(time.Millisecond))
	g.create(t, g.newService(t, "second", "second", nil))
	s := g.await(t, "second", condition.True)
	eventually(t, "a service made under the new leader answers", func() bool { // the router finds the new leader by itself
		code, _ := g.get(t, s.GetStatus().GetUrl())
		return code == http.StatusOK
	})
	t.Logf("a new service answers %s after that", time.Since(began).Round(time.Millisecond))
	for _, name := range before {
		if !slices.Contains(g.podNames(t), name) {
			t.Errorf("pod %s went with the change of leaders", name)
		}
	}
	first.line.Restore()
	eventually(t, "the first is a member again", func() bool { return len(second.member.Peers()) == 2 })
	if first.leads() && second.leads() {
		t.Error("two replicas lead")
	}
	if code, body := g.get(t, url); code != http.StatusOK {
		t.Errorf("after the first woke up: %d %s", code, body)
	}
	for _, name := range before {
		if !slices.Contains(g.podNames(t), name) {
			t.Errorf("pod %s went when the first woke up", name)
		}
	}
}

// TestDriftIsPutRight has somebody change and delete what serving made in the cluster.
func TestDriftIsPutRight(t *testing.T) {
	g := startRig(t, nil)
	g.create(t, g.newService(t, "hello", "hello", func(s *servingv1.Service) {
		s.Spec.Template.Metadata.Annotations["autoscaling.knative.dev/min-scale"] = "1"
	}))
	g.await(t, "hello", condition.True)
	sets := g.kube.Clientset().AppsV1().ReplicaSets(g.namespace)
	services := g.kube.Clientset().CoreV1().Services(g.namespace)
	rs, err := sets.Get(t.Context(), "hello-00001-deployment", kmetav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if managers := fmt.Sprint(managersOf(rs.ManagedFields)); managers != "[fairlead-serving]" {
		t.Errorf("field managers that apply the ReplicaSet: %s", managers)
	}
	svc, err := services.Get(t.Context(), "hello", kmetav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ports := len(svc.Spec.Ports)
	for _, tc := range []struct {
		what  string
		harm  func() error
		right func() bool
	}{
		{"replicas changed", func() error {
			three := int32(3)
			rs.Spec.Replicas = &three
			_, err := sets.Update(t.Context(), rs, kmetav1.UpdateOptions{FieldManager: "somebody"})
			return err
		}, func() bool {
			rs, err := sets.Get(t.Context(), rs.Name, kmetav1.GetOptions{})
			return err == nil && *rs.Spec.Replicas == 1
		}},
		{"ReplicaSet deleted", func() error {
			return sets.Delete(t.Context(), rs.Name, kmetav1.DeleteOptions{})
		}, func() bool {
			is, err := sets.Get(t.Context(), rs.Name, kmetav1.GetOptions{})
			return err == nil && is.UID != rs.UID && is.DeletionTimestamp == nil
		}},
		{"Service's ports changed", func() error {
			svc.Spec.Ports[0].Port = 81
			_, err := services.Update(t.Context(), svc, kmetav1.UpdateOptions{FieldManager: "somebody"})
			return err
		}, func() bool {
			is, err := services.Get(t.Context(), svc.Name, kmetav1.GetOptions{})
			return err == nil && len(is.Spec.Ports) == ports && is.Spec.Ports[0].Port != 81
		}},
		{"Service deleted", func() error {
			return services.Delete(t.Context(), svc.Name, kmetav1.DeleteOptions{})
		}, func() bool {
			is, err := services.Get(t.Context(), svc.Name, kmetav1.GetOptions{})
			return err == nil && is.UID != svc.UID
		}},
	} {
		if err := tc.harm(); err != nil {
			t.Fatalf("%s: %v", tc.what, err)
		}
		began := time.Now()
		eventually(t, tc.what+", and put right", tc.right)
		t.Logf("%s: put right after %s", tc.what, time.Since(began).Round(time.Millisecond))
	}
}

// managersOf are the field managers that apply an object.
func managersOf(entries []kmetav1.ManagedFieldsEntry) (out []string) {
	for _, e := range entries {
		if e.Operation == kmetav1.ManagedFieldsOperationApply {
			out = append(out, e.Manager)
		}
	}
	return out
}
