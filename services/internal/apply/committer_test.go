// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package apply_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	buildv1 "fairlead.dev/gen/go/fairlead/build/v1"
	corepb "fairlead.dev/gen/go/fairlead/core/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/apply"
	"fairlead.dev/services/internal/resource"
	"fairlead.dev/services/internal/rpc"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/store/etcdtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// callers takes each token for the user's name. The one called `reader` may do nothing but read, `builder` writes builds only.
type callers struct{}

func (callers) Authenticate(_ context.Context, token string) (*rpc.Identity, error) {
	return &rpc.Identity{User: token}, nil
}

func (callers) Authorize(_ context.Context, id *rpc.Identity, a rpc.Attributes) error {
	if id.User == "reader" && a.Verb != "get" || id.User == "builder" && a.Resource != "builds" || id.User == "patcher" && a.Verb == "create" {
		return apierror.Forbidden(apierror.Resource{Group: a.Group, Plural: a.Resource}, a.Name, "%s may not %s", id.User, a.Verb)
	}
	return nil
}

// together is a server with the kinds of two owners, and a committer.
type together struct {
	conn  *grpc.ClientConn
	apply metav1.ApplyServiceClient
	build buildv1.BuildServiceClient
	role  authv1.ClusterRoleServiceClient
	// prepared is called after an owner has prepared a document; nil does nothing.
	prepared func()
}

// Conn implements apply.Peers.
func (s *together) Conn(group string) (grpc.ClientConnInterface, error) {
	if group == "serving.knative.dev" {
		return nil, apierror.Unavailable(0, "serving is away")
	}
	return &hooked{s.conn, s}, nil
}

type hooked struct {
	grpc.ClientConnInterface

	server *together
}

func (h *hooked) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	err := h.ClientConnInterface.Invoke(ctx, method, args, reply, opts...)
	if h.server.prepared != nil {
		h.server.prepared()
	}
	return err //nolint:wrapcheck // as it came
}

func as(t *testing.T, user string) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return metadata.AppendToOutgoingContext(ctx, rpc.AuthorizationKey, "Bearer "+user)
}

func startTogether(t *testing.T) *together {
	t.Helper()
	st, err := store.New(etcdtest.Start(t), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- st.Run(ctx) }()
	server, err := rpc.NewServer(rpc.Config{Authn: callers{}, Authz: callers{}})
	if err != nil {
		t.Fatal(err)
	}
	build, _ := kinds.ByMessage("fairlead.build.v1.Build")
	role, _ := kinds.ByMessage("fairlead.auth.v1.ClusterRole")
	if err := resource.Register(server, resource.Deps{Store: st}, resource.Handler{Kind: build}, resource.Handler{Kind: role}); err != nil {
		t.Fatal(err)
	}
	s := &together{}
	committer, err := apply.NewCommitter(apply.CommitterDeps{Store: st, Peers: s, Kinds: kinds.Versions()})
	if err != nil {
		t.Fatal(err)
	}
	if err := committer.Register(server); err != nil {
		t.Fatal(err)
	}
	memory := rpc.NewInMemory(server)
	if s.conn, err = memory.Dial(nil); err != nil {
		t.Fatal(err)
	}
	s.apply, s.build, s.role = metav1.NewApplyServiceClient(s.conn), buildv1.NewBuildServiceClient(s.conn), authv1.NewClusterRoleServiceClient(s.conn)
	t.Cleanup(func() {
		_ = s.conn.Close()
		server.Stop()
		_ = memory.Close()
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	})
	return s
}

func buildDoc(name, image string) string {
	return "apiVersion: build.knative.dev/v1alpha1\nkind: Build\nmetadata: {name: " + name + ", namespace: shop}\nspec: {steps: [{name: one, image: '" + image + "'}]}\n---\n"
}

func roleDoc(name, verb string) string {
	return "apiVersion: auth.fairlead.dev/v1\nkind: ClusterRole\nmetadata: {name: " + name + "}\nrules: [{verbs: [" + verb + "], apiGroups: ['*'], resources: ['*']}]\n---\n"
}

func actions(r *metav1.ApplyResponse) []string {
	var out []string
	for _, item := range r.GetItems() {
		out = append(out, item.GetKind()+" "+item.GetName()+" "+item.GetAction())
	}
	return out
}

