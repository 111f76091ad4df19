// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package serving_test

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	corev1 "k8s.io/api/core/v1"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/kube"
	"fairlead.dev/services/internal/rpc"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/store/gc"
	"fairlead.dev/services/internal/store/storetest"
	"fairlead.dev/services/serving"
	"fairlead.dev/services/serving/router"
)

// patience bounds every wait of these tests.
const patience = 90 * time.Second

// anybody lets every caller in, as the user alice.
type anybody struct{}

func (anybody) Authenticate(context.Context, string) (*rpc.Identity, error) {
	return &rpc.Identity{User: "alice"}, nil
}

func (anybody) Authorize(context.Context, *rpc.Identity, rpc.Attributes) error { return nil }

// rig is serving and a router, over an etcd of their own and the real cluster. They can be ended and started again.
type rig struct {
	process

	rest         *rest.Config
	installation string
	store        *store.Store
	cfg          serving.Config
	log          *slog.Logger
	namespace    string
}

// process is what ends when serving and its router do.
type process struct {
	kube      *kube.Client
	services  servingv1.ServiceServiceClient
	revisions servingv1.RevisionServiceClient
	conn      grpc.ClientConnInterface
	address   string          // of the router
	ctx       context.Context //nolint:containedctx // carries the caller's token for the length of a test
	stop      func()
}

func startRig(t *testing.T, change func(*serving.Config)) *rig {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("FAIRLEAD_CLUSTER_KUBECONFIG"))
	if err != nil {
		t.Fatalf("FAIRLEAD_CLUSTER_KUBECONFIG: %v", err)
	}
	g := &rig{
		rest: config, installation: fmt.Sprintf("test-%d", time.Now().UnixNano()), store: storetest.Start(t), cfg: serving.DefaultConfig(),
		log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo})),
	}
	g.cfg.Autoscaler.ScaleToZeroGrace = 2 * time.Second
	g.cfg.DrainDelay = time.Second
	if change != nil {
		change(&g.cfg)
	}
	g.boot(t)
	g.namespace = newNamespace(t, g.kube)
	t.Cleanup(func() { g.stop() })
	return g
}

// boot starts serving and a router, and waits until the router has a table.
func (g *rig) boot(t *testing.T) {
	t.Helper()
	k, err := kube.NewClient(g.rest, kube.Options{Installation: g.installation, Component: "fairlead-serving", SystemNamespace: "default", Log: g.log})
	if err != nil {
		t.Fatal(err)
	}
	nodes, err := k.Clientset().CoreV1().Nodes().List(t.Context(), kmetav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	outside, inside := listen(t, "127.0.0.1:0"), listen(t, nodes.Items[0].Status.Addresses[0].Address+":0")
	g.cfg.RouterPodAddress = inside.Addr().String()
	srv, err := serving.New(g.cfg, serving.Deps{Store: g.store, Kube: k, Log: g.log})
	if err != nil {
		t.Fatal(err)
	}
	grpcServer, err := rpc.NewServer(rpc.Config{Authn: anybody{}, Authz: anybody{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.Register(grpcServer); err != nil {
		t.Fatal(err)
	}
	memory := rpc.NewInMemory(grpcServer)
	conn, err := memory.Dial(nil, grpc.WithStreamInterceptor(withToken))
	if err != nil {
		t.Fatal(err)
	}
	rt, err := router.New(router.DefaultConfig(), conn, g.log, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	run := func(what string, f func(context.Context) error) {
		wg.Go(func() {
			if err := f(ctx); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		})
	}
	run("kube", k.Run)
	run("gc", func(ctx context.Context) error { return gc.Run(ctx, g.store, kinds.All(), g.log) })
	run("serving", srv.Run)
	run("router", func(ctx context.Context) error { return rt.Run(ctx, outside, inside) })
	g.process = process{
		kube: k, services: servingv1.NewServiceServiceClient(conn), revisions: servingv1.NewRevisionServiceClient(conn), conn: conn,
		address: outside.Addr().String(), ctx: metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer x"),
		stop: sync.OnceFunc(func() {
			cancel()
			wg.Wait()
			_ = conn.Close()
			grpcServer.Stop()
			_ = memory.Close()
		}),
	}
	select {
	case <-rt.Ready():
	case <-time.After(patience):
		t.Fatal("the router got no table")
	}
}

// withToken has streams bring the caller's token.
func withToken(ctx context.Context, d *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return open(metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer x"), d, cc, method, opts...)
}

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func newNamespace(t *testing.T, k *kube.Client) string {
	t.Helper()
	ns, err := k.Clientset().CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: kmetav1.ObjectMeta{GenerateName: "serving-test-"}}, kmetav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Clientset().CoreV1().Namespaces().Delete(context.Background(), ns.Name, kmetav1.DeleteOptions{}); err != nil {
			t.Errorf("delete namespace: %v", err)
		}
	})
	return ns.Name
}

// eventually waits until ok holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("not within %s: %s", patience, what)
		case <-tick.C:
		}
	}
}

// get sends a request through the router, and fails the test when none gets through.
func (g *rig) get(t *testing.T, url string) (int, string) {
	t.Helper()
	host, path, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+g.address+"/"+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// image builds the app of testdata into an image and pushes it to the cluster's registry.
var image = sync.OnceValues(func() (string, error) { //nolint:gochecknoglobals // built once for all tests
	registry := os.Getenv("FAIRLEAD_CLUSTER_REGISTRY")
	if registry == "" {
		registry = "registry.fairlead.local:24500"
	}
	dir, err := os.MkdirTemp("", "app")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "app")
	build := exec.Command("go", "build", "-trimpath", "-o", binary, "./testdata/app")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w: %s", err, out)
	}
	data, err := os.ReadFile(binary)
	if err != nil {
		return "", err
	}
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	if err := w.WriteHeader(&tar.Header{Name: "app", Mode: 0o755, Size: int64(len(data)), Typeflag: tar.TypeReg}); err != nil {
		return "", err
	}
	if _, err := w.Write(data); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer.Bytes())), nil })
	if err != nil {
		return "", err
	}
	img, err := mutate.AppendLayers(empty.Image, l)
	if err != nil {
		return "", err
	}
	file, err := img.ConfigFile()
	if err != nil {
		return "", err
	}
	file = file.DeepCopy()
	file.Architecture, file.OS = "amd64", "linux"
	file.Config.Entrypoint = []string{"/app"}
	if img, err = mutate.ConfigFile(img, file); err != nil {
		return "", err
	}
	digest, err := img.Digest()
	if err != nil {
		return "", err
	}
	// The node keeps what it has pulled by tag: another content has another one.
	ref, err := name.ParseReference(registry+"/fairlead-serving-test/app:"+digest.Hex[:12], name.Insecure)
	if err != nil {
		return "", err
	}
	return ref.Name(), remote.Write(ref, img)
})
