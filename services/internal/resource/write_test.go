// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package resource_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	buildv1 "fairlead.dev/gen/go/fairlead/build/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/rpc"
)

func contains(text, part string) bool { return strings.Contains(text, part) }

func TestCreateKeepsWhatIsTheServers(t *testing.T) {
	f := start(t)
	b := aBuild("shop", "web")
	b.Metadata.Uid, b.Metadata.ResourceVersion, b.Metadata.Generation = "mine", "7", 9
	b.Metadata.Labels = map[string]string{"app": "shop"}
	b.Status = &buildv1.BuildStatus{Builder: "me"}
	got := f.created(t, b)
	m := got.GetMetadata()
	if m.GetUid() == "mine" || m.GetUid() == "" || m.GetResourceVersion() == "7" || m.GetGeneration() != 1 || m.GetCreationTimestamp() == nil {
		t.Errorf("metadata: %v", m)
	}
	if got.GetStatus() != nil {
		t.Errorf("status: %v", got.GetStatus())
	}
	if got.GetSpec().GetTimeout() != "10m0s" || m.GetLabels()["app"] != "shop" {
		t.Errorf("got %v", got)
	}
	read, err := f.build.Get(f.ctx, &metav1.GetRequest{Namespace: "shop", Name: "web"})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(got, read, protocmp.Transform()); d != "" {
		t.Errorf("read is not what was created (-created +read):\n%s", d)
	}
}

func TestCreateRefuses(t *testing.T) {
	f := start(t)
	f.created(t, aBuild("shop", "taken"))
	cases := map[string]struct {
		req    *buildv1.BuildServiceCreateRequest
		reason apierror.Reason
		text   string
	}{
		"two namespaces":       {&buildv1.BuildServiceCreateRequest{Namespace: "shop", Object: aBuild("other", "a")}, apierror.ReasonBadRequest, "(other) does not match the namespace on the request (shop)"},
		"no namespace":         {&buildv1.BuildServiceCreateRequest{Object: aBuild("", "a")}, apierror.ReasonBadRequest, "no namespace"},
		"absent namespace":     {&buildv1.BuildServiceCreateRequest{Object: aBuild("nowhere", "a")}, apierror.ReasonNotFound, `namespaces "nowhere" not found`},
		"ending namespace":     {&buildv1.BuildServiceCreateRequest{Object: aBuild("ending", "a")}, apierror.ReasonForbidden, "because it is being terminated"},
		"taken name":           {&buildv1.BuildServiceCreateRequest{Object: aBuild("shop", "taken")}, apierror.ReasonAlreadyExists, `builds.build.knative.dev "taken" already exists`},
		"taken, dry":           {&buildv1.BuildServiceCreateRequest{Object: aBuild("shop", "taken"), DryRun: []string{"All"}}, apierror.ReasonAlreadyExists, "already exists"},
		"no name":              {&buildv1.BuildServiceCreateRequest{Object: aBuild("shop", "")}, apierror.ReasonInvalid, "name or generateName is required"},
		"bad name":             {&buildv1.BuildServiceCreateRequest{Object: aBuild("shop", "A_b")}, apierror.ReasonInvalid, "a lowercase RFC 1123 subdomain must consist of"},
		"bad dry run":          {&buildv1.BuildServiceCreateRequest{Object: aBuild("shop", "a"), DryRun: []string{"Some"}}, apierror.ReasonInvalid, `dryRun: Unsupported value: ["Some"]: supported values: "All"`},
		"bad field validation": {&buildv1.BuildServiceCreateRequest{Object: aBuild("shop", "a"), FieldValidation: "Maybe"}, apierror.ReasonInvalid, "fieldValidation"},
		"no object":            {&buildv1.BuildServiceCreateRequest{Namespace: "shop"}, apierror.ReasonBadRequest, "no object"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := f.build.Create(f.ctx, tc.req)
			fails(t, err, tc.reason, tc.text)
		})
	}
}

