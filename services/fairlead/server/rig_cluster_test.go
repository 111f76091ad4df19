// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package server_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"fairlead.dev/services/fairlead/server"
	"fairlead.dev/services/internal/store/etcdtest"
)

func TestMain(m *testing.M) {
	etcdtest.Main()
	goleak.VerifyTestMain(m, // a connection that client-go keeps for a while
		goleak.IgnoreAnyFunction("golang.org/x/net/http2.(*clientConnReadLoop).run"))
}

// installation is what the servers of a test share: a name, and a namespace of the cluster for its Secrets and one for its
// objects.
type installation struct {
	id, namespace, kubeconfig string
}

func newInstallation(t *testing.T) *installation {
	t.Helper()
	kubeconfig := os.Getenv("FAIRLEAD_CLUSTER_KUBECONFIG")
	if kubeconfig == "" {
		t.Fatal("FAIRLEAD_CLUSTER_KUBECONFIG is not set; run these tests with 'make test'")
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	random := make([]byte, 4)
	_, _ = rand.Read(random)
	i := &installation{id: "test-" + hex.EncodeToString(random), kubeconfig: kubeconfig}
	i.namespace = i.id + "-objects"
	if _, err := cluster.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: kmetav1.ObjectMeta{Name: i.namespace}}, kmetav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		for _, ns := range []string{i.id, i.namespace} {
			if err := cluster.CoreV1().Namespaces().Delete(ctx, ns, kmetav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
				t.Error(err)
			}
		}
		err := cluster.RbacV1().ClusterRoleBindings().DeleteCollection(ctx, kmetav1.DeleteOptions{},
			kmetav1.ListOptions{LabelSelector: "fairlead.dev/installation=" + i.id})
		if err != nil {
			t.Error(err)
		}
	})
	return i
}

// running is a server in this process.
type running struct {
	t                   *testing.T
	dir, http, grpc, md string
	token               string
	end                 context.CancelFunc
	ended               chan error
}

// freeAddress is an address on loopback at which nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// start starts a server and waits until it is ready.
func (i *installation) start(t *testing.T, flags ...string) *running {
	t.Helper()
	r := &running{t: t, dir: t.TempDir(), http: freeAddress(t), grpc: freeAddress(t), md: freeAddress(t), ended: make(chan error, 1)}
	cmd := i.command(t, r, flags...)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	r.end = cancel
	go func() { r.ended <- cmd.ExecuteContext(ctx) }()
	t.Cleanup(r.stop)
	r.until(time.Minute, "ready", func() (bool, string) {
		code, text := r.get("/readyz", "")
		return code == http.StatusOK, text
	})
	token, err := os.ReadFile(filepath.Join(r.dir, "token"))
	if err != nil {
		t.Fatal(err)
	}
	r.token = strings.TrimSpace(string(token))
	return r
}

// command is the server's command with its flags.
func (i *installation) command(t *testing.T, r *running, flags ...string) *cobra.Command {
	t.Helper()
	cmd := server.Command()
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(append([]string{
		"--data-dir", r.dir, "--kubeconfig", i.kubeconfig, "--installation", i.id, "--system-namespace", i.id,
		"--https-listen", "127.0.0.1:0", "--http-listen", r.http, "--grpc-listen", r.grpc, "--metrics-listen", r.md,
		"--router-listen", "127.0.0.1:0", "--broker-listen", "127.0.0.1:0", "--step-image", "registry.invalid/step:1",
		"--log-level", "warn",
	}, flags...))
	return cmd
}

// stop ends the server, and asserts that it ends in order and soon enough for Kubernetes.
func (r *running) stop() {
	if r.end == nil {
		return
	}
	r.end()
	r.end = nil
	timer := time.NewTimer(30 * time.Second)
	defer timer.Stop()
	select {
	case err := <-r.ended:
		if err != nil {
			r.t.Errorf("the server ended badly: %v", err)
		}
	case <-timer.C:
		r.t.Error("the server did not end within 30 s")
	}
	http.DefaultClient.CloseIdleConnections()
}

// until waits until something holds.
func (r *running) until(limit time.Duration, what string, holds func() (bool, string)) {
	r.t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		ok, last := holds()
		if ok {
			return
		}
		select {
		case <-tick.C:
		case err := <-r.ended:
			r.t.Fatalf("waiting for %s: the server ended: %v", what, err)
		case <-timer.C:
			r.t.Fatalf("not %s after %s: %s", what, limit, last)
		}
	}
}

// do asks the front door.
func (r *running) do(method, path, token, body string) (int, string) {
	r.t.Helper()
	return r.ask(method, "http://"+r.http+path, token, body)
}

// get reads from the front door.
func (r *running) get(path, token string) (int, string) {
	r.t.Helper()
	return r.do(http.MethodGet, path, token, "")
}

func (r *running) ask(method, url, token, body string) (int, string) {
	r.t.Helper()
	req, err := http.NewRequest(method, url, bytes.NewBufferString(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(data)
}

// must asks the front door as the administrator and fails the test unless the answer has the code.
func (r *running) must(code int, method, path, body string) string {
	r.t.Helper()
	got, text := r.do(method, path, r.token, body)
	if got != code {
		r.t.Fatalf("%s %s: %d %s, want %d", method, path, got, text, code)
	}
	return text
}

// tokenOf makes a token of a user without rights.
func (r *running) tokenOf(user string) string {
	r.t.Helper()
	text := r.must(http.StatusOK, http.MethodPost, "/apis/auth.fairlead.dev/v1/tokens", fmt.Sprintf(`{"user":%q}`, user))
	var made struct{ Token string }
	if err := json.Unmarshal([]byte(text), &made); err != nil || made.Token == "" {
		r.t.Fatalf("%v: %s", err, text)
	}
	return made.Token
}

// health asks gRPC's health service about services; "" is the server.
func (r *running) health(services ...string) map[string]string {
	r.t.Helper()
	conn, err := grpc.NewClient(r.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close()
	got := map[string]string{}
	for _, s := range services {
		ctx, cancel := context.WithTimeout(r.t.Context(), 10*time.Second)
		res, err := healthv1.NewHealthClient(conn).Check(ctx, &healthv1.HealthCheckRequest{Service: s})
		cancel()
		if err != nil {
			got[s] = err.Error()
		} else {
			got[s] = res.GetStatus().String()
		}
	}
	return got
}
