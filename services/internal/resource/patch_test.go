// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package resource_test

import (
	"bytes"
	"fmt"
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

const (
	jsonPatch  = "application/json-patch+json"
	mergePatch = "application/merge-patch+json"
)

func TestPatch(t *testing.T) {
	f := start(t)
	cases := map[string]struct {
		contentType, patch string
		reason             apierror.Reason // of the error; empty if it works
		text               string
		check              func(*buildv1.Build) bool
	}{
		"replace of an absent key": {contentType: jsonPatch, patch: `[{"op":"replace","path":"/spec/status","value":"BuildCancelled"}]`,
			check: func(b *buildv1.Build) bool { return b.GetSpec().GetStatus() == "BuildCancelled" }},
		"replace of a list item": {contentType: jsonPatch, patch: `[{"op":"replace","path":"/spec/steps/0","value":{"name":"two"}}]`,
			check: func(b *buildv1.Build) bool {
				return len(b.GetSpec().GetSteps()) == 1 && b.GetSpec().GetSteps()[0].GetName() == "two"
			}},
		"replace of an absent list item": {contentType: jsonPatch, patch: `[{"op":"replace","path":"/spec/steps/4","value":{"name":"two"}}]`,
			reason: apierror.ReasonInvalid, text: "the server rejected our request due to an error in our request"},
		"failed test": {contentType: jsonPatch, patch: `[{"op":"test","path":"/spec/timeout","value":"1s"}]`,
			reason: apierror.ReasonInvalid, text: "test"},
		"remove of an absent key": {contentType: jsonPatch, patch: `[{"op":"remove","path":"/spec/status"}]`, reason: apierror.ReasonInvalid, text: "remove"},
		"not JSON":                {contentType: jsonPatch, patch: `[`, reason: apierror.ReasonBadRequest, text: "error decoding patch"},
		"merge": {contentType: mergePatch, patch: `{"metadata":{"labels":{"a":"b","old":null}},"spec":{"timeout":"5m0s"}}`,
			check: func(b *buildv1.Build) bool {
				_, old := b.GetMetadata().GetLabels()["old"]
				return !old && b.GetMetadata().GetLabels()["a"] == "b" && b.GetSpec().GetTimeout() == "5m0s" && b.GetMetadata().GetGeneration() == 2
			}},
		"default comes back": {contentType: mergePatch, patch: `{"spec":{"timeout":null}}`,
			check: func(b *buildv1.Build) bool { return b.GetSpec().GetTimeout() == "10m0s" }},
		"merge of no object": {contentType: mergePatch, patch: `[]`, reason: apierror.ReasonBadRequest, text: "a merge patch is a JSON object"},
		"fault":              {contentType: mergePatch, patch: `{"spec":{"steps":null}}`, reason: apierror.ReasonInvalid, text: "spec.steps: Required value"},
		"unknown field":      {contentType: mergePatch, patch: `{"spec":{"stepz":[]}}`, reason: apierror.ReasonInvalid, text: `unknown field "spec.stepz"`},
		"wrong type":         {contentType: mergePatch, patch: `{"spec":{"steps":"x"}}`, reason: apierror.ReasonInvalid, text: "spec.steps"},
		"other name":         {contentType: mergePatch, patch: `{"metadata":{"name":"x"}}`, reason: apierror.ReasonBadRequest, text: "does not match the name on the URL"},
		"other namespace":    {contentType: mergePatch, patch: `{"metadata":{"namespace":"other"}}`, reason: apierror.ReasonBadRequest, text: "does not match the namespace"},
		"old version":        {contentType: mergePatch, patch: `{"metadata":{"resourceVersion":"1"}}`, reason: apierror.ReasonConflict, text: "the object has been modified"},
		"other uid":          {contentType: mergePatch, patch: `{"metadata":{"uid":"x"}}`, reason: apierror.ReasonInvalid, text: `metadata.uid: Invalid value: "x": field is immutable`},
		"other birth": {contentType: mergePatch, patch: `{"metadata":{"creationTimestamp":"2020-01-01T00:00:00Z"}}`,
			reason: apierror.ReasonInvalid, text: "metadata.creationTimestamp"},
		"deletion": {contentType: mergePatch, patch: `{"metadata":{"deletionTimestamp":"2020-01-01T00:00:00Z"}}`,
			reason: apierror.ReasonInvalid, text: "metadata.deletionTimestamp"},
		"no birth": {contentType: mergePatch, patch: `{"metadata":{"creationTimestamp":null,"uid":null}}`,
			check: func(b *buildv1.Build) bool {
				return b.GetMetadata().GetUid() != "" && b.GetMetadata().GetCreationTimestamp() != nil
			}},
		"a key twice": {contentType: mergePatch, patch: `{"spec":{"timeout":"1m","timeout":"2m"}}`, reason: apierror.ReasonInvalid, text: `duplicate field "spec.timeout"`},
		"a field that operations do not have": {contentType: jsonPatch, patch: `[{"op":"add","path":"/spec/timeout","value":"1m","x":1}]`,
			reason: apierror.ReasonInvalid, text: `json patch unknown field "[0].x"`},
		"no operation": {contentType: jsonPatch, patch: `[{"op":"dance","path":"/spec"}]`, reason: apierror.ReasonInvalid, text: "our request"},
		"an absent key that looks like an index": {contentType: jsonPatch, patch: `[{"op":"replace","path":"/metadata/labels/7","value":"x"}]`,
			check: func(b *buildv1.Build) bool { return b.GetMetadata().GetLabels()["7"] == "x" }},
		"status is not spec": {contentType: mergePatch, patch: `{"status":{"builder":"me"}}`,
			check: func(b *buildv1.Build) bool { return b.GetStatus() == nil && b.GetMetadata().GetGeneration() == 1 }},
		"strategic": {contentType: "application/strategic-merge-patch+json", patch: `{}`, reason: apierror.ReasonUnsupportedMediaType, text: mergePatch},
		"with charset": {contentType: mergePatch + "; charset=utf-8", patch: `{"spec":{"serviceAccountName":"robot"}}`,
			check: func(b *buildv1.Build) bool { return b.GetSpec().GetServiceAccountName() == "robot" }},
	}
	n := 0
	for name, tc := range cases {
		n++
		b := aBuild("shop", fmt.Sprintf("b%d", n))
		b.Metadata.Labels = map[string]string{"old": "x"}
		f.created(t, b)
		t.Run(name, func(t *testing.T) {
			got, err := f.build.Patch(f.ctx, &metav1.PatchRequest{
				Namespace: "shop", Name: b.GetMetadata().GetName(), ContentType: tc.contentType, Patch: []byte(tc.patch),
			})
			if tc.reason != "" {
				fails(t, err, tc.reason, tc.text)
				return
			}
			if err != nil || !tc.check(got) {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

func TestPatchOfStatus(t *testing.T) {
	f := start(t)
	f.created(t, aBuild("shop", "web"))
	got, err := f.build.Patch(f.ctx, &metav1.PatchRequest{
		Namespace: "shop", Name: "web", Subresource: "status", ContentType: mergePatch, Patch: []byte(`{"status":{"builder":"Cluster"},"spec":{"timeout":"1m0s"}}`),
	})
	if err != nil || got.GetStatus().GetBuilder() != "Cluster" || got.GetSpec().GetTimeout() != "10m0s" {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestPatchLimits(t *testing.T) {
	f := start(t)
	f.created(t, aBuild("shop", "web"))
	one := `{"op":"test","path":"/spec/timeout","value":"10m0s"}`
	cases := map[string]struct {
		contentType string
		patch       []byte
		reason      apierror.Reason
	}{
		"bytes":      {mergePatch, append(bytes.Repeat([]byte(" "), 3<<20), "{}"...), apierror.ReasonRequestEntityTooLarge},
		"operations": {jsonPatch, []byte("[" + strings.Repeat(one+",", 10_000) + one + "]"), apierror.ReasonRequestEntityTooLarge},
		"nesting":    {mergePatch, []byte(strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000)), apierror.ReasonBadRequest},
		"copies": {jsonPatch, []byte(`[{"op":"add","path":"/x","value":["` + strings.Repeat("y", 1000) + `"]}` +
			strings.Repeat(`,{"op":"copy","from":"/x","path":"/x/-"}`, 40) + `]`), apierror.ReasonInvalid},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := f.build.Patch(f.ctx, &metav1.PatchRequest{Namespace: "shop", Name: "web", ContentType: tc.contentType, Patch: tc.patch})
			fails(t, err, tc.reason, "")
		})
	}
}

func TestFieldValidationWarns(t *testing.T) {
	f := start(t)
	f.created(t, aBuild("shop", "web"))
	for validation, want := range map[string][]string{"Warn": {`unknown field "spec.stepz" (did you mean "steps"?)`}, "Ignore": nil} {
		var header metadata.MD
		_, err := f.build.Patch(f.ctx, &metav1.PatchRequest{
			Namespace: "shop", Name: "web", ContentType: mergePatch, Patch: []byte(`{"spec":{"stepz":1}}`), FieldValidation: validation,
		}, grpc.Header(&header))
		if d := cmp.Diff(want, header.Get(wire.WarningKey)); d != "" || err != nil {
			t.Errorf("%s: %v, warnings (-want +got):\n%s", validation, err, d)
		}
	}
}

const document = `
apiVersion: build.knative.dev/v1alpha1
kind: Build
metadata:
  name: web
  namespace: shop
  labels: {app: shop}
spec:
  steps:
  - name: %s
    image: busybox
`

func (f *fixture) apply(doc string, change func(*metav1.PatchRequest)) (*buildv1.Build, error) {
	r := &metav1.PatchRequest{Namespace: "shop", Name: "web", ContentType: wire.ContentTypeApply, Patch: []byte(doc), FieldManager: "tests"}
	if change != nil {
		change(r)
	}
	return f.build.Patch(f.ctx, r)
}

func TestApplyCreatesOrMerges(t *testing.T) {
	f := start(t)
	if _, err := f.apply(fmt.Sprintf(document, "one"), func(r *metav1.PatchRequest) { r.DryRun = []string{"All"} }); err != nil {
		t.Fatal(err)
	}
	first, err := f.apply(fmt.Sprintf(document, "one"), nil)
	if err != nil || first.GetMetadata().GetGeneration() != 1 {
		t.Fatalf("got %v, %v", first, err)
	}
	again, err := f.apply(fmt.Sprintf(document, "one"), nil)
	if err != nil || again.GetMetadata().GetResourceVersion() != first.GetMetadata().GetResourceVersion() {
		t.Errorf("the same again wrote: %v, %v", again, err)
	}
	_, err = f.build.Patch(f.ctx, &metav1.PatchRequest{
		Namespace: "shop", Name: "web", ContentType: mergePatch, Patch: []byte(`{"metadata":{"labels":{"other":"x"}},"spec":{"serviceAccountName":"robot"}}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	second, err := f.apply(fmt.Sprintf(document, "two"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if second.GetSpec().GetSteps()[0].GetName() != "two" || second.GetSpec().GetServiceAccountName() != "robot" {
		t.Errorf("spec is not what both want: %v", second.GetSpec())
	}
	if d := cmp.Diff(map[string]string{"app": "shop", "other": "x"}, second.GetMetadata().GetLabels()); d != "" {
		t.Errorf("labels (-want +got):\n%s", d)
	}
}

func TestApplyRefuses(t *testing.T) {
	f := start(t)
	doc := fmt.Sprintf(document, "one")
	cases := map[string]struct {
		doc    string
		reason apierror.Reason
		text   string
	}{
		"other kind":       {strings.Replace(doc, "kind: Build", "kind: Pod", 1), apierror.ReasonBadRequest, "the document is a Pod"},
		"other name":       {strings.Replace(doc, "name: web", "name: x", 1), apierror.ReasonBadRequest, "does not match the name on the URL"},
		"other namespace":  {strings.Replace(doc, "namespace: shop", "namespace: other", 1), apierror.ReasonBadRequest, "does not match the namespace"},
		"unknown field":    {doc + "  stepz: 1\n", apierror.ReasonBadRequest, `unknown field "spec.stepz"`},
		"not YAML":         {"a: [", apierror.ReasonBadRequest, ""},
		"uid of an absent": {strings.Replace(doc, "name: web", "name: web\n  uid: gone", 1), apierror.ReasonConflict, "uid mismatch: the provided object specified uid gone, and no existing object was found"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := f.apply(tc.doc, nil)
			fails(t, err, tc.reason, tc.text)
		})
	}
}

func TestApplyCreatesOnlyWithTheRightTo(t *testing.T) {
	f := startWith(t, everyone{denied: func(a rpc.Attributes) bool { return a.Verb == "create" && a.Name != "" }})
	_, err := f.apply(fmt.Sprintf(document, "one"), nil)
	fails(t, err, apierror.ReasonForbidden, "no")
	f.created(t, aBuild("shop", "web"))
	if _, err := f.apply(fmt.Sprintf(document, "one"), nil); err != nil {
		t.Errorf("to change what exists needs no right to create: %v", err)
	}
}
