//go:build cluster

// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package build_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	corev1 "k8s.io/api/core/v1"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	buildv1 "fairlead.dev/gen/go/fairlead/build/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/build"
	"fairlead.dev/services/build/builder/goapp"
	"fairlead.dev/services/build/images"
	"fairlead.dev/services/internal/codec"
	"fairlead.dev/services/internal/condition"
	"fairlead.dev/services/internal/etcd"
	"fairlead.dev/services/internal/kube"
	"fairlead.dev/services/internal/rpc"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/store/etcdtest"
)

// The cluster that the tests use: FAIRLEAD_CLUSTER_KUBECONFIG, and FAIRLEAD_CLUSTER_REGISTRY, a registry that speaks plain
// HTTP and that this process, the nodes and the pods reach by one name.
type clusterUnderTest struct {
	config    *rest.Config
	registry  string
	stepImage string
	tool      string
	goBuilder string
}

var prepareCluster = sync.OnceValues(func() (*clusterUnderTest, error) {
	path, registry := os.Getenv("FAIRLEAD_CLUSTER_KUBECONFIG"), os.Getenv("FAIRLEAD_CLUSTER_REGISTRY")
	if path == "" || registry == "" {
		return nil, errors.New("FAIRLEAD_CLUSTER_KUBECONFIG and FAIRLEAD_CLUSTER_REGISTRY are needed")
	}
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		return nil, err
	}
	module, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	pushed, err := images.Push(context.Background(), images.Config{Registry: registry, Insecure: true, Version: "test", Module: module, Out: os.Stderr})
	if err != nil {
		return nil, err
	}
	tool, err := goapp.Build(context.Background(), goapp.Config{Image: registry + "/test/tool:latest", Insecure: true, Dir: "testdata/tool", Out: io.Discard,
		Env: append(os.Environ(), "GOWORK=off")})
	if err != nil {
		return nil, err
	}
	return &clusterUnderTest{config: config, registry: registry, stepImage: pushed[images.Step], tool: tool, goBuilder: pushed[images.GoBuilder]}, nil
})

type everyone struct{}

func (everyone) Authenticate(context.Context, string) (*rpc.Identity, error) {
	return &rpc.Identity{User: "test"}, nil
}

func (everyone) Authorize(context.Context, *rpc.Identity, rpc.Attributes) error { return nil }

type bearer struct{}

func (bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer test"}, nil
}

func (bearer) RequireTransportSecurity() bool { return false }

// platform is a build service on a cluster, in a namespace of its own.
type platform struct {
	t         *testing.T
	cluster   *clusterUnderTest
	etcd      *etcd.Embedded
	namespace string
	config    func(*build.Config)
	kube      *kube.Client
	builds    buildv1.BuildServiceClient
	logs      buildv1.LogServiceClient
	metrics   *prometheus.Registry
	stop      func()
	// said is what the service has logged.
	said *record
	// gitRoot and host are, after gitServer, the folder of its repositories and the address by which pods reach this process.
	gitRoot, host string
}

// record keeps what is written to it, by several.
type record struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

func newPlatform(t *testing.T, change func(*build.Config)) *platform {
	t.Helper()
	c, err := prepareCluster()
	if err != nil {
		t.Fatal(err)
	}
	p := &platform{t: t, cluster: c, etcd: etcdtest.StartEmbedded(t, t.TempDir()), config: change, said: &record{}}
	p.namespace = fmt.Sprintf("build-test-%d", time.Now().UnixNano())
	p.start()
	t.Cleanup(func() { p.stop() })
	namespaces := p.kube.Clientset().CoreV1().Namespaces()
	if _, err := namespaces.Create(t.Context(), &corev1.Namespace{ObjectMeta: kmetav1.ObjectMeta{Name: p.namespace}}, kmetav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := namespaces.Delete(context.Background(), p.namespace, kmetav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	return p
}

// start starts the service on the etcd and the cluster there are; after stop it does so again, as a new process would.
func (p *platform) start() {
	p.t.Helper()
	fail := func(err error) {
		if err != nil {
			p.t.Helper()
			p.t.Fatal(err)
		}
	}
	log := slog.New(slog.NewMultiHandler(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}),
		slog.NewTextHandler(p.said, &slog.HandlerOptions{Level: slog.LevelDebug})))
	s, err := store.New(p.etcd.Client(), store.Options{Log: log})
	fail(err)
	p.kube, err = kube.NewClient(p.cluster.config, kube.Options{Installation: p.namespace, Component: "fairlead-build", Log: log})
	fail(err)
	cfg := build.DefaultConfig()
	cfg.StepImage, cfg.InsecureRegistries = p.cluster.stepImage, []string{p.cluster.registry}
	if p.config != nil {
		p.config(&cfg)
	}
	p.metrics = prometheus.NewRegistry()
	service, err := build.New(cfg, build.Deps{Store: s, Kube: p.kube, Log: log, Metrics: p.metrics})
	fail(err)
	server, err := rpc.NewServer(rpc.Config{Log: log, Authn: everyone{}, Authz: everyone{}})
	fail(err)
	fail(service.Register(server))
	memory := rpc.NewInMemory(server)
	conn, err := memory.Dial(bearer{}, grpc.WithDefaultCallOptions())
	fail(err)
	p.builds, p.logs = buildv1.NewBuildServiceClient(conn), buildv1.NewLogServiceClient(conn)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for name, run := range map[string]func(context.Context) error{"store": s.Run, "kube": p.kube.Run, "build": service.Run} {
		wg.Go(func() {
			if err := run(ctx); err != nil {
				p.t.Errorf("%s: %v", name, err)
			}
		})
	}
	p.stop = sync.OnceFunc(func() {
		_ = conn.Close()
		server.Stop()
		cancel()
		wg.Wait()
	})
}

