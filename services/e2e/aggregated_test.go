// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"fairlead.dev/services/e2e/harness"
)

// aggregated is a server whose groups the cluster's own endpoint serves. A cluster has room for one, so that all tests
// share it. It is no test's to kill: while it is away the cluster deletes no namespaces.
type aggregated struct {
	once   sync.Once
	server *harness.Server
	err    error
}

// up brings it up for the first who asks.
func (a *aggregated) up(t *testing.T) *harness.Server {
	t.Helper()
	a.once.Do(func() { a.server, a.err = a.start() })
	if a.err != nil {
		t.Fatal(a.err)
	}
	return a.server
}

func (a *aggregated) start() (*harness.Server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	ports, err := harness.FreePorts(s.cluster.BridgeIP)
	if err != nil {
		return nil, err
	}
	cfg := s.server.Config()
	cfg.Dir, cfg.Ports = filepath.Join(s.dir, "aggregated"), ports
	cfg.Installation = a.installation()
	cfg.SystemNamespace = "fairlead-" + cfg.Installation + "-" + s.id // the suite removes it by that
	cfg.Kubeconfig, cfg.Token = filepath.Join(cfg.Dir, "kubeconfig"), filepath.Join(cfg.Dir, "token")
	cfg.Flags = []string{
		"--image-pull-timeout", "15s", "--cluster-client-ca",
		"--aggregate-listen", fmt.Sprintf("%s:%d", s.cluster.BridgeIP, ports.HTTPS),
	}
	server, err := harness.Start(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return server, a.known(ctx)
}

// known waits until the cluster tells of our groups: it asks for them in its own time once they are registered.
func (*aggregated) known(ctx context.Context) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for _, tells := range [][]string{{"api-resources"}, {"get", "--raw", "/openapi/v3"}} {
		for {
			out, err := clusterKubectl(ctx, tells...)
			if err == nil && strings.Contains(out, "serving.knative.dev/v1") && strings.Contains(out, "eventing.knative.dev/v1") {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("the cluster does not tell of our groups at %v: %w %s", tells, err, out)
			case <-tick.C:
			}
		}
	}
	return nil
}

func (a *aggregated) installation() string { return "agg-" + strings.TrimPrefix(s.id, "test-") }

// down ends it, and has the cluster forget our groups: otherwise it would delete no namespaces.
func (a *aggregated) down() error {
	if a.server == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	errs := []error{a.server.Stop()}
	out, err := clusterKubectl(ctx, "delete", "apiservices,clusterroles,clusterrolebindings", "--selector", "fairlead.dev/installation="+a.installation())
	if err != nil {
		errs = append(errs, fmt.Errorf("%w: %s", err, out))
	}
	return errors.Join(errs...)
}

// clusterKubectl runs kubectl at the cluster's own endpoint, as its administrator.
func clusterKubectl(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, harness.Kubectl(s.state), append([]string{"--kubeconfig", s.cluster.Kubeconfig}, args...)...).CombinedOutput()
	return string(out), err
}

// clusterEndpoint is the cluster's own endpoint, where our groups are served too.
func clusterEndpoint(t *testing.T) endpoint {
	t.Helper()
	s.aggregated.up(t)
	return endpoint{name: "cluster", kubeconfig: s.cluster.Kubeconfig}
}