func TestDocumentsAreStoredTogether(t *testing.T) {
	s := startTogether(t)
	ctx := as(t, "alice")
	documents := []byte(buildDoc("web", "one") + roleDoc("viewer", "get"))
	dry, err := s.apply.Apply(ctx, &metav1.ApplyRequest{Documents: documents, DryRun: []string{"All"}})
	if d := cmp.Diff([]string{"Build web created", "ClusterRole viewer created"}, actions(dry)); d != "" || err != nil {
		t.Fatalf("dry run: %v (-want +got):\n%s", err, d)
	}
	if _, err := s.build.Get(ctx, &metav1.GetRequest{Namespace: "shop", Name: "web"}); !apierror.IsNotFound(apierror.FromStatus(err)) {
		t.Errorf("a dry run stores: %v", err)
	}
	first, err := s.apply.Apply(ctx, &metav1.ApplyRequest{Documents: documents})
	if d := cmp.Diff([]string{"Build web created", "ClusterRole viewer created"}, actions(first)); d != "" || err != nil {
		t.Fatalf("%v (-want +got):\n%s", err, d)
	}
	build, err := s.build.Get(ctx, &metav1.GetRequest{Namespace: "shop", Name: "web"})
	if err != nil {
		t.Fatal(err)
	}
	role, err := s.role.Get(ctx, &metav1.GetRequest{Name: "viewer"})
	if err != nil {
		t.Fatal(err)
	}
	version := first.GetItems()[0].GetResourceVersion()
	if version == "" || build.GetMetadata().GetResourceVersion() != version || role.GetMetadata().GetResourceVersion() != version {
		t.Errorf("versions %q, %q and %q, want one", version, build.GetMetadata().GetResourceVersion(), role.GetMetadata().GetResourceVersion())
	}
	again, err := s.apply.Apply(ctx, &metav1.ApplyRequest{Documents: documents})
	if d := cmp.Diff([]string{"Build web unchanged", "ClusterRole viewer unchanged"}, actions(again)); d != "" || err != nil ||
		again.GetItems()[1].GetResourceVersion() != version {
		t.Errorf("the same again: %v %v (-want +got):\n%s", again, err, d)
	}
	some, err := s.apply.Apply(ctx, &metav1.ApplyRequest{Documents: []byte(buildDoc("web", "two") + roleDoc("viewer", "get") + buildDoc("new", "x"))})
	if d := cmp.Diff([]string{"Build web configured", "ClusterRole viewer unchanged", "Build new created"}, actions(some)); d != "" || err != nil {
		t.Fatalf("%v (-want +got):\n%s", err, d)
	}
	if v := some.GetItems(); v[0].GetResourceVersion() != v[2].GetResourceVersion() || v[1].GetResourceVersion() != version {
		t.Errorf("versions: %v", some)
	}
	history, err := s.build.History(ctx, &metav1.HistoryRequest{Namespace: "shop", Name: "web"})
	if err != nil || len(history.GetVersions()) != 1 {
		t.Errorf("history of what was applied together: %v, %v", history, err)
	}
}

func TestNothingIsStoredWithAFault(t *testing.T) {
	many := strings.Builder{}
	for i := range apply.MaxAtomicDocuments + 2 {
		many.WriteString(buildDoc(fmt.Sprintf("b%d", i), "x"))
	}
	large := strings.Replace(buildDoc("large", "x"), "name: large", "name: large, annotations: {big: '"+strings.Repeat("x", 700<<10)+"'}", 1)
	for name, c := range map[string]struct {
		user, documents string
		reason          apierror.Reason
		text            string
		fields          []string
	}{
		"a fault in the second": {
			"alice", buildDoc("web", "x") + roleDoc("viewer", "") + strings.Replace(buildDoc("b", "x"), "one", "Not_Good", 1) + roleDoc("Bad_Name", "get"),
			apierror.ReasonInvalid, "nothing was applied", []string{"documents[1].rules[0].verbs", "documents[3].metadata.name"},
		},
		"unknown fields":          {"alice", buildDoc("web", "x") + strings.Replace(roleDoc("v", "get"), "rules", "rulez", 1), apierror.ReasonBadRequest, "rulez", nil},
		"a kind of the cluster's": {"alice", buildDoc("web", "x") + "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: b}\n", apierror.ReasonBadRequest, "no part in an atomic apply", []string{"documents[1]", "documents[2]"}},
		"too many":                {"alice", many.String(), apierror.ReasonInvalid, "Build shop/b100: an atomic apply has at most 100 documents", []string{"documents[100]", "documents[101]"}},
		"too large":               {"alice", large + strings.ReplaceAll(large, "large", "larger"), apierror.ReasonInvalid, "Build shop/larger: an atomic apply has at most 1048576 bytes", []string{"documents[1]"}},
		"one twice":               {"alice", buildDoc("web", "x") + buildDoc("web", "y"), apierror.ReasonInvalid, "the same object as documents[0]", []string{"documents[1]"}},
		"no document":             {"alice", "# nothing\n", apierror.ReasonBadRequest, "there is no document", nil},
		"no YAML":                 {"alice", "a: [", apierror.ReasonBadRequest, "", nil},
		"no right to patch":       {"reader", buildDoc("web", "x") + buildDoc("b", "x"), apierror.ReasonForbidden, "reader may not patch", []string{"documents[0]", "documents[1]"}},
		"no right to one":         {"builder", buildDoc("web", "x") + roleDoc("viewer", "get"), apierror.ReasonForbidden, "builder may not patch", []string{"documents[1]"}},
		"no right to create":      {"patcher", buildDoc("web", "x") + buildDoc("b", "x"), apierror.ReasonForbidden, "patcher may not create", []string{"documents[0]", "documents[1]"}},
		"an owner that is away":   {"alice", buildDoc("web", "x") + "apiVersion: serving.knative.dev/v1\nkind: Route\nmetadata: {name: r}\n", apierror.ReasonServiceUnavailable, "serving is away", []string{"documents[1]"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := startTogether(t)
			_, err := s.apply.Apply(as(t, c.user), &metav1.ApplyRequest{Documents: []byte(c.documents)})
			if err == nil {
				t.Fatal("it was applied")
			}
			e := apierror.FromStatus(err)
			if e.Reason != c.reason || !strings.Contains(e.Message, c.text) {
				t.Errorf("got %s: %.300s", e.Reason, e.Message)
			}
			var fields []string
			for _, cause := range e.Causes {
				fields = append(fields, cause.Field)
			}
			if d := cmp.Diff(c.fields, fields); c.fields != nil && d != "" {
				t.Errorf("faults (-want +got):\n%s\n%v", d, e.Causes)
			}
			list, err := s.build.List(as(t, "alice"), &metav1.ListRequest{})
			if err != nil || len(list.GetItems()) > 0 {
				t.Errorf("stored: %v, %v", list.GetItems(), err)
			}
		})
	}
}