func (p *platform) create(yaml string) *buildv1.Build {
	p.t.Helper()
	b, err := p.tryCreate(yaml)
	if err != nil {
		p.t.Fatal(err)
	}
	return b
}

func (p *platform) tryCreate(yaml string) (*buildv1.Build, error) {
	p.t.Helper()
	yaml = strings.NewReplacer("TOOL", p.cluster.tool, "REGISTRY", p.cluster.registry, "GOBUILDER", p.cluster.goBuilder).Replace(yaml)
	data, err := codec.YAMLToJSON([]byte(yaml), codec.Limits{})
	if err != nil {
		p.t.Fatal(err)
	}
	b := &buildv1.Build{}
	if _, err := codec.Unmarshal(data, b, codec.Options{Strict: true}); err != nil {
		p.t.Fatal(err)
	}
	return p.builds.Create(p.t.Context(), &buildv1.BuildServiceCreateRequest{Namespace: p.namespace, Object: b})
}

// await watches a build until it is as wanted.
func (p *platform) await(name, what string, is func(*buildv1.Build) bool) *buildv1.Build {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 3*time.Minute)
	defer cancel()
	stream, err := p.builds.Watch(ctx, &metav1.WatchRequest{Namespace: p.namespace, FieldSelector: "metadata.name=" + name})
	if err != nil {
		p.t.Fatal(err)
	}
	var last *buildv1.Build
	for {
		e, err := stream.Recv()
		if err != nil {
			p.t.Fatalf("waiting for %s to be %s: %v; it is\n%v", name, what, err, last.GetStatus())
		}
		if last = e.GetObject(); last != nil && is(last) {
			return last
		}
	}
}

func outcome(b *buildv1.Build) *metav1.Condition {
	return condition.Get(b.GetStatus().GetConditions(), condition.Succeeded)
}

func (p *platform) awaitEnd(name string) *buildv1.Build {
	p.t.Helper()
	return p.await(name, "at its end", func(b *buildv1.Build) bool {
		s := outcome(b).GetStatus()
		return s == condition.True || s == condition.False
	})
}

func (p *platform) awaitReason(name, reason string) *buildv1.Build {
	p.t.Helper()
	return p.await(name, reason, func(b *buildv1.Build) bool { return outcome(b).GetReason() == reason })
}

// log reads a build's log as `[step] text`.
func (p *platform) log(name, step string, follow bool) string {
	p.t.Helper()
	out, err := p.tryLog(name, step, follow)
	if err != nil {
		p.t.Fatalf("log of %s: %v, after\n%s", name, err, out)
	}
	return out
}

func (p *platform) tryLog(name, step string, follow bool) (string, error) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 3*time.Minute)
	defer cancel()
	stream, err := p.logs.Read(ctx, &buildv1.LogServiceReadRequest{Namespace: p.namespace, Name: name, Step: step, Follow: follow})
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return out.String(), nil
		}
		if err != nil {
			return out.String(), err
		}
		for line := range strings.Lines(string(r.GetData())) {
			fmt.Fprintf(&out, "[%s] %s", r.GetStep(), line)
		}
	}
}