// TestAggregated uses our kinds at the cluster's own endpoint, with the rights that the cluster gives to its own users.
func TestAggregated(t *testing.T) {
	server := s.aggregated.up(t)
	ns := namespace(t)
	run := kubectlAt{endpoint: clusterEndpoint(t), namespace: ns, home: t.TempDir()}.run
	broker := "apiVersion: eventing.knative.dev/v1\nkind: Broker\nmetadata: {name: b}\n"
	runSteps(t, run, []step{
		{args: []string{"api-resources", "--api-group", "serving.knative.dev"}, wants: []string{`services\s+kservice,ksvc\s+serving.knative.dev/v1`}},
		{args: []string{"get", "--raw", "/openapi/v3"}, wants: []string{`apis/eventing.knative.dev/v1"`, `apis/apps/v1"`}},
		{args: []string{"apply", "--filename", "-"}, stdin: broker, wants: []string{"broker.eventing.knative.dev/b created"}},
		{args: []string{"apply", "--server-side", "--force-conflicts", "--filename", "-"}, stdin: broker, wants: []string{"serverside-applied"}},
		{args: []string{"get", "brokers"}, wants: []string{`NAME\s+URL`, `b\s`}},
		{args: []string{"explain", "broker.spec"}, wants: []string{`GROUP:\s+eventing.knative.dev`}},
		{args: []string{"get", "pods,services,brokers"}, wants: []string{"broker.eventing.knative.dev/b"}},
	})
	orphan(t, run)
	t.Run("rights are the cluster's", func(t *testing.T) {
		runSteps(t, run, []step{
			{args: []string{"get", "brokers", "--as", "jane"}, fails: true, wants: []string{"Forbidden"}},
			{args: []string{"create", "rolebinding", "jane", "--clusterrole", "view", "--user", "jane"}},
		})
		eventually(t, 10*time.Second, "viewers view", func() (bool, string) {
			out, err := run(t, "", "get", "brokers", "--as", "jane")
			return err == nil, out
		})
		runSteps(t, run, []step{
			{args: []string{"delete", "broker", "b", "--as", "jane"}, fails: true, wants: []string{"Forbidden"}},
			{args: []string{"auth", "can-i", "delete", "brokers", "--as", "jane"}, fails: true, wants: []string{"no"}},
			// A name that is ours too is another here.
			{args: []string{"get", "brokers", "--as", "admin", "--as-group", "admins"}, fails: true, wants: []string{"Forbidden"}},
		})
	})
	t.Run("a stream ends with the right", func(t *testing.T) { streamEnds(t, run, ns) })
	t.Run("the cluster's certificates at our own door", func(t *testing.T) { ownDoor(t, server, ns) })
	t.Run("a namespace goes with what is in it", func(t *testing.T) { namespaceGoes(t) })
	t.Run("another installation does not take the groups over", func(t *testing.T) { refusesSecond(t) })
	t.Run("the cluster collects garbage", func(t *testing.T) {
		runSteps(t, run, []step{
			{args: []string{"wait", "broker/owned", "--for", "delete", "--timeout", "60s"}},
			{args: []string{"get", "broker", "b"}, wants: []string{"b"}},
		})
	})
}

// orphan makes an object of ours whose owner, a native one, goes: its kind is the cluster's to look after, which learns of ours
// within half a minute.
func orphan(t *testing.T, run func(*testing.T, string, ...string) (string, error)) {
	t.Helper()
	runSteps(t, run, []step{{args: []string{"create", "configmap", "owner"}}})
	uid, err := run(t, "", "get", "configmap", "owner", "--output", "jsonpath={.metadata.uid}")
	if err != nil {
		t.Fatal(err)
	}
	runSteps(t, run, []step{
		{args: []string{"apply", "--filename", "-"}, stdin: fmt.Sprintf("apiVersion: eventing.knative.dev/v1\nkind: Broker\nmetadata:\n  name: owned\n"+
			"  ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: owner, uid: %s}]\n", uid)},
		{args: []string{"delete", "configmap", "owner"}},
	})
}

// streamEnds watches as somebody whose right is taken away.
func streamEnds(t *testing.T, run func(*testing.T, string, ...string) (string, error), ns string) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	watch := exec.CommandContext(ctx, harness.Kubectl(s.state), "--kubeconfig", s.cluster.Kubeconfig, "--namespace", ns, "--as", "jane",
		"get", "--raw", "/apis/eventing.knative.dev/v1/namespaces/"+ns+"/brokers?watch=true")
	out, err := watch.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := watch.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	runSteps(t, run, []step{{args: []string{"delete", "rolebinding", "jane"}}})
	_ = watch.Wait() // however it ends, it has to
	if ctx.Err() != nil {
		t.Error("the watch went on after the right was gone")
	}
}

