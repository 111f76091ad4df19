// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"bufio"
	stdcmp "cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/gateway"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/apply"
	"fairlead.dev/services/internal/audit"
	"fairlead.dev/services/internal/clientauth"
	"fairlead.dev/services/internal/kube"
	"fairlead.dev/services/internal/resource"
	"fairlead.dev/services/internal/rpc"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/store/etcdtest"
	"fairlead.dev/services/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// users takes a token for the user's name; ada may do all, bob nothing. robot is a service account of the cluster.
type users struct{}

func (users) Authenticate(_ context.Context, token string) (*rpc.Identity, error) {
	if token == "robot" {
		return &rpc.Identity{
			User: "system:serviceaccount:ci:robot", Groups: []string{"system:serviceaccounts"}, UID: "u1", Source: rpc.SourceCluster,
			Extra: map[string][]string{"authentication.kubernetes.io/pod-name": {"p"}},
		}, nil
	}
	if token != "ada" && token != "bob" {
		return nil, apierror.Unauthorized("the token is not valid; ask for a new one")
	}
	return &rpc.Identity{User: token, Groups: []string{"staff"}}, nil
}

func (users) Authorize(_ context.Context, id *rpc.Identity, a rpc.Attributes) error {
	if id.User == "ada" {
		return nil
	}
	return apierror.Forbidden(apierror.Resource{Group: a.Group, Plural: a.Resource}, a.Name, "%s may not %s %s", id.User, a.Verb, a.Resource)
}

type whoAmI struct {
	authv1.UnimplementedTokenServiceServer
}

func (whoAmI) WhoAmI(ctx context.Context, _ *authv1.WhoAmIRequest) (*authv1.WhoAmIResponse, error) {
	id, _ := rpc.IdentityFrom(ctx)
	res := &authv1.WhoAmIResponse{User: id.User, Groups: id.Groups, Uid: id.UID, Source: string(id.Source), Extra: map[string]*authv1.ExtraValue{}}
	for key, values := range id.Extra {
		res.Extra[key] = &authv1.ExtraValue{Items: values}
	}
	return res, nil
}

func (whoAmI) Keys(context.Context, *authv1.KeysRequest) (*authv1.KeysResponse, error) {
	return &authv1.KeysResponse{Issuer: "fairlead", Url: "https://front", Keys: []*authv1.PublicKey{{Id: "k1", Algorithm: "EdDSA", Ed25519: make([]byte, 32)}}}, nil
}

// reviews lets ada do everything, as users does.
type reviews struct {
	authv1.UnimplementedAccessServiceServer
}

func (reviews) Review(ctx context.Context, r *authv1.ReviewRequest) (*authv1.ReviewResponse, error) {
	id, _ := rpc.IdentityFrom(ctx)
	return &authv1.ReviewResponse{Allowed: id.User == "ada", Reason: r.GetVerb() + " " + r.GetResource() + "/" + r.GetSubresource() + " in " + r.GetNamespace()}, nil
}

type namespaces struct{}

func (namespaces) State(context.Context, string) (kube.NamespaceState, error) {
	return kube.NamespaceActive, nil
}

// clusterStub stands in for the cluster, to see just what reaches it.
type clusterStub struct {
	address string

	mu   sync.Mutex
	last *http.Request
}

