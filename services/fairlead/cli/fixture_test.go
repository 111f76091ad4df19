// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	buildv1 "fairlead.dev/gen/go/fairlead/build/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/apply"
	"fairlead.dev/services/internal/kube"
	"fairlead.dev/services/internal/resource"
	"fairlead.dev/services/internal/rpc"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/store/etcdtest"
	"fairlead.dev/services/internal/store/storetest"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// users takes `admin` and `reader` for tokens; readers may not write, nor see roles.
type users struct{}

func (users) Authenticate(_ context.Context, token string) (*rpc.Identity, error) {
	if token != "admin" && token != "reader" {
		return nil, apierror.Unauthorized("the token is not valid")
	}
	return &rpc.Identity{User: token}, nil
}

func (users) Authorize(_ context.Context, id *rpc.Identity, a rpc.Attributes) error {
	if id.User == "admin" || (a.Verb == "get" || a.Verb == "list" || a.Verb == "watch") && a.Resource != "roles" {
		return nil
	}
	return apierror.Forbidden(apierror.Resource{Group: a.Group, Plural: a.Resource}, a.Name,
		"%s.%s %q is forbidden: user %q cannot %s it", a.Resource, a.Group, a.Name, id.User, a.Verb)
}

// namespaces are those that there are.
type namespaces struct{}

func (namespaces) State(_ context.Context, name string) (kube.NamespaceState, error) {
	if name == "absent" {
		return kube.NamespaceAbsent, nil
	}
	return kube.NamespaceActive, nil
}

// buildLog prints two steps of each build, and fails in the middle for `broken`.
type buildLog struct {
	buildv1.UnimplementedLogServiceServer
}

func (buildLog) Read(r *buildv1.LogServiceReadRequest, stream buildv1.LogService_ReadServer) error {
	if r.GetName() == "absent" {
		return apierror.ToStatus(apierror.NotFound(apierror.Resource{Group: "build.knative.dev", Plural: "builds"}, "absent")).Err()
	}
	for _, piece := range []*buildv1.LogServiceReadResponse{
		{Step: "compile", Data: []byte("go build\nunfin")},
		{Step: "compile", Data: []byte("ished\nno line end")},
		{Step: "push", Data: []byte("pushed\n")},
	} {
		if r.GetStep() != "" && r.GetStep() != piece.GetStep() {
			continue
		}
		if err := stream.Send(piece); err != nil {
			return err
		}
	}
	if r.GetFollow() {
		return stream.Send(&buildv1.LogServiceReadResponse{Step: "push", Data: []byte("followed in " + r.GetNamespace() + "\n")})
	}
	return nil
}

// fixture is a server of all kinds, and a place to run commands in.
type fixture struct {
	t       *testing.T
	store   *store.Store
	server  *grpc.Server
	address string
	// dir is the working folder; files in it are named by relative paths.
	dir string
}

// objectAge is how old objects are: tables tell it.
const objectAge = 72 * time.Hour

// start runs a server on a port of this machine, with the token of admin in .fairlead/token.
func start(t *testing.T) *fixture {
	t.Helper()
	isolate(t)
	f := &fixture{t: t, dir: "."}
	f.write(".fairlead/token", "admin\n")
	f.store = storetest.StartOn(t, etcdtest.Start(t), store.Options{Now: func() time.Time { return time.Now().Add(-objectAge) }})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.address = listener.Addr().String()
	if f.server, err = rpc.NewServer(rpc.Config{Authn: users{}, Authz: users{}}); err != nil {
		t.Fatal(err)
	}
	all := kinds.All()
	handlers := make([]resource.Handler, len(all))
	for i, k := range all {
		handlers[i] = resource.Handler{Kind: k, Hooks: hooks()}
	}
	if err := resource.Register(f.server, resource.Deps{Store: f.store, Namespaces: namespaces{}}, handlers...); err != nil {
		t.Fatal(err)
	}
	buildv1.RegisterLogServiceServer(f.server, buildLog{})
	f.commit()
	served := make(chan error, 1)
	go func() { served <- f.server.Serve(listener) }()
	t.Cleanup(func() {
		f.server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	t.Setenv(envServer, f.address)
	return f
}

// commit serves atomic apply.
func (f *fixture) commit() {
	f.t.Helper()
	memory := rpc.NewInMemory(f.server)
	conn, err := memory.Dial(nil)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = conn.Close(); _ = memory.Close() })
	committer, err := apply.NewCommitter(apply.CommitterDeps{Store: f.store, Peers: owner{conn}, Kinds: kinds.Versions()})
	if err != nil {
		f.t.Fatal(err)
	}
	if err := committer.Register(f.server); err != nil {
		f.t.Fatal(err)
	}
}

