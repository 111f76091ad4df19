// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package matrix_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	ktesting "k8s.io/client-go/testing"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/auth"
	"fairlead.dev/services/build"
	"fairlead.dev/services/e2e/matrix"
	"fairlead.dev/services/eventing"
	"fairlead.dev/services/internal/apply"
	"fairlead.dev/services/internal/kube"
	"fairlead.dev/services/internal/rpc"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/store/etcdtest"
	"fairlead.dev/services/serving"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cluster keeps signing keys, and gives administrators every right.
type cluster struct{ clientset kubernetes.Interface }

func (c cluster) Clientset() kubernetes.Interface { return c.clientset }
func (cluster) Installation() string              { return "matrix" }
func (cluster) SystemNamespace() string           { return "fairlead-system" }

func newCluster() cluster {
	clientset := fake.NewClientset()
	clientset.PrependReactor("create", "subjectaccessreviews", func(action ktesting.Action) (bool, runtime.Object, error) {
		create, _ := action.(ktesting.CreateAction)
		review, ok := create.GetObject().(*authorizationv1.SubjectAccessReview)
		if !ok {
			return false, nil, nil
		}
		answer := review.DeepCopy()
		answer.Status.Allowed = slices.Contains(review.Spec.Groups, "fairlead:admins")
		return true, answer, nil
	})
	return cluster{clientset}
}

// namespaces is a kube-apiserver on which every namespace exists, and nothing else.
func namespaces(t *testing.T) *kube.Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, ok := strings.CutPrefix(r.URL.Path, "/api/v1/namespaces/")
		if !ok || strings.Contains(name, "/") {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(&corev1.Namespace{
			TypeMeta: kmetav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}, ObjectMeta: kmetav1.ObjectMeta{Name: name},
			Status: corev1.NamespaceStatus{Phase: corev1.NamespaceActive},
		})
	}))
	t.Cleanup(server.Close)
	client, err := kube.NewClient(&rest.Config{Host: server.URL, ContentConfig: rest.ContentConfig{ContentType: "application/json"}},
		kube.Options{Installation: "matrix", Component: "fairlead", SystemNamespace: "fairlead-system"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ended, end := context.WithCancel(context.Background())
		end()
		_ = client.Run(ended) // ends what NewClient has begun
	})
	return client
}

// start runs the services of the all-in-one on a real etcd, as far as they need no cluster.
func start(t *testing.T) matrix.Target {
	t.Helper()
	etcd := etcdtest.Start(t)
	st, err := store.New(etcd, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	authServer, err := auth.New(auth.Config{}, auth.Deps{Store: st, Etcd: etcd, Kube: newCluster()})
	if err != nil {
		t.Fatal(err)
	}
	server, err := rpc.NewServer(rpc.Config{Authn: authServer.Authenticator(), Authz: authServer.Authorizer()})
	if err != nil {
		t.Fatal(err)
	}
	memory := rpc.NewInMemory(server)
	k := namespaces(t)
	buildConfig := build.DefaultConfig()
	buildConfig.StepImage = "registry.test/step@sha256:" + strings.Repeat("0", 64)
	buildServer, err := build.New(buildConfig, build.Deps{Store: st, Kube: k})
	if err != nil {
		t.Fatal(err)
	}
	servingServer, err := serving.New(serving.DefaultConfig(), serving.Deps{Store: st, Kube: k})
	if err != nil {
		t.Fatal(err)
	}
	eventingServer, err := eventing.New(eventing.DefaultConfig(), eventing.Deps{Store: st, Kube: k})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := memory.Dial(nil)
	if err != nil {
		t.Fatal(err)
	}
	committer, err := apply.NewCommitter(apply.CommitterDeps{Store: st, Peers: peer{conn}, Kinds: kinds.All()})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []interface {
		Register(reg grpc.ServiceRegistrar) error
	}{authServer, buildServer, servingServer, eventingServer, committer} {
		if err := s.Register(server); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = st.Run(ctx) })
	wg.Go(func() { _ = authServer.Run(ctx) })
	t.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
		_ = memory.Close()
		cancel()
		wg.Wait()
	})
	admin, err := authServer.AdminToken(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return matrix.Target{Conn: conn, Admin: admin, Namespace: "shop", Other: "elsewhere", Offline: true}
}

// peer is the one process that owns all kinds.
type peer struct{ conn *grpc.ClientConn }

func (p peer) Conn(string) (grpc.ClientConnInterface, error) { return p.conn, nil }

func TestEverybodyAtEveryRPC(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	target := start(t)
	services, err := matrix.Registered(ctx, target.Conn)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(matrix.Services(), services); d != "" {
		t.Errorf("services that are there, and registered (-want +got):\n%s", d)
	}
	rows, faults := matrix.RowsOf(services)
	for _, fault := range faults {
		t.Error(fault)
	}
	people, err := matrix.Gather(ctx, target, rows)
	if err != nil {
		t.Fatal(err)
	}
	cells := people.Cells(rows)
	for _, fault := range target.Run(ctx, cells) {
		t.Error(fault)
	}
	t.Logf("%d calls of %d RPCs by %d kinds of strangers and %d holders of a right", len(cells), len(rows), len(people.Strangers), len(people.Holders))
	if err := people.Leave(ctx); err != nil {
		t.Error(err)
	}
}

func TestStreamsEndWithTheirCallers(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	target := start(t)
	rows, _ := matrix.RowsOf(matrix.Services())
	for _, row := range rows {
		switch row.Method {
		case "/fairlead.build.v1.BuildService/Watch", "/fairlead.serving.v1.RouterService/Sync", "/fairlead.eventing.v1.DispatcherService/Sync":
		default:
			continue
		}
		ends, err := target.EndStreams(ctx, row)
		if err != nil {
			t.Error(err)
		}
		for _, e := range ends {
			t.Logf("%s: the %s is gone: ended after %s: %v", row.Method, e.What, e.After, e.Err)
		}
	}
}