func TestEveryFaultOfAnObjectIsToldAtOnce(t *testing.T) {
	f := start(t)
	b := aBuild("shop", "Not_A_Name")
	b.Metadata.Labels = map[string]string{"bad key!": "x", "app": "no spaces allowed"}
	b.Metadata.Annotations = map[string]string{"also bad!": "x"}
	b.Metadata.OwnerReferences = []*metav1.OwnerReference{{ApiVersion: "v1", Kind: "Pod", Name: "p"}}
	b.Metadata.Finalizers = []string{"not/a/finalizer"}
	b.Spec.Steps = nil
	b.Spec.Source = &buildv1.SourceSpec{Git: &buildv1.GitSource{Revision: "main"}}
	b.Spec.Status = "Sometime"
	_, err := f.build.Create(f.ctx, &buildv1.BuildServiceCreateRequest{Object: b})
	e := fails(t, err, apierror.ReasonInvalid, `Build.build.knative.dev "Not_A_Name" is invalid: [`)
	want := map[string]bool{
		"metadata.name": true, "metadata.labels": true, "metadata.annotations": true, "metadata.ownerReferences[0].uid": true,
		"metadata.finalizers": true, "spec.steps": true, "spec.source.git.url": true, "spec.status": true,
	}
	got := map[string]bool{}
	for _, field := range fields(e) {
		got[field] = true
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("causes (-want +got):\n%s\n%v", d, e.Causes)
	}
	for _, c := range e.Causes {
		if c.Field == "spec.status" && (c.Reason != apierror.CauseValueNotSupported || !contains(c.Message, `Unsupported value: "Sometime": supported values: "BuildCancelled"`)) {
			t.Errorf("spec.status: %+v", c)
		}
	}
}

func TestGenerateName(t *testing.T) {
	f := start(t)
	b := aBuild("shop", "")
	b.Metadata.GenerateName = "web-"
	for _, dryRun := range [][]string{nil, {"All"}} {
		got, err := f.build.Create(f.ctx, &buildv1.BuildServiceCreateRequest{Object: b, DryRun: dryRun})
		if err != nil {
			t.Fatal(err)
		}
		if name := got.GetMetadata().GetName(); !strings.HasPrefix(name, "web-") || len(name) != 9 {
			t.Errorf("name %q", name)
		}
	}
	b.Metadata.GenerateName = "Web_"
	_, err := f.build.Create(f.ctx, &buildv1.BuildServiceCreateRequest{Object: b})
	if d := cmp.Diff([]string{"metadata.generateName"}, fields(fails(t, err, apierror.ReasonInvalid, ""))); d != "" {
		t.Errorf("causes (-want +got):\n%s", d)
	}
}

func TestDryRunStoresNothing(t *testing.T) {
	f := start(t)
	all := []string{"All"}
	got, err := f.build.Create(f.ctx, &buildv1.BuildServiceCreateRequest{Object: aBuild("shop", "web"), DryRun: all})
	if err != nil || got.GetMetadata().GetUid() == "" {
		t.Fatalf("got %v, %v", got, err)
	}
	if _, err := f.build.Get(f.ctx, &metav1.GetRequest{Namespace: "shop", Name: "web"}); !apierror.Is(apierror.FromStatus(err), apierror.ReasonNotFound) {
		t.Fatalf("a dry run created: %v", err)
	}
	before := f.created(t, aBuild("shop", "web"))
	changed := aBuild("shop", "web")
	changed.Spec.ServiceAccountName = "robot"
	next, err := f.build.Update(f.ctx, &buildv1.BuildServiceUpdateRequest{Object: changed, DryRun: all})
	if err != nil || next.GetMetadata().GetGeneration() != 2 || next.GetSpec().GetServiceAccountName() != "robot" {
		t.Errorf("got %v, %v", next, err)
	}
	if _, err := f.build.Patch(f.ctx, &metav1.PatchRequest{
		Namespace: "shop", Name: "web", DryRun: all, ContentType: "application/merge-patch+json", Patch: []byte(`{"spec":{"timeout":"1m0s"}}`),
	}); err != nil {
		t.Error(err)
	}
	if _, err := f.build.Delete(f.ctx, &metav1.DeleteRequest{Namespace: "shop", Name: "web", DryRun: all}); err != nil {
		t.Error(err)
	}
	if r, err := f.build.DeleteCollection(f.ctx, &metav1.DeleteCollectionRequest{Namespace: "shop", DryRun: all}); err != nil || r.GetDeleted() != 1 {
		t.Errorf("got %v, %v", r, err)
	}
	after, err := f.build.Get(f.ctx, &metav1.GetRequest{Namespace: "shop", Name: "web"})
	if d := cmp.Diff(before, after, protocmp.Transform()); d != "" || err != nil {
		t.Errorf("%v (-before +after):\n%s", err, d)
	}
}