// ownDoor has the cluster's administrator come in at the gateway itself, by the cluster's certificate.
func ownDoor(t *testing.T, server *harness.Server, ns string) {
	config, err := clientcmd.LoadFromFile(s.cluster.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(server.Config().CA())
	if err != nil {
		t.Fatal(err)
	}
	for _, cluster := range config.Clusters {
		cluster.Server, cluster.CertificateAuthorityData = fmt.Sprintf("https://127.0.0.1:%d", server.Config().Ports.HTTPS), ca
		cluster.CertificateAuthority, cluster.TLSServerName, cluster.ProxyURL = "", "", ""
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		t.Fatal(err)
	}
	run := kubectlAt{endpoint: endpoint{kubeconfig: file}, namespace: ns, home: t.TempDir()}.run
	runSteps(t, run, []step{
		{args: []string{"get", "brokers,configmaps"}, wants: []string{"broker.eventing.knative.dev/b", "configmap/kube-root-ca.crt"}},
		{args: []string{"get", "brokers", "--as", "jane"}, fails: true, wants: []string{"Forbidden"}},
		{args: []string{"get", "configmaps", "--as", "jane"}, fails: true, wants: []string{"Forbidden"}},
		{args: []string{"get", "configmaps", "--as", "jane", "--as-group", "system:masters"}, wants: []string{"kube-root-ca.crt"}},
	})
}

// namespaceGoes deletes a namespace in which an object of ours has a finalizer, which the cluster waits for.
func namespaceGoes(t *testing.T) {
	ns := namespace(t)
	at := kubectlAt{endpoint: clusterEndpoint(t), namespace: ns, home: t.TempDir()}.run
	runSteps(t, at, []step{
		{args: []string{"apply", "--filename", "-"}, stdin: "apiVersion: eventing.knative.dev/v1\nkind: Broker\nmetadata: {name: kept, finalizers: [example.org/kept]}\n---\n" +
			"apiVersion: eventing.knative.dev/v1\nkind: Broker\nmetadata: {name: other}\n"},
		{args: []string{"delete", "namespace", ns, "--wait=false"}},
		{args: []string{"wait", "broker/other", "--for", "delete", "--timeout", "30s"}},
		{args: []string{"wait", "namespace/" + ns, "--for", "condition=NamespaceFinalizersRemaining", "--timeout", "30s"}, wants: []string{"condition met"}},
		{args: []string{"get", "broker", "kept", "--output", "jsonpath={.metadata.deletionTimestamp}"}, wants: []string{"20"}},
		{args: []string{"patch", "broker", "kept", "--type", "merge", "--patch", `{"metadata":{"finalizers":null}}`}, wants: []string{"patched"}},
		{args: []string{"wait", "namespace/" + ns, "--for", "delete", "--timeout", "60s"}},
	})
}

// refusesSecond starts another server that would register the same groups.
func refusesSecond(t *testing.T) {
	ports, err := harness.FreePorts(s.cluster.BridgeIP)
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.server.Config()
	cfg.Dir, cfg.Ports, cfg.Installation = filepath.Join(t.TempDir(), "second"), ports, "second-"+s.id
	cfg.SystemNamespace = "fairlead-second-" + s.id
	cfg.Kubeconfig, cfg.Token = filepath.Join(cfg.Dir, "kubeconfig"), filepath.Join(cfg.Dir, "token")
	cfg.Flags = []string{"--aggregate-listen", fmt.Sprintf("%s:%d", s.cluster.BridgeIP, ports.HTTPS)}
	second, err := harness.Start(t.Context(), cfg)
	if err == nil {
		_ = second.Stop()
		t.Fatal("it started")
	}
	if !strings.Contains(err.Error(), "v1.serving.knative.dev") {
		t.Errorf("it does not say what is in the way: %v", err)
	}
	out, err := clusterKubectl(t.Context(), "get", "apiservice", "v1.serving.knative.dev", "--output", "jsonpath={.metadata.labels.fairlead\\.dev/installation} {.spec.caBundle}")
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(s.aggregated.server.Config().CA())
	if err != nil {
		t.Fatal(err)
	}
	if want := s.aggregated.installation() + " " + base64.StdEncoding.EncodeToString(ca); out != want {
		t.Errorf("the APIService is %s, want %s", out, want)
	}
}
