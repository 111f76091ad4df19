// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const policyHead = "apiVersion: audit.k8s.io/v1\nkind: Policy\n"

func TestTheFirstRuleThatFitsDecides(t *testing.T) {
	p, err := ParsePolicy([]byte(policyHead + `
omitStages: [RequestReceived]
rules:
- {level: None, users: [robot], verbs: [get, list]}
- {level: None, nonResourceURLs: ["/grpc.health.v1.Health/*", /fairlead.auth.v1.TokenService/WhoAmI]}
- {level: Request, resources: [{group: auth.fairlead.dev, resources: [clusterroles], resourceNames: [admin]}]}
- {level: Metadata, resources: [{group: build.knative.dev, resources: ["builds/log"]}], omitStages: [ResponseStarted]}
- {level: RequestResponse, userGroups: [staff], namespaces: [shop], resources: [{group: build.knative.dev, resources: [builds, "*/status"]}]}
- {level: Metadata, namespaces: [""]}
`))
	if err != nil {
		t.Fatal(err)
	}
	builds := "build.knative.dev"
	cases := map[string]struct {
		call  Call
		stage Stage
		want  Level
	}{
		"a user":                 {Call{User: "robot", Verb: "get", Group: builds, Resource: "builds", Namespace: "shop", Groups: []string{"staff"}}, StageResponseComplete, LevelNone},
		"another verb":           {Call{User: "robot", Verb: "create", Group: builds, Resource: "builds", Namespace: "shop", Groups: []string{"staff"}}, StageResponseComplete, LevelRequestResponse},
		"a path with a star":     {Call{Verb: "post", Path: "/grpc.health.v1.Health/Check"}, StageResponseComplete, LevelNone},
		"a path":                 {Call{Verb: "post", Path: "/fairlead.auth.v1.TokenService/WhoAmI"}, StageResponseComplete, LevelNone},
		"no resource, no rule":   {Call{Verb: "post", Path: "/fairlead.auth.v1.AccessService/Review"}, StageResponseComplete, LevelNone},
		"a name":                 {Call{Verb: "update", Group: "auth.fairlead.dev", Resource: "clusterroles", Name: "admin"}, StageResponseComplete, LevelRequest},
		"another name":           {Call{Verb: "update", Group: "auth.fairlead.dev", Resource: "clusterroles", Name: "edit"}, StageResponseComplete, LevelMetadata},
		"a subresource":          {Call{Verb: "get", Group: builds, Resource: "builds", Subresource: "log", Namespace: "shop"}, StageResponseComplete, LevelMetadata},
		"an omitted stage":       {Call{Verb: "get", Group: builds, Resource: "builds", Subresource: "log", Namespace: "shop"}, StageResponseStarted, LevelNone},
		"any resource's status":  {Call{Groups: []string{"x", "staff"}, Group: builds, Resource: "tasks", Subresource: "status", Namespace: "shop"}, StageResponseComplete, LevelRequestResponse},
		"not in the group":       {Call{Groups: []string{"x"}, Group: builds, Resource: "builds", Namespace: "shop"}, StageResponseComplete, LevelNone},
		"not in the namespace":   {Call{Groups: []string{"staff"}, Group: builds, Resource: "builds", Namespace: "b"}, StageResponseComplete, LevelNone},
		"what has no namespaces": {Call{Group: "x", Resource: "y"}, StageResponseComplete, LevelMetadata},
	}
	for name, tc := range cases {
		if got := p.level(&tc.call, tc.stage); got != tc.want {
			t.Errorf("%s: got %s, want %s", name, got, tc.want)
		}
	}
}

