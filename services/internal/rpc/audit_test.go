// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	buildv1 "fairlead.dev/gen/go/fairlead/build/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/internal/audit"
	"fairlead.dev/services/internal/rpc/encoded"
)

// maker is a service of a kind, which gives names to what it makes.
type maker struct {
	buildv1.UnimplementedBuildServiceServer
}

func (maker) Create(_ context.Context, r *buildv1.BuildServiceCreateRequest) (*buildv1.Build, error) {
	r.Object.Metadata.Name = "web-x7"
	return r.GetObject(), nil
}

func (maker) Get(context.Context, *metav1.GetRequest) (*buildv1.Build, error) { panic("boom") }

func (maker) Patch(context.Context, *metav1.PatchRequest) (*buildv1.Build, error) {
	return &buildv1.Build{Metadata: &metav1.ObjectMeta{Name: "web"}}, nil
}

func (maker) Watch(_ *metav1.WatchRequest, s grpc.ServerStreamingServer[buildv1.BuildServiceWatchResponse]) error {
	return s.Send(&buildv1.BuildServiceWatchResponse{})
}

// issuer is a service that makes tokens.
type issuer struct {
	authv1.UnimplementedTokenServiceServer
}

func (issuer) Issue(context.Context, *authv1.IssueRequest) (*authv1.IssueResponse, error) {
	return &authv1.IssueResponse{Token: "made-secret", Id: "t1"}, nil
}

// clients are the clients of a server with an audit log.
type clients struct {
	builds buildv1.BuildServiceClient
	tokens authv1.TokenServiceClient
}

// auditedCalls makes calls on a server with a policy, the default one where it is empty, and returns the log.
func auditedCalls(t *testing.T, policy string, calls func(clients)) []auditLine {
	t.Helper()
	dir := t.TempDir()
	cfg := audit.Config{File: filepath.Join(dir, "audit.log")}
	if policy != "" {
		cfg.PolicyFile = filepath.Join(dir, "policy.yaml")
		if err := os.WriteFile(cfg.PolicyFile, []byte("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: ["+policy+"]"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	log, err := audit.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	server, err := NewServer(Config{Authn: users{}, Authz: &recorder{}, Audit: log})
	if err != nil {
		t.Fatal(err)
	}
	buildv1.RegisterBuildServiceServer(server, maker{})
	authv1.RegisterTokenServiceServer(server, issuer{})
	memory := NewInMemory(server)
	conn, err := memory.Dial(nil)
	if err != nil {
		t.Fatal(err)
	}
	calls(clients{buildv1.NewBuildServiceClient(conn), authv1.NewTokenServiceClient(conn)})
	_ = conn.Close()
	server.GracefulStop() // calls are over, and noted
	_ = memory.Close()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = log.Run(ctx) })
	cancel()
	wg.Wait()
	data, err := os.ReadFile(cfg.File)
	if err != nil {
		t.Fatal(err)
	}
	var out []auditLine
	for line := range strings.Lines(string(data)) {
		e := auditLine{text: line}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		out = append(out, e)
	}
	return out
}

// auditLine is what tests look at of an event.
type auditLine struct {
	AuditID, Level, Stage, Verb string
	User                        struct{ Username string }
	ObjectRef                   struct{ Resource, Namespace, Name, APIGroup, APIVersion string }
	ResponseStatus              struct {
		Code            int
		Reason, Message string
	}
	SourceIPs                     []string
	UserAgent                     string
	RequestObject, ResponseObject json.RawMessage
	text                          string
}

// brief is one line a line.
func brief(lines []auditLine) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = strings.Join([]string{
			l.Stage, l.Level, l.User.Username, l.Verb, l.ObjectRef.Resource, l.ObjectRef.Namespace + "/" + l.ObjectRef.Name, l.ResponseStatus.Reason,
		}, " ")
	}
	return out
}