func (c *clusterStub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	c.last = r
	c.mu.Unlock()
	switch r.URL.Path {
	case "/apis":
		_, _ = io.WriteString(w, `{"kind":"APIGroupList","apiVersion":"v1","groups":[{"name":"apps","versions":[{"groupVersion":"apps/v1","version":"v1"}]},{"name":"serving.knative.dev","versions":[{"groupVersion":"serving.knative.dev/v1","version":"v1"}]}]}`)
	case "/openapi/v3":
		_, _ = io.WriteString(w, `{"paths":{"api/v1":{"serverRelativeURL":"/openapi/v3/api/v1?hash=1"},"apis/serving.knative.dev/v0":{"serverRelativeURL":"/openapi/v3/apis/serving.knative.dev/v0?hash=1"}}}`)
	case "/openapi/v2":
		w.Header().Set("ETag", `"1"`)
		if r.Header.Get("If-None-Match") == `"1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = io.WriteString(w, `{"swagger":"2.0","info":{"title":"Kubernetes","version":"v1.34.0"},"paths":{"/api/v1/pods":{"get":{"operationId":"listPods","responses":{"200":{"description":"OK","schema":{"$ref":"#/definitions/Pods"}}}}},`+
			`"/apis/serving.knative.dev/v0/relics":{"get":{"operationId":"listRelics","responses":{"200":{"description":"OK"}}}}},"definitions":{"Pods":{"type":"object"}}}`)
	case "/redirect":
		w.Header().Set("Location", stdcmp.Or(r.URL.Query().Get("to"), "https://elsewhere.test/"))
		w.WriteHeader(http.StatusFound)
	case "/apis/authorization.k8s.io/v1/subjectaccessreviews", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
		"/apis/authorization.k8s.io/v1/namespaces/shop/localsubjectaccessreviews":
		c.review(w, r)
	default:
		_, _ = io.WriteString(w, `{"kind":"Something","metadata":{"name":"x","resourceVersion":"1"}}`)
	}
}

func (c *clusterStub) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = nil
}

func (c *clusterStub) seen() *http.Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last
}

// sameFields converts to a kind by the fields that both forms have.
func sameFields(k kinds.Kind) func(store.Object) (store.Object, error) {
	return func(obj store.Object) (store.Object, error) {
		out, ok := k.New().(store.Object)
		if !ok {
			return nil, fmt.Errorf("%s is no object", k.Kind)
		}
		data, err := protojson.Marshal(obj)
		if err != nil {
			return nil, err
		}
		return out, protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(data, out)
	}
}

// owner is the one that owns all groups.
type owner struct{ grpc.ClientConnInterface }

func (o owner) Conn(string) (grpc.ClientConnInterface, error) { return o, nil }

type fixture struct {
	*testing.T

	url     string
	cluster *clusterStub
	trust   *clientauth.Trust
	handler http.Handler
}

func start(t *testing.T) *fixture { return startAudited(t, nil) }

// startAudited has calls noted in a log; nil notes none.
func startAudited(t *testing.T, log *audit.Log) *fixture { return startWith(t, log, nil) }

// startWith lets a test change what the gateway is made of, too.
func startWith(t *testing.T, log *audit.Log, change func(*gateway.Config, *gateway.Deps)) *fixture {
	t.Helper()
	s := storetest.StartOn(t, etcdtest.Start(t), store.Options{})
	server, err := rpc.NewServer(rpc.Config{Authn: users{}, Authz: users{}, Audit: log})
	if err != nil {
		t.Fatal(err)
	}
	var handlers []resource.Handler
	for _, k := range kinds.Versions() {
		h := resource.Handler{Kind: k}
		if k.StoredVersion != "" {
			h.Convert = &resource.Conversion{ToStored: sameFields(k.Stored()), FromStored: sameFields(k)}
		}
		handlers = append(handlers, h)
	}
	if err := resource.Register(server, resource.Deps{Store: s, Namespaces: namespaces{}}, handlers...); err != nil {
		t.Fatal(err)
	}
	authv1.RegisterTokenServiceServer(server, whoAmI{})
	authv1.RegisterAccessServiceServer(server, reviews{})
	memory := rpc.NewInMemory(server)
	conn, err := memory.Dial(nil)
	if err != nil {
		t.Fatal(err)
	}
	committer, err := apply.NewCommitter(apply.CommitterDeps{Store: s, Peers: owner{conn}, Kinds: kinds.Versions()})
	if err != nil {
		t.Fatal(err)
	}
	if err := committer.Register(server); err != nil {
		t.Fatal(err)
	}
	stub := &clusterStub{}
	cluster := httptest.NewServer(stub)
	stub.address = cluster.URL
	trust := clientauth.New()
	cfg, deps := gateway.DefaultConfig(), gateway.Deps{
		Conn: conn, Kinds: kinds.Versions(), Cluster: &rest.Config{Host: cluster.URL}, Log: slog.New(slog.DiscardHandler),
		Metrics: prometheus.NewRegistry(), Clients: trust,
	}
	if change != nil {
		change(&cfg, &deps)
	}
	g, err := gateway.New(t.Context(), cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(g.Handler())
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		front.CloseClientConnections()
		front.Close()
		_ = conn.Close()
		server.Stop()
		_ = memory.Close()
		cluster.CloseClientConnections()
		cluster.Close()
	})
	return &fixture{T: t, url: front.URL, cluster: stub, trust: trust, handler: g.Handler()}
}

// send sends a request as ada, and returns the code, the header and the body.
func (f *fixture) send(method, path, body string, headers ...string) (int, http.Header, string) {
	f.Helper()
	ctx, cancel := context.WithTimeout(f.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, f.url+path, strings.NewReader(body))
	if err != nil {
		f.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer ada")
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		f.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		f.Fatal(err)
	}
	return res.StatusCode, res.Header, string(data)
}

const builds = "/apis/build.knative.dev/v1alpha1/namespaces/default/builds"

func build(name, extra string) string {
	return `{"apiVersion":"build.knative.dev/v1alpha1","kind":"Build","metadata":{"name":"` + name + `"` + extra + `},"spec":{"steps":[{"name":"a","image":"i"}]}}`
}

// TestVerbs goes through the life of an object as a Kubernetes client sees it.
func TestVerbs(t *testing.T) {
	f := start(t)
	steps := []struct {
		name, method, path, body string
		headers                  []string
		code                     int
		says                     []string
	}{
		{"create", "POST", builds, build("one", ""), nil, 201, []string{`"apiVersion":"build.knative.dev/v1alpha1"`, `"kind":"Build"`, `"generation":1`, `"namespace":"default"`}},
		{"create again", "POST", builds, build("one", ""), nil, 409, []string{`"reason":"AlreadyExists"`}},
		{"create in YAML", "POST", builds, "metadata: {name: two}\nspec: {steps: [{name: a, image: i}]}\n", []string{"Content-Type", "application/yaml"}, 201, nil},
		{"dry run", "POST", builds + "?dryRun=All", build("three", ""), nil, 201, nil},
		{"dry run stored nothing", "GET", builds + "/three", "", nil, 404, []string{`"reason":"NotFound"`, `\"three\" not found`}},
		{"get", "GET", builds + "/one", "", nil, 200, []string{`"name":"one"`}},
		{"get YAML", "GET", builds + "/one", "", []string{"Accept", "application/yaml"}, 200, []string{"kind: Build\n"}},
		{"get protobuf only", "GET", builds + "/one", "", []string{"Accept", "application/vnd.kubernetes.protobuf"}, 406, nil},
		{"list", "GET", builds, "", nil, 200, []string{`"kind":"BuildList"`, `"resourceVersion":"`, `"name":"two"`}},
		{"list everywhere", "GET", "/apis/build.knative.dev/v1alpha1/builds?limit=1", "", nil, 200, []string{`"continue":"`}},
		{"unknown parameters are ignored", "GET", builds + "?pretty=true&x=y", "", nil, 200, nil},
		{"bad selector", "GET", builds + "?labelSelector=%3D%3D", "", nil, 400, []string{`"reason":"BadRequest"`}},
		{"merge patch", "PATCH", builds + "/one", `{"metadata":{"labels":{"a":"b"}}}`, []string{"Content-Type", "application/merge-patch+json"}, 200, []string{`"a":"b"`}},
		{"JSON patch", "PATCH", builds + "/one", `[{"op":"replace","path":"/spec/status","value":"BuildCancelled"}]`, []string{"Content-Type", "application/json-patch+json"}, 200, []string{`"status":"BuildCancelled"`}},
		{"strategic patch", "PATCH", builds + "/one", `{}`, []string{"Content-Type", "application/strategic-merge-patch+json"}, 415, []string{"merge-patch"}},
		{"apply patch creates", "PATCH", builds + "/new?fieldManager=me&force=true", build("new", ""), []string{"Content-Type", "application/apply-patch+yaml"}, 201, nil},
		{"status patch", "PATCH", builds + "/one/status", `{"status":{"builder":"Cluster"}}`, []string{"Content-Type", "application/merge-patch+json"}, 200, []string{`"builder":"Cluster"`}},
		{"update with an old version", "PUT", builds + "/one", build("one", `,"resourceVersion":"1"`), nil, 409, []string{`"reason":"Conflict"`}},
		{"unknown field warns", "PUT", builds + "/one", strings.Replace(build("one", ""), `"spec":{`, `"spec":{"status":"BuildCancelled","nope":1,`, 1), nil, 200, nil},
		{"delete with another UID", "DELETE", builds + "/one", `{"preconditions":{"uid":"other"}}`, nil, 409, nil},
		{"delete", "DELETE", builds + "/one", `{"propagationPolicy":"Background"}`, nil, 200, []string{`"status":"Success"`, `"kind":"builds"`}},
		{"delete again", "DELETE", builds + "/one", "", nil, 404, nil},
		{"delete all", "DELETE", builds, "", nil, 200, []string{`"status":"Success"`}},
		{"nothing is left", "GET", builds, "", nil, 200, []string{`"items":[]`}},
		{"no such verb", "POST", builds + "/one", "{}", nil, 405, []string{`"reason":"MethodNotAllowed"`}},
		{"no such resource", "GET", strings.Replace(builds, "builds", "bilds", 1), "", nil, 404, nil},
		{"no right", "GET", builds, "", []string{"Authorization", "Bearer bob"}, 403, []string{"bob may not list builds"}},
		{"no such token", "GET", builds, "", []string{"Authorization", "Bearer eve"}, 401, []string{"ask for a new one"}},
		{"no token", "GET", builds, "", []string{"Authorization", ""}, 401, []string{"Bearer TOKEN"}},
	}
	for _, s := range steps {
		code, header, body := f.send(s.method, s.path, s.body, s.headers...)
		if code != s.code {
			t.Errorf("%s: got %d, want %d: %s", s.name, code, s.code, body)
		}
		for _, text := range s.says {
			if !strings.Contains(body, text) {
				t.Errorf("%s: no %s in %s", s.name, text, body)
			}
		}
		if warned := strings.Contains(header.Get("Warning"), `unknown field \"spec.nope\"`); warned != (s.name == "unknown field warns") {
			t.Errorf("%s: Warning is %q", s.name, header.Get("Warning"))
		}
		if code >= 400 {
			var st kmetav1.Status
			if err := json.Unmarshal([]byte(body), &st); err != nil || st.Kind != "Status" || int(st.Code) != code {
				t.Errorf("%s: no Status of code %d: %s", s.name, code, body)
			}
		}
	}
}