func TestAtomicApplyNeedsAToken(t *testing.T) {
	s := startTogether(t)
	committer, err := apply.NewCommitter(apply.CommitterDeps{Store: &store.Store{}, Peers: s, Kinds: kinds.Versions()})
	if err != nil {
		t.Fatal(err)
	}
	_, err = committer.Apply(t.Context(), &metav1.ApplyRequest{Documents: []byte(buildDoc("web", "x"))})
	if !apierror.Is(err, apierror.ReasonUnauthorized) {
		t.Errorf("got %v", err)
	}
}

// A writer that comes between is seen: the apply begins anew, and gives up naming the object only if that goes on.
func TestAtomicApplyAmongOtherWriters(t *testing.T) {
	s := startTogether(t)
	ctx := as(t, "alice")
	if _, err := s.apply.Apply(ctx, &metav1.ApplyRequest{Documents: []byte(buildDoc("a", "0") + buildDoc("b", "0"))}); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	count, limit := 0, 1
	s.prepared = func() {
		mu.Lock()
		defer mu.Unlock()
		if count++; count > limit {
			return
		}
		_, err := s.build.Patch(ctx, &metav1.PatchRequest{
			Namespace: "shop", Name: "a", ContentType: "application/merge-patch+json", Patch: fmt.Appendf(nil, `{"metadata":{"labels":{"n":"%d"}}}`, count),
		})
		if err != nil {
			t.Error(err)
		}
	}
	got, err := s.apply.Apply(ctx, &metav1.ApplyRequest{Documents: []byte(buildDoc("b", "1") + buildDoc("a", "1"))})
	if err != nil || got.GetItems()[0].GetResourceVersion() != got.GetItems()[1].GetResourceVersion() {
		t.Errorf("after one other writer: %v, %v", got, err)
	}
	if a, err := s.build.Get(ctx, &metav1.GetRequest{Namespace: "shop", Name: "a"}); err != nil || a.GetMetadata().GetLabels()["n"] != "1" {
		t.Errorf("what another wrote is lost: %v, %v", a, err)
	}
	mu.Lock()
	count, limit = 0, 1000
	mu.Unlock()
	_, err = s.apply.Apply(ctx, &metav1.ApplyRequest{Documents: []byte(buildDoc("b", "2") + buildDoc("a", "2"))})
	if e := apierror.FromStatus(err); e == nil || e.Reason != apierror.ReasonConflict || !strings.Contains(e.Message, "shop/a") {
		t.Errorf("while another writes all the time: %v", err)
	}
	if b, err := s.build.Get(ctx, &metav1.GetRequest{Namespace: "shop", Name: "b"}); err != nil || b.GetSpec().GetSteps()[0].GetImage() != "1" {
		t.Errorf("half of it was stored: %v, %v", b, err)
	}
}