func TestUpdate(t *testing.T) {
	f := start(t)
	first := f.created(t, aBuild("shop", "web"))
	withStatus := proto.CloneOf(first)
	withStatus.Status = &buildv1.BuildStatus{Builder: "Cluster"}
	withStatus.Spec.Timeout = "1m0s"
	got, err := f.build.UpdateStatus(f.ctx, &buildv1.BuildServiceUpdateStatusRequest{Object: withStatus})
	if err != nil || got.GetStatus().GetBuilder() != "Cluster" || got.GetSpec().GetTimeout() != "10m0s" || got.GetMetadata().GetGeneration() != 1 {
		t.Fatalf("status: got %v, %v", got, err)
	}
	second := aBuild("shop", "web")
	second.Spec.Timeout = "2m0s"
	second.Status = &buildv1.BuildStatus{Builder: "me"}
	got, err = f.build.Update(f.ctx, &buildv1.BuildServiceUpdateRequest{Object: second})
	if err != nil || got.GetStatus().GetBuilder() != "Cluster" || got.GetSpec().GetTimeout() != "2m0s" || got.GetMetadata().GetGeneration() != 2 {
		t.Fatalf("spec: got %v, %v", got, err)
	}
	if got.GetMetadata().GetUid() != first.GetMetadata().GetUid() {
		t.Errorf("the uid changed")
	}

	_, err = f.build.Update(f.ctx, &buildv1.BuildServiceUpdateRequest{Object: first})
	fails(t, err, apierror.ReasonConflict, `Operation cannot be fulfilled on builds.build.knative.dev "web": the object has been modified; please apply your changes to the latest version and try again`)
	_, err = f.build.UpdateStatus(f.ctx, &buildv1.BuildServiceUpdateStatusRequest{Object: first})
	fails(t, err, apierror.ReasonConflict, "the object has been modified")

	other := aBuild("shop", "web")
	other.Metadata.Uid = "another"
	_, err = f.build.Update(f.ctx, &buildv1.BuildServiceUpdateRequest{Object: other})
	fails(t, err, apierror.ReasonConflict, "Precondition failed: UID in precondition: another")
	_, err = f.build.Update(f.ctx, &buildv1.BuildServiceUpdateRequest{Namespace: "shop", Name: "b", Object: aBuild("shop", "a")})
	fails(t, err, apierror.ReasonBadRequest, "the name of the object (a) does not match the name on the URL (b)")
	_, err = f.build.Update(f.ctx, &buildv1.BuildServiceUpdateRequest{Object: aBuild("shop", "none")})
	fails(t, err, apierror.ReasonNotFound, `builds.build.knative.dev "none" not found`)
	_, err = f.build.UpdateStatus(f.ctx, &buildv1.BuildServiceUpdateStatusRequest{Object: aBuild("shop", "none")})
	fails(t, err, apierror.ReasonNotFound, "not found")
}