func TestTable(t *testing.T) {
	f := start(t)
	f.send("POST", builds, build("one", ""))
	for _, path := range []string{builds, builds + "/one"} {
		_, header, body := f.send("GET", path, "", "Accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json")
		var table kmetav1.Table
		if err := json.Unmarshal([]byte(body), &table); err != nil || table.Kind != "Table" || len(table.Rows) != 1 {
			t.Fatalf("%s: no Table of one row: %v %s", path, err, body)
		}
		if table.ColumnDefinitions[0].Name != "Name" || table.Rows[0].Cells[0] != "one" {
			t.Errorf("%s: columns %v, cells %v", path, table.ColumnDefinitions, table.Rows[0].Cells)
		}
		if got := header.Get("Content-Type"); got != "application/json" {
			t.Errorf("%s: Content-Type %q", path, got)
		}
	}
}

// TestWatch has the headers come before any event, then events bare, and an ERROR event or Status where it cannot go on.
func TestWatch(t *testing.T) {
	f := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url+builds+"?watch=true", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer ada")
	res, err := http.DefaultClient.Do(req) // returns once there are headers
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	next := func() (kind string, object map[string]any) {
		t.Helper()
		if !lines.Scan() {
			t.Fatalf("the watch ended: %v", lines.Err())
		}
		var e struct {
			Type   string
			Object map[string]any
		}
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatalf("%v: %s", err, lines.Text())
		}
		return e.Type, e.Object
	}
	f.send("POST", builds, build("one", ""))
	if kind, obj := next(); kind != "ADDED" || obj["kind"] != "Build" {
		t.Errorf("got %s %v, want ADDED of a Build", kind, obj)
	}
	f.send("DELETE", builds+"/one", "")
	if kind, _ := next(); kind != "DELETED" {
		t.Errorf("got %s, want DELETED", kind)
	}
	if code, _, body := f.send("GET", builds+"?watch=true&labelSelector=%3D%3D", ""); code != 400 || !strings.Contains(body, `"kind":"Status"`) || strings.Contains(body, "ERROR") {
		t.Errorf("a watch that cannot begin: %d %s, want a Status of code 400", code, body)
	}
	if code, _, body := f.send("GET", builds+"?watch=true&timeoutSeconds=1", ""); code != 200 || body != "" {
		t.Errorf("a watch that times out: %d %q, want 200 and no event", code, body)
	}
}