func (p *platform) pods() []corev1.Pod {
	p.t.Helper()
	l, err := p.kube.Clientset().CoreV1().Pods(p.namespace).List(p.t.Context(), kmetav1.ListOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	return l.Items
}

// gitServer serves the folder testdata/hello as a repository that pods can reach, and returns its URL and commit.
func (p *platform) gitServer() (url, commit string) {
	p.t.Helper()
	root := p.t.TempDir()
	work := filepath.Join(root, "work")
	run := func(args ...string) string {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir = root
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
		out, err := cmd.CombinedOutput()
		if err != nil {
			p.t.Fatalf("%v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	run("git", "init", "-q", "-b", "main", work)
	if err := os.CopyFS(filepath.Join(work, "apps/hello"), os.DirFS("testdata/hello")); err != nil {
		p.t.Fatal(err)
	}
	run("git", "-C", work, "add", ".")
	run("git", "-C", work, "commit", "-q", "-m", "first")
	commit = run("git", "-C", work, "rev-parse", "HEAD")
	run("git", "clone", "-q", "--bare", work, filepath.Join(root, "app.git"))
	backend := &cgi.Handler{
		Path: filepath.Join(run("git", "--exec-path"), "git-http-backend"), Dir: root, Stderr: io.Discard,
		Env: []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"},
	}
	// The same again under /private, for ann alone.
	private := http.StripPrefix("/private", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "ann" || password != "secret" {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		backend.ServeHTTP(w, r)
	}))
	mux := http.NewServeMux()
	mux.Handle("/private/", private)
	mux.Handle("/", backend)
	server := httptest.NewUnstartedServer(mux)
	nodes, err := p.kube.Clientset().CoreV1().Nodes().List(p.t.Context(), kmetav1.ListOptions{})
	if err != nil || len(nodes.Items) == 0 {
		p.t.Fatalf("nodes: %v", err)
	}
	host := ""
	for _, a := range nodes.Items[0].Status.Addresses {
		if a.Type == corev1.NodeInternalIP {
			host = a.Address
		}
	}
	p.gitRoot, p.host = root, host
	_ = server.Listener.Close()
	if server.Listener, err = net.Listen("tcp", host+":0"); err != nil {
		p.t.Fatal(err)
	}
	server.Start()
	p.t.Cleanup(server.Close)
	return server.URL + "/app.git", commit
}

func answers(t *testing.T, url string) int {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// in is the platform for a subtest.
func (p *platform) in(t *testing.T) *platform {
	q := *p
	q.t = t
	return &q
}

func (p *platform) awaitPods(what string, are func([]corev1.Pod) bool) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	for {
		w, err := p.kube.Clientset().CoreV1().Pods(p.namespace).Watch(ctx, kmetav1.ListOptions{})
		if err != nil {
			p.t.Fatalf("waiting for pods to be %s: %v", what, err)
		}
		if are(p.pods()) {
			w.Stop()
			return
		}
		select {
		case <-w.ResultChan():
		case <-ctx.Done():
		}
		w.Stop()
	}
}

func (p *platform) awaitNoPods() {
	p.t.Helper()
	p.awaitPods("gone", func(pods []corev1.Pod) bool { return len(pods) == 0 })
}

// awaitStopped waits until the pods of the subtest's build do not run any more.
func (p *platform) awaitStopped() {
	p.t.Helper()
	name := p.t.Name()[strings.LastIndex(p.t.Name(), "/")+1:]
	p.awaitPods("stopped", func(pods []corev1.Pod) bool {
		for _, pod := range pods {
			if strings.HasPrefix(pod.Name, name+"-pod-") && pod.Status.Phase != corev1.PodFailed {
				return false
			}
		}
		return true
	})
}

// awaitPod waits until a pod is ready, and returns its address.
func (p *platform) awaitPod(name string) string {
	p.t.Helper()
	address := ""
	p.awaitPods("ready", func(pods []corev1.Pod) bool {
		for _, pod := range pods {
			for _, c := range pod.Status.Conditions {
				if pod.Name == name && c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
					address = pod.Status.PodIP
				}
			}
		}
		return address != ""
	})
	return address
}

func (p *platform) removePods() {
	p.t.Helper()
	none := int64(0)
	err := p.kube.Clientset().CoreV1().Pods(p.namespace).DeleteCollection(p.t.Context(), kmetav1.DeleteOptions{GracePeriodSeconds: &none}, kmetav1.ListOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *platform) remove(name string) {
	p.t.Helper()
	if _, err := p.builds.Delete(p.t.Context(), &metav1.DeleteRequest{Namespace: p.namespace, Name: name}); err != nil {
		p.t.Fatal(err)
	}
}

// awaitEvents waits until the Events of a build have these reasons, in any order.
func (p *platform) awaitEvents(name string, want ...string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	w, err := p.kube.Clientset().CoreV1().Events(p.namespace).Watch(ctx, kmetav1.ListOptions{FieldSelector: "involvedObject.kind=Build,involvedObject.name=" + name})
	if err != nil {
		p.t.Fatal(err)
	}
	defer w.Stop()
	missing := slices.Clone(want)
	for len(missing) > 0 {
		e, ok := <-w.ResultChan()
		if !ok {
			p.t.Fatalf("no Events %v", missing)
		}
		if event, ok := e.Object.(*corev1.Event); ok {
			if i := slices.Index(missing, event.Reason); i >= 0 {
				missing = slices.Delete(missing, i, i+1)
			}
		}
	}
}

// metric is the sum of the values of a metric.
func (p *platform) metric(name string) float64 {
	p.t.Helper()
	families, err := p.metrics.Gather()
	if err != nil {
		p.t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name {
				sum += m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return sum
}