func TestTheDefaultPolicy(t *testing.T) {
	services := []string{"system:fairlead:services"}
	cases := map[string]struct {
		call Call
		want Level
	}{
		"a write":                       {Call{User: "ada", Verb: "patch", Resource: "builds"}, LevelMetadata},
		"a service's write":             {Call{Groups: services, Verb: "update", Resource: "builds"}, LevelMetadata},
		"a token":                       {Call{User: "ada", Verb: "create", Resource: "tokens"}, LevelMetadata},
		"a read":                        {Call{User: "ada", Verb: "list", Resource: "builds"}, LevelNone},
		"a read that was refused":       {Call{User: "ada", Verb: "list", Resource: "builds", Refused: true}, LevelMetadata},
		"nobody":                        {Call{Path: "/fairlead.auth.v1.TokenService/WhoAmI", Refused: true}, LevelMetadata},
		"a service's read":              {Call{Groups: services, Verb: "watch", Resource: "builds"}, LevelNone},
		"a service's read, refused too": {Call{Groups: services, Verb: "watch", Resource: "builds", Refused: true}, LevelMetadata},
		"health":                        {Call{Path: "/grpc.health.v1.Health/Check"}, LevelNone},
	}
	for name, tc := range cases {
		if got := DefaultPolicy().level(&tc.call, StageResponseComplete); got != tc.want {
			t.Errorf("%s: got %s, want %s", name, got, tc.want)
		}
	}
}

func TestFaultsOfAPolicyNameRuleAndField(t *testing.T) {
	cases := map[string]struct {
		text string
		says []string
	}{
		"no YAML":          {"a: [", []string{"line 1"}},
		"no map":           {"[]", []string{"must be a map"}},
		"another kind":     {"apiVersion: v1\nkind: Pod\nrules: [{level: None}]", []string{`"v1", "Pod"`, `"audit.k8s.io/v1", "Policy"`}},
		"no rules":         {policyHead, []string{"rules: there are none"}},
		"an unknown field": {policyHead + "rules: [{level: None}, {level: None, verb: [get]}]", []string{"rules[1]", `"verb"`}},
		"a wrong type":     {policyHead + "rules: [{level: None, users: ada}]", []string{"rules[0]", "users"}},
		"a key twice":      {policyHead + "rules: [{level: None, level: Request}]", []string{"level"}},
		"two faults": {policyHead + "omitStages: [Never]\nrules: [{level: All}, {level: None}, {resources: [{group: build.knative.dev/v1}]}]", []string{
			`omitStages[0]: "Never"`, `rules[0].level: "All"`, `rules[2].level: ""`, `rules[2].resources[0].group: "build.knative.dev/v1"`,
		}},
		"both":             {policyHead + "rules: [{level: None, nonResourceURLs: [x], namespaces: [a]}]", []string{"rules[0].nonResourceURLs:", "rules[0].nonResourceURLs[0]"}},
		"names of nothing": {policyHead + "rules: [{level: None, resources: [{resourceNames: [a]}]}]", []string{"rules[0].resources[0].resources"}},
		"a rule's stage":   {policyHead + "rules: [{level: None, omitStages: [Panic, Fear]}]", []string{"rules[0].omitStages[1]"}},
	}
	for name, tc := range cases {
		_, err := ParsePolicy([]byte(tc.text))
		for _, text := range tc.says {
			if err == nil || !strings.Contains(err.Error(), text) {
				t.Errorf("%s: %q is not told: %v", name, text, err)
			}
		}
	}
	file := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(file, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{File: Stdout, PolicyFile: file}); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("the file is not named: %v", err)
	}
}