func allCalls(t *testing.T) func(clients) {
	return func(c clients) {
		alice := metadata.AppendToOutgoingContext(as("alice"), RequestIDKey, "r-1", "x-forwarded-for", "10.1.2.3, evil", UserAgentKey, "kubectl/1.32")
		if _, err := c.builds.Create(alice, &buildv1.BuildServiceCreateRequest{Object: &buildv1.Build{
			Metadata: &metav1.ObjectMeta{Namespace: "shop", GenerateName: "web-", Annotations: map[string]string{"api-token": "hunter1"}},
		}}); err != nil {
			t.Fatal(err)
		}
		_, _ = c.builds.Create(as("bob"), &buildv1.BuildServiceCreateRequest{Object: &buildv1.Build{Metadata: &metav1.ObjectMeta{Namespace: "shop", Name: "b"}}})
		_, _ = c.builds.List(context.Background(), &metav1.ListRequest{Namespace: "shop"})
		_, _ = c.builds.List(as("alice"), &metav1.ListRequest{Namespace: "shop"})
		_, _ = c.builds.Get(as("alice"), &metav1.GetRequest{Namespace: "shop", Name: "web"})
		_, _ = c.builds.Patch(as("alice"), &metav1.PatchRequest{Namespace: "shop", Name: "web", Patch: []byte(`{"spec":{"password":"hunter2"}}`)})
		_, _ = c.tokens.Issue(as("alice"), &authv1.IssueRequest{User: "carol"})
		for _, user := range []string{"alice", "bob"} {
			stream, err := c.builds.Watch(as(user), &metav1.WatchRequest{Namespace: "shop"})
			for err == nil {
				_, err = stream.Recv()
			}
		}
		_, _ = c.tokens.WhoAmI(as("alice"), &authv1.WhoAmIRequest{})
	}
}

func TestAuditByTheDefaultPolicy(t *testing.T) {
	want := []string{
		"ResponseComplete Metadata alice create builds shop/web-x7 ",
		"ResponseComplete Metadata bob create builds shop/b Forbidden",
		"ResponseComplete Metadata  list builds shop/ Unauthorized",
		"ResponseComplete Metadata alice patch builds shop/web ",
		"ResponseComplete Metadata alice create tokens / ",
		"ResponseComplete Metadata bob watch builds shop/ Forbidden",
	}
	got := auditedCalls(t, "", allCalls(t))
	if d := cmp.Diff(want, brief(got)); d != "" {
		t.Fatalf("(-want +got):\n%s", d)
	}
	first := got[0]
	if first.AuditID != "r-1" || first.UserAgent != "kubectl/1.32" || cmp.Diff([]string{"10.1.2.3"}, first.SourceIPs) != "" ||
		first.ObjectRef.APIGroup != "build.knative.dev" || first.ObjectRef.APIVersion != "v1alpha1" || first.ResponseStatus.Code != 201 {
		t.Errorf("got %s", first.text)
	}
	if got[1].ResponseStatus.Code != 403 || !strings.Contains(got[1].ResponseStatus.Message, "bob") || got[2].ResponseStatus.Code != 401 {
		t.Errorf("got %s%s", got[1].text, got[2].text)
	}
	for _, l := range got {
		if l.RequestObject != nil || l.ResponseObject != nil {
			t.Errorf("more than metadata: %s", l.text)
		}
	}
}