// owner is the one that owns all groups.
type owner struct{ grpc.ClientConnInterface }

func (o owner) Conn(string) (grpc.ClientConnInterface, error) { return o, nil }

// isolate keeps the environment and files of who runs the tests out of them.
func isolate(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	t.Setenv("HOME", filepath.Join(t.TempDir(), "home"))
	for _, name := range []string{envServer, envToken, envTokenFile, "FAIRLEAD_CONFIG", "KUBECONFIG"} {
		t.Setenv(name, "")
	}
}

// hooks find faults that only a service knows.
func hooks() resource.Hooks {
	return resource.Hooks{Validate: func(_ context.Context, obj, _ store.Object) []apierror.Cause {
		s, ok := obj.(*servingv1.Service)
		if !ok {
			return nil
		}
		var causes []apierror.Cause
		for i, c := range s.GetSpec().GetTemplate().GetSpec().GetPodSpec().GetContainers() {
			if c.GetImage() == "" {
				causes = append(causes, apierror.Required(fmt.Sprintf("spec.template.spec.containers[%d].image", i), "Required value: name an image"))
			}
		}
		if percent := s.GetSpec().GetTraffic(); len(percent) > 0 && percent[0].GetPercent() != 100 {
			causes = append(causes, apierror.Invalid("spec.traffic", "Invalid value: the percents add up to something other than 100"))
		}
		return causes
	}}
}

func (f *fixture) write(name, text string) {
	f.t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// result is what a command did.
type result struct {
	stdout, stderr string
	code           int
}

// run runs a command to its end.
func run(ctx context.Context, stdin string, args ...string) result {
	var out, errs bytes.Buffer
	root := New("v1.2.3", Streams{In: strings.NewReader(stdin), Out: &out, Err: &errs})
	root.SetArgs(args)
	code := Run(ctx, root)
	return result{out.String(), errs.String(), code}
}

// running is a command that is not done.
type running struct {
	t        *testing.T
	cancel   context.CancelFunc
	out, err *output
	done     chan int
}

// background runs a command that shows progress.
func background(t *testing.T, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{t: t, cancel: cancel, out: newOutput(), err: newOutput(), done: make(chan int, 1)}
	root := New("v1.2.3", Streams{In: strings.NewReader(""), Out: r.out, Err: r.err, Terminal: true})
	root.SetArgs(args)
	go func() { r.done <- Run(ctx, root) }()
	t.Cleanup(cancel)
	return r
}

func (r *running) wait() int {
	r.t.Helper()
	select {
	case code := <-r.done:
		return code
	case <-time.After(30 * time.Second):
		r.t.Fatalf("the command does not end; stdout:\n%s\nstderr:\n%s", r.out.text(), r.err.text())
		return -1
	}
}

// output is what a command that runs has printed so far.
type output struct {
	mu      sync.Mutex
	b       strings.Builder
	changed chan struct{}
}

func newOutput() *output { return &output{changed: make(chan struct{}, 1)} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	o.b.Write(p)
	o.mu.Unlock()
	select {
	case o.changed <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (o *output) text() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// until waits until text was printed.
func (o *output) until(t *testing.T, text string) {
	t.Helper()
	limit := time.After(30 * time.Second)
	for !strings.Contains(o.text(), text) {
		select {
		case <-o.changed:
		case <-limit:
			t.Fatalf("%q is not printed; there is:\n%s", text, o.text())
		}
	}
}

// call is one command of a transcript.
type call struct {
	args  string
	stdin string
	// before runs first.
	before func(*fixture)
}

// transcript runs commands one after another and compares all they print with a golden file.
func (f *fixture) transcript(t *testing.T, golden string, calls ...call) {
	t.Helper()
	var b strings.Builder
	for _, c := range calls {
		if c.before != nil {
			c.before(f)
		}
		r := run(t.Context(), c.stdin, words(c.args)...)
		fmt.Fprintf(&b, "$ fairlead %s\n%s", c.args, r.stdout)
		if r.stderr != "" {
			fmt.Fprintf(&b, "stderr:\n%s", r.stderr)
		}
		if r.code != 0 {
			fmt.Fprintf(&b, "exit code %d\n", r.code)
		}
		b.WriteByte('\n')
	}
	f.compare(t, golden, b.String())
}

// words splits a line at blanks, but for those in single quotes.
func words(line string) []string {
	var out []string
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			out[len(out)-1] += part
			continue
		}
		fresh := out == nil || strings.HasPrefix(part, " ")
		for j, word := range strings.Fields(part) {
			if j == 0 && !fresh {
				out[len(out)-1] += word
				continue
			}
			out = append(out, word)
		}
		if strings.HasSuffix(part, " ") {
			out = append(out, "")
		}
	}
	return out
}

// source is the folder of the package, whatever folder the test works in.
var source = func() string {
	dir, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	return dir
}()

func (f *fixture) compare(t *testing.T, golden, got string) {
	t.Helper()
	got = f.steady(got)
	path := filepath.Join(source, "testdata", golden)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", golden, diff)
	}
}