func TestDiscovery(t *testing.T) {
	f := start(t)
	_, _, body := f.send("GET", "/apis", "")
	var list kmetav1.APIGroupList
	if err := json.Unmarshal([]byte(body), &list); err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, g := range list.Groups {
		count[g.Name]++
	}
	want := map[string]int{"apps": 1, "auth.fairlead.dev": 1, "build.knative.dev": 1, "eventing.knative.dev": 1, "serving.knative.dev": 1}
	if d := cmp.Diff(want, count); d != "" {
		t.Errorf("groups, each once, the cluster's of our names dropped (-want +got):\n%s", d)
	}
	_, _, body = f.send("GET", "/apis/serving.knative.dev/v1", "")
	for _, text := range []string{`"shortNames":["kservice","ksvc"]`, `"name":"services/status"`, `"categories":["all","knative","serving"]`} {
		if !strings.Contains(body, text) {
			t.Errorf("no %s in %s", text, body)
		}
	}
	_, _, body = f.send("GET", "/openapi/v3", "")
	for _, text := range []string{"api/v1", "apis/serving.knative.dev/v1"} {
		if !strings.Contains(body, text) {
			t.Errorf("no %s in the OpenAPI index: %s", text, body)
		}
	}
	if code, _, body := f.send("GET", "/openapi/v3/apis/serving.knative.dev/v1", ""); code != 200 || !strings.Contains(body, `"openapi":"3.`) {
		t.Errorf("OpenAPI: %d %.200s", code, body)
	}
}

