// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package resource_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	buildv1 "fairlead.dev/gen/go/fairlead/build/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/rpc"
	"fairlead.dev/services/internal/wire"
)

// managersOf are the managers of an object: name, operation, and subresource if there is one.
func managersOf(b *buildv1.Build) []string {
	var out []string
	for _, e := range b.GetMetadata().GetManagedFields() {
		out = append(out, strings.TrimSpace(e.GetManager()+" "+e.GetOperation()+" "+e.GetSubresource()))
	}
	slices.Sort(out)
	return out
}

func (f *fixture) got(t *testing.T, name string) *buildv1.Build {
	t.Helper()
	b, err := f.build.Get(f.ctx, &metav1.GetRequest{Namespace: "shop", Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func wantManagers(t *testing.T, when string, b *buildv1.Build, want ...string) {
	t.Helper()
	if d := cmp.Diff(want, managersOf(b)); d != "" {
		t.Errorf("%s: managers (-want +got):\n%s", when, d)
	}
}

// Every way to write an object says who did it.
func TestWritesAreTracked(t *testing.T) {
	f := start(t)
	web := aBuild("shop", "web")
	web.Metadata.ManagedFields = []*metav1.ManagedFieldsEntry{{Manager: "liar"}}
	created, err := f.build.Create(f.ctx, &buildv1.BuildServiceCreateRequest{Object: web, FieldManager: "creator"})
	if err != nil {
		t.Fatal(err)
	}
	wantManagers(t, "create", created, "creator Update")
	entry := created.GetMetadata().GetManagedFields()[0]
	if entry.GetApiVersion() != "build.knative.dev/v1alpha1" || entry.GetFieldsType() != "FieldsV1" || entry.GetTime() == nil ||
		strings.Contains(string(entry.GetFieldsV1().GetRaw()), "timeout") {
		t.Errorf("the entry is %v; defaults are nobody's", entry)
	}
	patch := func(contentType, patch string, change func(*metav1.PatchRequest)) *buildv1.Build {
		t.Helper()
		r := &metav1.PatchRequest{Namespace: "shop", Name: "web", ContentType: contentType, Patch: []byte(patch), FieldManager: "m-" + strings.Split(contentType, "/")[1][:5]}
		if change != nil {
			change(r)
		}
		b, err := f.build.Patch(f.ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	wantManagers(t, "merge patch", patch(mergePatch, `{"metadata":{"labels":{"m":"x"}}}`, nil), "creator Update", "m-merge Update")
	wantManagers(t, "JSON patch", patch(jsonPatch, `[{"op":"add","path":"/metadata/labels/j","value":"x"}]`, nil),
		"creator Update", "m-json- Update", "m-merge Update")
	agent := metadata.AppendToOutgoingContext(f.ctx, rpc.UserAgentKey, "curl/8 (x)")
	next := f.got(t, "web")
	next.Spec.ServiceAccountName = "robot"
	if _, err := f.build.Update(agent, &buildv1.BuildServiceUpdateRequest{Object: next}); err != nil {
		t.Fatal(err)
	}
	wantManagers(t, "update", f.got(t, "web"), "creator Update", "curl Update", "m-json- Update", "m-merge Update")
	next = f.got(t, "web")
	next.Status = &buildv1.BuildStatus{Builder: "Cluster"}
	if _, err := f.build.UpdateStatus(f.ctx, &buildv1.BuildServiceUpdateStatusRequest{Object: next, FieldManager: "status"}); err != nil {
		t.Fatal(err)
	}
	wantManagers(t, "status", f.got(t, "web"), "creator Update", "curl Update", "m-json- Update", "m-merge Update", "status Update status")
	if _, err := f.build.Rollback(metadata.AppendToOutgoingContext(f.ctx, rpc.UserAgentKey, "back/1"), &metav1.RollbackRequest{Namespace: "shop", Name: "web"}); err != nil {
		t.Fatal(err)
	}
	if back := managersOf(f.got(t, "web")); slices.Contains(back, "curl Update") || !slices.Contains(back, "creator Update") {
		t.Errorf("rollback: what curl set is gone, and so is curl: %v", back)
	}
	wantManagers(t, "reset", patch(mergePatch, `{"metadata":{"managedFields":[{}]}}`, nil))
	wantManagers(t, "then nobody is tracked", patch(mergePatch, `{"metadata":{"labels":{"m":"y"}}}`, nil))
	wantManagers(t, "until something is applied", patch(wire.ContentTypeApply, fmt.Sprintf(document, "one"), func(r *metav1.PatchRequest) {
		r.FieldManager, r.Force = "applier", true
	}), "applier Apply", "before-first-apply Update")
}

func TestApplyKeepsToWhatItNames(t *testing.T) {
	f := start(t)
	var header metadata.MD
	r := &metav1.PatchRequest{Namespace: "shop", Name: "web", ContentType: wire.ContentTypeApply, Patch: []byte(fmt.Sprintf(document, "one")), FieldManager: "a"}
	first, err := f.build.Patch(f.ctx, r, grpc.Header(&header))
	if err != nil || len(header.Get(wire.CreatedKey)) == 0 {
		t.Fatalf("got %v, %v; said to be created: %v", first, err, header)
	}
	header = nil
	again, err := f.build.Patch(f.ctx, r, grpc.Header(&header))
	if err != nil || again.GetMetadata().GetResourceVersion() != first.GetMetadata().GetResourceVersion() || len(header.Get(wire.CreatedKey)) > 0 {
		t.Errorf("again: %v, %v; said to be created: %v", again, err, header)
	}
	withAccount := fmt.Sprintf(document, "one") + "  serviceAccountName: robot\n"
	if _, err = f.apply(withAccount, func(r *metav1.PatchRequest) { r.FieldManager = "a" }); err != nil {
		t.Fatal(err)
	}
	without, err := f.apply(fmt.Sprintf(document, "one"), func(r *metav1.PatchRequest) { r.FieldManager = "a" })
	if err != nil || without.GetSpec().GetServiceAccountName() != "" || without.GetSpec().GetTimeout() != "10m0s" {
		t.Errorf("what is applied no longer is to go, and what the server filled in to stay: %v, %v", without, err)
	}
	_, err = f.apply(fmt.Sprintf(document, "two"), func(r *metav1.PatchRequest) { r.FieldManager = "b" })
	e := fails(t, err, apierror.ReasonConflict, `Apply failed with 1 conflict: conflict with "a": .spec.steps`)
	want := []apierror.Cause{{Field: ".spec.steps", Reason: "FieldManagerConflict", Message: `conflict with "a"`}}
	if d := cmp.Diff(want, e.Causes); d != "" {
		t.Errorf("causes (-want +got):\n%s", d)
	}
	status := e.Kubernetes()
	if status.Code != 409 || status.Reason != "Conflict" || status.Details.Name != "" || status.Details.Kind != "" {
		t.Errorf("the status is %v", status)
	}
	for _, dryRun := range [][]string{{"All"}, nil} {
		forced, err := f.apply(fmt.Sprintf(document, "two"), func(r *metav1.PatchRequest) { r.FieldManager, r.Force, r.DryRun = "b", true, dryRun })
		if err != nil || forced.GetSpec().GetSteps()[0].GetName() != "two" {
			t.Errorf("by force, dry run %v: %v, %v", dryRun, forced, err)
		}
		if got := f.got(t, "web").GetSpec().GetSteps()[0].GetName() == "two"; got != (dryRun == nil) {
			t.Errorf("dry run %v: stored is %v", dryRun, got)
		}
	}
}

func TestApplyOfStatus(t *testing.T) {
	f := start(t)
	doc := fmt.Sprintf(document, "other") + "status: {builder: Cluster}\n"
	onStatus := func(r *metav1.PatchRequest) { r.FieldManager, r.Subresource = "s", "status" }
	_, err := f.apply(doc, onStatus)
	fails(t, err, apierror.ReasonNotFound, "not found")
	f.created(t, aBuild("shop", "web"))
	got, err := f.apply(doc, onStatus)
	if err != nil || got.GetStatus().GetBuilder() != "Cluster" || got.GetSpec().GetSteps()[0].GetName() != "one" || got.GetMetadata().GetGeneration() != 1 {
		t.Errorf("got %v, %v", got, err)
	}
	wantManagers(t, "status", got, "grpc-go Update", "s Apply status")
	again, err := f.apply(doc, onStatus)
	if err != nil || again.GetMetadata().GetResourceVersion() != got.GetMetadata().GetResourceVersion() {
		t.Errorf("the same again wrote: %v, %v", again, err)
	}
}

func TestOptionsOfPatches(t *testing.T) {
	f := start(t)
	f.created(t, aBuild("shop", "web"))
	for reason, c := range map[string]struct {
		change func(*metav1.PatchRequest)
		text   string
	}{
		"an apply without a manager": {func(r *metav1.PatchRequest) { r.FieldManager = "" },
			`PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch`},
		"a long manager":             {func(r *metav1.PatchRequest) { r.FieldManager = strings.Repeat("x", 129) }, "fieldManager: Too long: may not be more than 128 bytes"},
		"a manager with a line feed": {func(r *metav1.PatchRequest) { r.FieldManager = "a\nb" }, "invalid character U+000A (at position 1)"},
		"force without an apply": {func(r *metav1.PatchRequest) { r.ContentType, r.Force, r.Patch = mergePatch, true, []byte(`{}`) },
			"force: Forbidden: may not be specified for non-apply patch"},
	} {
		_, err := f.apply(fmt.Sprintf(document, "one"), c.change)
		e := fails(t, err, apierror.ReasonInvalid, c.text)
		if t.Failed() {
			t.Errorf("%s: %v", reason, e)
		}
	}
}

// What the codec does not know has no part in an apply: it is refused, or told of.
func TestFieldValidationOfApply(t *testing.T) {
	f := start(t)
	odd := fmt.Sprintf(document, "one") + "  stepz: 1\n  timeout: 1m\n  timeout: 2m\n"
	_, err := f.apply(odd, nil)
	e := fails(t, err, apierror.ReasonBadRequest, `unknown field "spec.stepz"`)
	if !contains(e.Message, `duplicate field "spec.timeout"`) {
		t.Errorf("got %s", e.Message)
	}
	var header metadata.MD
	b, err := f.build.Patch(f.ctx, &metav1.PatchRequest{
		Namespace: "shop", Name: "web", ContentType: wire.ContentTypeApply, Patch: []byte(odd), FieldManager: "a", FieldValidation: "Warn",
	}, grpc.Header(&header))
	if err != nil || b.GetSpec().GetTimeout() != "2m0s" || len(header.Get(wire.WarningKey)) != 2 {
		t.Errorf("got %v, %v, warnings %v", b, err, header.Get(wire.WarningKey))
	}
	if strings.Contains(string(b.GetMetadata().GetManagedFields()[0].GetFieldsV1().GetRaw()), "stepz") {
		t.Errorf("an unknown field has a manager: %v", b.GetMetadata().GetManagedFields())
	}
}

// kubectl that comes from client-side apply renames its manager by a JSON patch, and may go back.
func TestKubectlMigratesManagers(t *testing.T) {
	f := start(t)
	doc := `{"apiVersion":"build.knative.dev/v1alpha1","kind":"Build","metadata":{"name":"web","namespace":"shop"},"spec":{"steps":[{"image":"a","name":"one"}]}}`
	web := aBuild("shop", "web")
	web.Spec.Steps[0].Image = "a"
	web.Metadata.Annotations = map[string]string{"kubectl.kubernetes.io/last-applied-configuration": doc}
	if _, err := f.build.Create(f.ctx, &buildv1.BuildServiceCreateRequest{Object: web, FieldManager: "kubectl-client-side-apply"}); err != nil {
		t.Fatal(err)
	}
	apply := func(doc string) *buildv1.Build {
		t.Helper()
		b, err := f.apply(doc, func(r *metav1.PatchRequest) { r.FieldManager = "kubectl" })
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	changed := strings.Replace(doc, `"image":"a"`, `"image":"b"`, 1)
	b := apply(changed) // no conflict: the annotation says whose the fields were
	if last := b.GetMetadata().GetAnnotations()["kubectl.kubernetes.io/last-applied-configuration"]; !strings.Contains(last, `"image":"b"`) {
		t.Errorf("the annotation is %s", last)
	}
	var entries []map[string]any
	for _, e := range b.GetMetadata().GetManagedFields() {
		if e.GetManager() == "kubectl-client-side-apply" {
			continue
		}
		entries = append(entries, map[string]any{
			"manager": e.GetManager(), "operation": e.GetOperation(), "apiVersion": e.GetApiVersion(), "fieldsType": "FieldsV1",
			"time": e.GetTime().AsTime(), "fieldsV1": json.RawMessage(e.GetFieldsV1().GetRaw()),
		})
	}
	value, err := json.Marshal([]map[string]any{
		{"op": "replace", "path": "/metadata/managedFields", "value": entries},
		{"op": "replace", "path": "/metadata/resourceVersion", "value": b.GetMetadata().GetResourceVersion()},
	})
	if err != nil {
		t.Fatal(err)
	}
	b, err = f.build.Patch(f.ctx, &metav1.PatchRequest{Namespace: "shop", Name: "web", ContentType: jsonPatch, Patch: value, FieldManager: "kubectl"})
	if err != nil {
		t.Fatal(err)
	}
	wantManagers(t, "migrated", b, "kubectl Apply")
}

// An object that is too large with its managed fields is stored without them.
func TestManagedFieldsGiveWay(t *testing.T) {
	f := start(t)
	b := aBuild("shop", "web")
	b.Metadata.Labels = map[string]string{}
	for i := range 9000 {
		b.Metadata.Labels[fmt.Sprintf("example.com/a-label-with-a-long-name-%05d", i)] = strings.Repeat("x", 45)
	}
	got, err := f.build.Create(f.ctx, &buildv1.BuildServiceCreateRequest{Object: b})
	if err != nil {
		t.Fatal(err)
	}
	wantManagers(t, "too large", got)
}