func TestImmutableFields(t *testing.T) {
	f := start(t)
	ref := func(name string) *authv1.ClusterRoleBinding {
		return &authv1.ClusterRoleBinding{
			Metadata: &metav1.ObjectMeta{Name: "b"},
			RoleRef:  &authv1.RoleRef{ApiGroup: "auth.fairlead.dev", Kind: "ClusterRole", Name: name},
		}
	}
	if _, err := f.binds.Create(f.ctx, &authv1.ClusterRoleBindingServiceCreateRequest{Object: ref("view")}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.binds.Update(f.ctx, &authv1.ClusterRoleBindingServiceUpdateRequest{Object: ref("view")}); err != nil {
		t.Errorf("the same again: %v", err)
	}
	_, err := f.binds.Update(f.ctx, &authv1.ClusterRoleBindingServiceUpdateRequest{Object: ref("admin")})
	e := fails(t, err, apierror.ReasonInvalid, "field is immutable")
	if d := cmp.Diff([]string{"roleRef"}, fields(e)); d != "" {
		t.Errorf("causes (-want +got):\n%s", d)
	}
	_, err = f.binds.Patch(f.ctx, &metav1.PatchRequest{
		Name: "b", ContentType: "application/merge-patch+json", Patch: []byte(`{"roleRef":{"name":"admin"}}`),
	})
	fails(t, err, apierror.ReasonInvalid, "roleRef: Invalid value: object: field is immutable")
}

func TestClusterScope(t *testing.T) {
	f := start(t)
	role := &authv1.ClusterRole{
		Metadata: &metav1.ObjectMeta{Name: "view"},
		Rules:    []*authv1.PolicyRule{{Verbs: []string{"get"}, ApiGroups: []string{"*"}, Resources: []string{"*"}}},
	}
	if _, err := f.role.Create(f.ctx, &authv1.ClusterRoleServiceCreateRequest{Object: role}); err != nil {
		t.Fatal(err)
	}
	role.Metadata.Namespace = "shop"
	_, err := f.role.Create(f.ctx, &authv1.ClusterRoleServiceCreateRequest{Object: role})
	fails(t, err, apierror.ReasonBadRequest, "not namespaced")
	_, err = f.role.Get(f.ctx, &metav1.GetRequest{Namespace: "shop", Name: "view"})
	fails(t, err, apierror.ReasonBadRequest, "not namespaced")
	_, err = f.role.Patch(f.ctx, &metav1.PatchRequest{Name: "view", Subresource: "status", ContentType: "application/merge-patch+json", Patch: []byte("{}")})
	fails(t, err, apierror.ReasonNotFound, "no subresource")
	role.Metadata.Namespace = ""
	role.Rules[0].Verbs = nil
	_, err = f.role.Update(f.ctx, &authv1.ClusterRoleServiceUpdateRequest{Object: role})
	if d := cmp.Diff([]string{"rules[0].verbs"}, fields(fails(t, err, apierror.ReasonInvalid, ""))); d != "" {
		t.Errorf("causes (-want +got):\n%s", d)
	}
}

func TestAuthorizeHookSeesTheCaller(t *testing.T) {
	f := start(t)
	b := aBuild("shop", "web")
	b.Spec.ServiceAccountName = "robot"
	mallory := metadata.NewOutgoingContext(f.ctx, metadata.Pairs(rpc.AuthorizationKey, "Bearer mallory"))
	_, err := f.build.Create(mallory, &buildv1.BuildServiceCreateRequest{Object: b})
	fails(t, err, apierror.ReasonForbidden, "may not choose")
	f.created(t, b)
}

func TestDeletionWaitsForFinalizers(t *testing.T) {
	f := start(t)
	b := aBuild("shop", "web")
	b.Metadata.Finalizers = []string{"fairlead.dev/test"}
	f.created(t, b)
	got, err := f.build.Delete(f.ctx, &metav1.DeleteRequest{Namespace: "shop", Name: "web"})
	if err != nil || got.GetMetadata().GetDeletionTimestamp() == nil {
		t.Fatalf("got %v, %v", got, err)
	}
	more := proto.CloneOf(got)
	more.Metadata.Finalizers = append(more.Metadata.Finalizers, "fairlead.dev/more")
	_, err = f.build.Update(f.ctx, &buildv1.BuildServiceUpdateRequest{Object: more})
	fails(t, err, apierror.ReasonInvalid, "no new finalizers can be added if the object is being deleted")
	got.Metadata.Finalizers = nil
	if _, err = f.build.Update(f.ctx, &buildv1.BuildServiceUpdateRequest{Object: got}); err != nil {
		t.Fatal(err)
	}
	_, err = f.build.Get(f.ctx, &metav1.GetRequest{Namespace: "shop", Name: "web"})
	fails(t, err, apierror.ReasonNotFound, "")
}

func TestDeletePreconditions(t *testing.T) {
	f := start(t)
	got := f.created(t, aBuild("shop", "web"))
	wrong, right := "wrong", got.GetMetadata().GetUid()
	for _, dryRun := range [][]string{nil, {"All"}} {
		_, err := f.build.Delete(f.ctx, &metav1.DeleteRequest{Namespace: "shop", Name: "web", DryRun: dryRun, Preconditions: &metav1.Preconditions{Uid: &wrong}})
		fails(t, err, apierror.ReasonConflict, wrong)
	}
	_, err := f.build.Delete(f.ctx, &metav1.DeleteRequest{Namespace: "shop", Name: "web", PropagationPolicy: "Now"})
	fails(t, err, apierror.ReasonInvalid, "propagationPolicy")
	if _, err := f.build.Delete(f.ctx, &metav1.DeleteRequest{Namespace: "shop", Name: "web", Preconditions: &metav1.Preconditions{Uid: &right}}); err != nil {
		t.Error(err)
	}
}

func TestDeleteCollection(t *testing.T) {
	f := start(t)
	for _, name := range []string{"a", "b", "c"} {
		b := aBuild("shop", name)
		if name != "c" {
			b.Metadata.Labels = map[string]string{"tier": "web"}
		}
		f.created(t, b)
	}
	f.created(t, aBuild("other", "a"))
	_, err := f.build.DeleteCollection(f.ctx, &metav1.DeleteCollectionRequest{})
	fails(t, err, apierror.ReasonBadRequest, "no namespace")
	r, err := f.build.DeleteCollection(f.ctx, &metav1.DeleteCollectionRequest{Namespace: "shop", LabelSelector: "tier=web"})
	if err != nil || r.GetDeleted() != 2 {
		t.Errorf("got %v, %v", r, err)
	}
	list, err := f.build.List(f.ctx, &metav1.ListRequest{})
	if err != nil || len(list.GetItems()) != 2 {
		t.Errorf("left: %v, %v", list, err)
	}
}