func TestAuditOfEverything(t *testing.T) {
	want := []string{
		"ResponseComplete RequestResponse alice create builds shop/web-x7 ",
		"ResponseComplete RequestResponse bob create builds shop/b Forbidden",
		"ResponseComplete RequestResponse  list builds shop/ Unauthorized",
		"ResponseComplete RequestResponse alice list builds shop/ MethodNotAllowed",
		"Panic RequestResponse alice get builds shop/web InternalError",
		"ResponseComplete RequestResponse alice patch builds shop/web ",
		"ResponseComplete RequestResponse alice create tokens / ",
		"ResponseStarted RequestResponse alice watch builds shop/ ",
		"ResponseComplete RequestResponse alice watch builds shop/ ",
		"ResponseComplete RequestResponse bob watch builds shop/ Forbidden",
		"ResponseComplete RequestResponse alice post  / MethodNotAllowed",
	}
	got := auditedCalls(t, "{level: RequestResponse}", allCalls(t))
	if d := cmp.Diff(want, brief(got)); d != "" {
		t.Fatalf("(-want +got):\n%s", d)
	}
	for _, l := range got {
		for _, secret := range []string{"hunter1", "hunter2", "made-secret", "Bearer alice"} {
			if strings.Contains(l.text, secret) {
				t.Errorf("%s is in it: %s", secret, l.text)
			}
		}
	}
	if s := string(got[0].RequestObject); !strings.Contains(s, `"generateName":"web-"`) || strings.Contains(s, "web-x7") {
		t.Errorf("the request is not what was sent: %s", s)
	}
	if s := string(got[0].ResponseObject); !strings.Contains(s, `"name":"web-x7"`) {
		t.Errorf("the answer: %s", s)
	}
	if s := string(got[5].RequestObject); !strings.Contains(s, `"password":"[left out]"`) {
		t.Errorf("the patch: %s", s)
	}
	if s := string(got[6].RequestObject); !strings.Contains(s, "carol") || got[6].ResponseObject != nil {
		t.Errorf("a token's request: %s", got[6].text)
	}
	if got[2].RequestObject != nil {
		t.Errorf("what nobody said is kept: %s", got[2].text)
	}
}

func TestAuditKeepsNothingOfWhatIsEncrypted(t *testing.T) {
	m := describe("/fairlead.build.v1.BuildService/Patch")
	patch := &metav1.PatchRequest{Patch: []byte(`{"spec":{"a":1}}`)}
	if got := string(m.keptRequest(patch)); got != `{"spec":{"a":1}}` {
		t.Errorf("a patch: %q", got)
	}
	m.kind.Encrypted = true
	if got := m.keptRequest(patch); got != nil {
		t.Errorf("of an encrypted kind: %s", got)
	}
	nested := &buildv1.BuildServiceListResponse{Items: []*buildv1.Build{{Metadata: &metav1.ObjectMeta{Name: "a"}}}}
	clearBytes(nested.ProtoReflect())
	clearBytes(patch.ProtoReflect())
	if len(patch.GetPatch()) != 0 || nested.GetItems()[0].GetMetadata().GetName() != "a" {
		t.Errorf("bytes are kept, or more is gone: %v %v", patch, nested)
	}
}

func TestAuditKeepsNoAnswerOfWhatIsEncrypted(t *testing.T) {
	log, err := audit.Open(audit.Config{File: filepath.Join(t.TempDir(), "audit.log"), PolicyFile: everythingPolicy(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer endedLog(log)
	build := &buildv1.Build{Metadata: &metav1.ObjectMeta{Name: "web"}}
	data, err := proto.Marshal(build)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		reason    string
		encrypted bool
		answer    any
		want      string
	}{
		{"an object", false, build, `"metadata":{"name":"web"}`},
		{"an object that is encoded", false, encoded.New(build.ProtoReflect().Type(), data), `"metadata":{"name":"web"}`},
		{"an object that is encrypted at rest", true, build, ""},
		{"the same, encoded", true, encoded.New(build.ProtoReflect().Type(), data), ""},
	}
	for _, test := range tests {
		t.Run(test.reason, func(t *testing.T) {
			d := &audited{of: &auditing{log: log}, m: describe("/fairlead.build.v1.BuildService/Get")}
			d.m.kind.Encrypted = test.encrypted
			d.about(d.m.right)
			d.answered(test.answer)
			if got := string(d.response); !strings.Contains(got, test.want) || (test.want == "") != (got == "") {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func everythingPolicy(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(path, []byte("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: RequestResponse}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func endedLog(log *audit.Log) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = log.Run(ctx) // closes its file
}