// steady replaces what differs from run to run.
func (f *fixture) steady(text string) string {
	for _, r := range []struct{ pattern, with string }{
		{`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`, "TIME"},
		{`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`, "UID"},
		{`(resourceVersion"?: "?)\d+`, "${1}N"},
		{`go1\.[0-9.]+`, "GO"},
		{`(linux|darwin)/(amd64|arm64)`, "PLATFORM"},
	} {
		text = regexp.MustCompile(r.pattern).ReplaceAllString(text, r.with)
	}
	text = strings.ReplaceAll(text, os.Getenv("HOME"), "HOME")
	if f.address != "" {
		text = strings.ReplaceAll(text, f.address, "SERVER")
	}
	return text
}

const helloYAML = `apiVersion: serving.knative.dev/v1
kind: Service
metadata:
  name: hello
  labels: {app: shop, tier: front}
  annotations: {note: first}
spec:
  template:
    spec:
      containerConcurrency: 10
      containers:
      - image: registry.example/hello:1
        args: ["--color", "blue"]
        env:
        - {name: A, value: "1"}
        - {name: B, value: "2"}
`

func serviceYAML(name, rest string) string {
	return "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: " + name + rest + "}\n" +
		"spec: {template: {spec: {containers: [{image: registry.example/" + name + ":1}]}}}\n"
}

func buildYAML(name string) string {
	return "apiVersion: build.knative.dev/v1alpha1\nkind: Build\nmetadata: {name: " + name + "}\n" +
		"spec: {steps: [{name: compile, image: registry.example/go:1}]}\n"
}

func kindOf(t *testing.T, m store.Object) kinds.Kind {
	t.Helper()
	k, ok := kinds.ByMessage(m.ProtoReflect().Descriptor().FullName())
	if !ok {
		t.Fatalf("%T is no kind", m)
	}
	return k
}

// ready sets a service's condition Ready.
func (f *fixture) ready(name, status, reason, message string) {
	f.t.Helper()
	k := kindOf(f.t, &servingv1.Service{})
	_, err := f.store.Update(f.t.Context(), k, store.Key{Namespace: "default", Name: name}, "", func(obj store.Object) (store.Object, error) {
		s := obj.(*servingv1.Service)
		s.Status = &servingv1.ServiceStatus{
			ObservedGeneration: s.GetMetadata().GetGeneration(),
			Url:                "http://" + name + ".default.localhost:8000",
			Conditions: []*metav1.Condition{{
				Type: "Ready", Status: status, Reason: reason, Message: message,
				LastTransitionTime: &timestamppb.Timestamp{Seconds: time.Now().Add(-objectAge).Unix()},
			}},
		}
		return s, nil
	})
	if err != nil {
		f.t.Fatal(err)
	}
}

// finalizers sets those of a service.
func (f *fixture) finalizers(name string, list ...string) {
	f.t.Helper()
	k := kindOf(f.t, &servingv1.Service{})
	_, err := f.store.Update(f.t.Context(), k, store.Key{Namespace: "default", Name: name}, "", func(obj store.Object) (store.Object, error) {
		obj.GetMetadata().Finalizers = list
		return obj, nil
	})
	if err != nil {
		f.t.Fatal(err)
	}
}