func FuzzPolicy(f *testing.F) {
	f.Add([]byte(policyHead + "rules: [{level: Metadata}]"))
	f.Add([]byte(policyHead + "rules:\n- level: None\n  resources: [{group: a, resources: [b/c, '*', '*/d']}]\n- {level: Request, nonResourceURLs: ['/a*']}"))
	f.Add([]byte(`{"apiVersion":"audit.k8s.io/v1","kind":"Policy","rules":[null, 1, {"level": []}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParsePolicy(data)
		if err != nil {
			return
		}
		if len(p.Rules) == 0 {
			t.Error("a policy without rules is taken")
		}
		for _, c := range []Call{{}, {Path: "/a"}, {Resource: "b", Subresource: "c"}, {Refused: true}} {
			if got := p.level(&c, StageResponseComplete); !strings.Contains(fmt.Sprint(levels()), string(got)) {
				t.Errorf("level %q", got)
			}
		}
	})
}

// run runs a log until the returned function is called.
func run(t *testing.T, l *Log) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := l.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	return func() { cancel(); wg.Wait() }
}

func TestALine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "logs", "audit.log")
	l, err := Open(Config{File: file})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 20, 13, 0, 0, 1000, time.FixedZone("", 3600))
	l.Write(&Event{
		Level: LevelRequest, AuditID: "r1", Stage: StageResponseComplete, RequestURI: "/fairlead.build.v1.BuildService/Create", Verb: "create",
		User: User{Username: "ada", Groups: []string{"staff"}}, SourceIPs: []string{"10.0.0.1"}, UserAgent: "kubectl",
		ObjectRef:      &ObjectReference{Resource: "builds", Namespace: "shop", Name: "web", APIGroup: "build.knative.dev", APIVersion: "v1alpha1"},
		ResponseStatus: &Status{Code: 201}, RequestObject: json.RawMessage(`{"a":1}`),
		RequestReceivedTimestamp: MicroTime{at}, StageTimestamp: MicroTime{at.Add(time.Second)},
	})
	run(t, l)()
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Request","auditID":"r1","stage":"ResponseComplete",` +
		`"requestURI":"/fairlead.build.v1.BuildService/Create","verb":"create","user":{"username":"ada","groups":["staff"]},` +
		`"sourceIPs":["10.0.0.1"],"userAgent":"kubectl",` +
		`"objectRef":{"resource":"builds","namespace":"shop","name":"web","apiGroup":"build.knative.dev","apiVersion":"v1alpha1"},` +
		`"responseStatus":{"metadata":{},"code":201},"requestObject":{"a":1},` +
		`"requestReceivedTimestamp":"2026-11-20T12:00:00.000001Z","stageTimestamp":"2026-11-20T12:00:01.000001Z"}` + "\n"
	if d := cmp.Diff(want, string(got)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	l.Write(&Event{}) // after its end it takes nothing, and harms nobody
}

func TestFilesAreOfASizeAndNoLineIsLost(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "audit.log")
	if err := os.WriteFile(filepath.Join(dir, "audit-notes.log"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	const most, kept, events = 4 << 10, 3, 100
	write := func(first, n int) {
		l, err := Open(Config{File: file, MaxFileBytes: most, MaxFiles: kept})
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			l.Write(&Event{AuditID: fmt.Sprintf("%05d", first+i)})
		}
		run(t, l)()
	}
	write(0, events/2)
	write(events/2, events/2) // goes on with the file that is there
	files, err := filepath.Glob(filepath.Join(dir, "audit-2*.log"))
	if err != nil || len(files) != kept {
		t.Fatalf("put aside: %v %v, want %d", files, err, kept)
	}
	next := -1
	for _, name := range append(files, file) {
		data, err := os.ReadFile(name)
		if err != nil || len(data) > most {
			t.Fatalf("%s: %d bytes, %v", name, len(data), err)
		}
		for line := range strings.Lines(string(data)) {
			var e struct{ AuditID string }
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatalf("%s: %q: %v", name, line, err)
			}
			var id int
			if _, err := fmt.Sscanf(e.AuditID, "%d", &id); err != nil || next >= 0 && id != next {
				t.Fatalf("%s: %s stands where %d is expected", name, e.AuditID, next)
			}
			next = id + 1
		}
	}
	if next != events {
		t.Errorf("the last line is %d", next-1)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "audit-notes.log")); err != nil || string(data) != "mine" {
		t.Errorf("another file was touched: %q %v", data, err)
	}
}

// failing is a disk that hangs or fails.
type failing struct {
	hang chan struct{}
	err  error

	mu    sync.Mutex
	lines []string
}

func (f *failing) Write(line []byte) (int, error) {
	<-f.hang
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return 0, f.err
	}
	f.lines = append(f.lines, string(line))
	return len(line), nil
}

func (f *failing) Close() error { return nil }