// What comes out unchanged is part of the step: if another changes it before the others are stored, the apply begins anew.
func TestAtomicApplyOfWhatIsUnchanged(t *testing.T) {
	s := startTogether(t)
	ctx := as(t, "alice")
	if _, err := s.apply.Apply(ctx, &metav1.ApplyRequest{Documents: []byte(roleDoc("viewer", "get"))}); err != nil {
		t.Fatal(err)
	}
	var count atomic.Int64
	s.prepared = func() {
		if count.Add(1) == 2 { // both are prepared
			_, err := s.role.Patch(ctx, &metav1.PatchRequest{
				Name: "viewer", ContentType: "application/merge-patch+json", Patch: []byte(`{"rules":[{"verbs":["list"],"apiGroups":["*"],"resources":["*"]}]}`),
			})
			if err != nil {
				t.Error(err)
			}
		}
	}
	got, err := s.apply.Apply(ctx, &metav1.ApplyRequest{Documents: []byte(roleDoc("viewer", "get") + buildDoc("web", "x")), Force: true})
	if d := cmp.Diff([]string{"ClusterRole viewer configured", "Build web created"}, actions(got)); d != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
	role, err := s.role.Get(ctx, &metav1.GetRequest{Name: "viewer"})
	if err != nil || role.GetRules()[0].GetVerbs()[0] != "get" {
		t.Errorf("the role is not what was applied: %v, %v", role, err)
	}
}

// What another manager has set otherwise is a conflict, and nothing of the apply is stored.
func TestAtomicApplyTellsOfOtherManagers(t *testing.T) {
	s := startTogether(t)
	ctx := as(t, "alice")
	if _, err := s.apply.Apply(ctx, &metav1.ApplyRequest{Documents: []byte(roleDoc("viewer", "get"))}); err != nil {
		t.Fatal(err)
	}
	both := []byte(buildDoc("web", "x") + roleDoc("viewer", "list"))
	_, err := s.apply.Apply(ctx, &metav1.ApplyRequest{Documents: both, FieldManager: "other"})
	e := apierror.FromStatus(err)
	want := []apierror.Cause{{Field: "documents[1].rules", Reason: apierror.CauseFieldManagerConflict, Message: `conflict with "fairlead"`}}
	if d := cmp.Diff(want, e.Causes); d != "" || e.Reason != apierror.ReasonConflict {
		t.Errorf("%v: causes (-want +got):\n%s", err, d)
	}
	if _, err := s.build.Get(ctx, &metav1.GetRequest{Namespace: "shop", Name: "web"}); !apierror.IsNotFound(apierror.FromStatus(err)) {
		t.Errorf("half of it was stored: %v", err)
	}
	got, err := s.apply.Apply(ctx, &metav1.ApplyRequest{Documents: both, FieldManager: "other", Force: true})
	if d := cmp.Diff([]string{"Build web created", "ClusterRole viewer configured"}, actions(got)); d != "" || err != nil {
		t.Errorf("by force: %v (-want +got):\n%s", err, d)
	}
}

// Whoever reads at one version sees all of an apply or nothing of it.
func TestNobodySeesHalf(t *testing.T) {
	s := startTogether(t)
	ctx := as(t, "alice")
	names := []string{"a", "b", "c", "d"}
	both := func(image string) []byte {
		var out string
		for _, n := range names {
			out += buildDoc(n, image)
		}
		return []byte(out)
	}
	if _, err := s.apply.Apply(ctx, &metav1.ApplyRequest{Documents: both("start")}); err != nil {
		t.Fatal(err)
	}
	var writers, readers sync.WaitGroup
	done := make(chan struct{})
	for w := range 3 {
		writers.Go(func() {
			for i := range 15 {
				_, err := s.apply.Apply(ctx, &metav1.ApplyRequest{Documents: both(fmt.Sprintf("w%d-%d", w, i))})
				if err != nil && apierror.FromStatus(err).Reason != apierror.ReasonConflict {
					t.Error(err)
				}
			}
		})
	}
	readers.Go(func() {
		for {
			list, err := s.build.List(ctx, &metav1.ListRequest{Namespace: "shop"})
			if err != nil {
				t.Error(err)
				return
			}
			var images []string
			for _, b := range list.GetItems() {
				images = append(images, image(b.GetSpec().GetSteps()))
			}
			if len(images) != len(names) || len(slices.Compact(images)) != 1 {
				t.Errorf("seen at version %s: %v", list.GetMetadata().GetResourceVersion(), images)
			}
			select {
			case <-done:
				return
			default:
			}
		}
	})
	writers.Wait()
	close(done)
	readers.Wait()
}

func image(steps []*corepb.Container) string {
	if len(steps) == 0 {
		return ""
	}
	return steps[0].GetImage()
}