// TestPassThrough has the cluster see the caller by its name there, and nothing of what the caller claims to be.
func TestPassThrough(t *testing.T) {
	f := start(t)
	f.send("GET", "/api/v1/pods", "", "X-Remote-User", "root", "X-Remote-Group", "system:masters", "Cookie", "session=1",
		"Sec-WebSocket-Protocol", "v4.channel.k8s.io, base64url.bearer.authorization.k8s.io.c2VjcmV0")
	got := f.cluster.seen().Header
	want := map[string][]string{
		"Impersonate-User": {"fairlead:ada"}, "Impersonate-Group": {"fairlead:staff"}, "Sec-Websocket-Protocol": {"v4.channel.k8s.io"},
	}
	for name, values := range want {
		if d := cmp.Diff(values, got[name]); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	for name := range got {
		if strings.HasPrefix(name, "X-Remote") || name == "Authorization" || name == "Cookie" || name == "Impersonate-Extra-Scopes" {
			t.Errorf("%s reached the cluster", name)
		}
	}
	if code, _, _ := f.send("GET", "/redirect", ""); code == http.StatusFound {
		t.Error("a redirect to another host was handed on")
	}
	before := f.cluster.seen()
	for _, path := range []string{"/apis/serving.knative.dev/v2/things", "/apis/serving.knative.dev/v1/namespaces/a/things", "/api/v1/../../apis/serving.knative.dev/v1/services", "//api/v1/pods"} {
		if code, _, body := f.send("GET", path, ""); code < 400 {
			t.Errorf("%s: got %d %s", path, code, body)
		}
	}
	if f.cluster.seen() != before {
		t.Errorf("%s of a group of ours, or an odd path, reached the cluster", f.cluster.seen().URL)
	}
	if code, _, _ := f.send("GET", "/api/v1/pods", "", "Authorization", "Bearer eve"); code != 401 || f.cluster.seen() != before {
		t.Errorf("without a good token: got %d, want 401 and nothing at the cluster", code)
	}
}

func TestApply(t *testing.T) {
	f := start(t)
	docs := build("one", "") + "\n---\n" + build("two", "")
	code, _, body := f.send("POST", "/apply", docs)
	if code != 200 || strings.Count(body, `"action":"created"`) != 2 {
		t.Fatalf("got %d %s", code, body)
	}
	if _, _, body = f.send("POST", "/apply", docs); strings.Count(body, `"action":"unchanged"`) != 2 {
		t.Errorf("again: %s", body)
	}
	bad := strings.Replace(build("three", ""), `"steps"`, `"stepz"`, 1)
	code, _, body = f.send("POST", "/apply", build("four", "")+"\n---\n"+bad)
	if code != 400 || !strings.Contains(body, "spec.stepz") || !strings.Contains(body, "documents[1]") {
		t.Errorf("with a fault: got %d %s, want 400 naming the field and the document", code, body)
	}
	if code, _, _ := f.send("GET", builds+"/four", ""); code != 404 {
		t.Errorf("a document beside one with a fault was stored: %d", code)
	}
	if code, _, _ := f.send("POST", "/apply", build("one", ""), "Authorization", "Bearer bob"); code != 403 {
		t.Errorf("without a right: got %d, want 403", code)
	}
	if code, _, body := f.send("POST", "/apply", ""); code != 400 || !strings.Contains(body, "no document") {
		t.Errorf("no document: got %d %s", code, body)
	}
}

func TestBodyTooLarge(t *testing.T) {
	f := start(t)
	tests := []struct {
		reason  string
		headers []string
	}{
		{"a plain request", nil},
		{"a header alone does not make a stream of it", []string{"Upgrade", "websocket", "Connection", "Upgrade"}},
	}
	for _, test := range tests {
		for _, path := range []string{builds, "/apply", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"} {
			code, _, body := f.send("POST", path, fmt.Sprintf(`{"metadata":{"name":%q}}`, strings.Repeat("x", 5<<20)), test.headers...)
			if code != http.StatusRequestEntityTooLarge || !strings.Contains(body, "RequestEntityTooLarge") || !strings.Contains(body, "larger than 3145728 bytes") {
				t.Errorf("%s: %s: got %d %.300s, want 413 that names the limit", test.reason, path, code, body)
			}
		}
	}
}

func TestHealth(t *testing.T) {
	f := start(t)
	for _, path := range []string{"/healthz", "/livez", "/readyz"} {
		if code, _, body := f.send("GET", path, "", "Authorization", ""); code != 200 || body != "ok" {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
}