func TestCallsDoNotWaitForADiskThatHangs(t *testing.T) {
	registry := prometheus.NewRegistry()
	l, err := Open(Config{File: Stdout, MaxBuffered: 5, Metrics: registry})
	if err != nil {
		t.Fatal(err)
	}
	disk := &failing{hang: make(chan struct{})}
	l.out = disk
	for i := range 12 {
		l.Write(&Event{AuditID: fmt.Sprint(i)}) // nobody writes yet
	}
	if n := count(l.dropped); n != 7 {
		t.Errorf("%v were dropped, want 7", n)
	}
	close(disk.hang)
	stop := run(t, l)
	for count(l.written) < 5 {
		if t.Context().Err() != nil {
			return
		}
	}
	l.Write(&Event{AuditID: "after"})
	stop()
	last := disk.lines[len(disk.lines)-1]
	if len(disk.lines) != 6 || !strings.Contains(last, `"after"`) || !strings.Contains(last, AnnotationDropped+`":"7"`) {
		t.Errorf("the gap is not told: %v", disk.lines)
	}
}

func TestBuffersAreBoundedInBytes(t *testing.T) {
	l, err := Open(Config{File: Stdout, MaxBufferBytes: 10 << 10})
	if err != nil {
		t.Fatal(err)
	}
	l.out = &failing{hang: make(chan struct{})}
	for range 10 {
		l.Write(&Event{RequestObject: json.RawMessage(`"` + strings.Repeat("x", 2<<10) + `"`)})
	}
	if got := l.buffered.Load(); got > 10<<10 || len(l.lines) == 0 {
		t.Errorf("%d bytes wait in %d lines", got, len(l.lines))
	}
}

func TestADiskThatFailsIsTold(t *testing.T) {
	l, err := Open(Config{File: Stdout})
	if err != nil {
		t.Fatal(err)
	}
	disk := &failing{hang: make(chan struct{}), err: errors.New("disk full")}
	close(disk.hang)
	l.out = disk
	l.Write(&Event{})
	run(t, l)()
	if count(l.failed) != 1 {
		t.Error("it is not counted")
	}
}

func TestSecretsAreLeftOut(t *testing.T) {
	in := `{"token":"t1","user":"ada","spec":{"containers":[{"env":[{"name":"DB_PASSWORD","value":"p1"},{"name":"MODE","value":"fast"}]}],
		"volumes":[{"secret":{"secretName":"db"}}],"serviceAccountToken":"t2","automountServiceAccountToken":true},
		"metadata":{"name":"token","annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{\"password\":\"p2\"}","api-key":"k1"}},
		"stringData":{"x":"s1"},"kubeconfig":"k2","secrets":[{"secret":"s2"}],"tokens":3,"passwords":["a"],"password":["p3"]}`
	got := string(Redact([]byte(in)))
	for _, secret := range []string{"t1", "t2", "p1", "p2", "p3", "k1", "k2", "s1", "s2"} {
		if strings.Contains(got, `"`+secret) || strings.Contains(got, secret+`\"`) {
			t.Errorf("%s is in it: %s", secret, got)
		}
	}
	for _, kept := range []string{`"user":"ada"`, `"value":"fast"`, `"secretName":"db"`, `"automountServiceAccountToken":true`, `"name":"token"`} {
		if !strings.Contains(got, kept) {
			t.Errorf("%s is not in it: %s", kept, got)
		}
	}
	if got := string(Redact([]byte(`[{"op":"replace","path":"/spec/env/0/password","value":"p4"}]`))); strings.Contains(got, "p4") {
		t.Errorf("a patch: %s", got)
	}
	if got := Redact([]byte("a: b")); got != nil {
		t.Errorf("what is no JSON: %s", got)
	}
}

func TestConfig(t *testing.T) {
	_, err := Open(Config{MaxFiles: -1, MaxFileBytes: -1})
	for _, want := range []string{"file", "maxFiles", "maxFileBytes"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not told of: %v", want, err)
		}
	}
}

func count(c prometheus.Counter) float64 {
	m := &dto.Metric{}
	if err := c.Write(m); err != nil {
		return -1
	}
	return m.GetCounter().GetValue()
}
