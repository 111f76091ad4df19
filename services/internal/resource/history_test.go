// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package resource_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	buildv1 "fairlead.dev/gen/go/fairlead/build/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/resource"
	"fairlead.dev/services/internal/rpc"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/wire"
)

// patched changes a build and returns it.
func (f *fixture) patched(t *testing.T, patch string) *buildv1.Build {
	t.Helper()
	out, err := f.build.Patch(f.ctx, &metav1.PatchRequest{Namespace: "shop", Name: "web", ContentType: mergePatch, Patch: []byte(patch)})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestRollback(t *testing.T) {
	f := start(t)
	b := aBuild("shop", "web")
	b.Metadata.Labels, b.Metadata.Annotations = map[string]string{"tier": "one"}, map[string]string{"note": "one"}
	first := f.created(t, b)
	f.patched(t, `{"metadata":{"labels":{"tier":"two","more":"x"},"annotations":{"note":"two"},"finalizers":["fairlead.dev/test"]},"spec":{"timeout":"2m0s"}}`)
	third := f.patched(t, `{"spec":{"timeout":"3m0s"}}`)
	third.Status = &buildv1.BuildStatus{Builder: "Cluster"}
	if _, err := f.build.UpdateStatus(f.ctx, &buildv1.BuildServiceUpdateStatusRequest{Object: third}); err != nil {
		t.Fatal(err)
	}
	got, err := f.build.Rollback(f.ctx, &metav1.RollbackRequest{Namespace: "shop", Name: "web", Generation: 1})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(first.GetSpec(), got.GetSpec(), protocmp.Transform()); d != "" {
		t.Errorf("spec (-first +now):\n%s", d)
	}
	m := got.GetMetadata()
	if d := cmp.Diff(first.GetMetadata().GetLabels(), m.GetLabels()) + cmp.Diff(first.GetMetadata().GetAnnotations(), m.GetAnnotations()); d != "" {
		t.Errorf("labels and annotations (-first +now):\n%s", d)
	}
	if got.GetStatus().GetBuilder() != "Cluster" || m.GetGeneration() != 4 || len(m.GetFinalizers()) != 1 || m.GetUid() != first.GetMetadata().GetUid() {
		t.Errorf("what is not the user's goes back too: %v", got)
	}
	history, err := f.build.History(f.ctx, &metav1.HistoryRequest{Namespace: "shop", Name: "web"})
	if err != nil {
		t.Fatal(err)
	}
	var generations []string
	for _, v := range history.GetVersions() {
		generations = append(generations, fmt.Sprintf("%d %s %t", v.GetGeneration(), v.GetObject().GetSpec().GetTimeout(), v.GetReplaced().IsValid()))
	}
	if d := cmp.Diff([]string{"3 3m0s true", "2 2m0s true", "1 10m0s true"}, generations); d != "" {
		t.Errorf("history (-want +got):\n%s", d)
	}
	if got, err := f.build.Rollback(f.ctx, &metav1.RollbackRequest{Namespace: "shop", Name: "web"}); err != nil || got.GetSpec().GetTimeout() != "3m0s" {
		t.Errorf("to the one before: %v, %v", got, err)
	}
}

// What was good once is looked at like any other write.
func TestRollbackIsAdmitted(t *testing.T) {
	var strict bool
	f := startHandlers(t, everyone{}, resource.Handler{Kind: kind(t, &buildv1.Build{}), Hooks: resource.Hooks{
		Validate: func(_ context.Context, obj, _ store.Object) []apierror.Cause {
			if obj.(*buildv1.Build).GetSpec().GetTimeout() == "" && strict {
				return []apierror.Cause{apierror.Required("spec.timeout", "Required value")}
			}
			return nil
		},
		Authorize: func(ctx context.Context, obj, _ store.Object) error {
			if id, ok := rpc.IdentityFrom(ctx); ok && id.User == "mallory" && obj.(*buildv1.Build).GetSpec().GetTimeout() == "" {
				return apierror.Forbidden(apierror.Resource{Plural: "builds"}, "", "mallory may not")
			}
			return nil
		},
	}})
	f.created(t, aBuild("shop", "web"))
	f.patched(t, `{"spec":{"timeout":"3m0s"}}`)
	mallory := metadata.NewOutgoingContext(f.ctx, metadata.Pairs(rpc.AuthorizationKey, "Bearer mallory"))
	_, err := f.build.Rollback(mallory, &metav1.RollbackRequest{Namespace: "shop", Name: "web"})
	fails(t, err, apierror.ReasonForbidden, "mallory may not")
	strict = true
	_, err = f.build.Rollback(f.ctx, &metav1.RollbackRequest{Namespace: "shop", Name: "web"})
	fails(t, err, apierror.ReasonInvalid, "spec.timeout")
	for reason, r := range map[string]*metav1.RollbackRequest{
		"no name": {Namespace: "shop"}, "no namespace": {Name: "web"}, "a negative generation": {Namespace: "shop", Name: "web", Generation: -1},
		"a slash": {Namespace: "shop", Name: "a/b"}, "a bad dry run": {Namespace: "shop", Name: "web", DryRun: []string{"x"}},
	} {
		if _, err := f.build.Rollback(f.ctx, r); err == nil {
			t.Errorf("%s is taken", reason)
		}
	}
}

// A rollback takes back what there was when it was asked, and nothing that came after.
func TestRollbackKeepsWhatCameBetween(t *testing.T) {
	for name, tc := range map[string]struct {
		reason, patch string
		status        bool
		want          apierror.Reason
	}{
		"Spec":        {reason: "a new generation is not overwritten", patch: `{"spec":{"timeout":"9m0s"}}`, want: apierror.ReasonConflict},
		"Labels":      {reason: "nor are labels", patch: `{"metadata":{"labels":{"a":"b"}}}`, want: apierror.ReasonConflict},
		"Annotations": {reason: "nor are annotations", patch: `{"metadata":{"annotations":{"a":"b"}}}`, want: apierror.ReasonConflict},
		"Status":      {reason: "the status is not the rollback's, and stays", status: true},
	} {
		t.Run(name, func(t *testing.T) {
			var between func()
			f := startHandlers(t, everyone{}, resource.Handler{Kind: kind(t, &buildv1.Build{}), Hooks: resource.Hooks{
				Default: func(context.Context, store.Object, store.Object) {
					if fn := between; fn != nil {
						between = nil
						fn()
					}
				},
			}})
			f.created(t, aBuild("shop", "web"))
			last := f.patched(t, `{"spec":{"timeout":"3m0s"}}`)
			between = func() {
				if !tc.status {
					last = f.patched(t, tc.patch)
					return
				}
				last.Status = &buildv1.BuildStatus{Builder: "Cluster"}
				if _, err := f.build.UpdateStatus(f.ctx, &buildv1.BuildServiceUpdateStatusRequest{Object: last}); err != nil {
					t.Error(err)
				}
			}
			got, err := f.build.Rollback(f.ctx, &metav1.RollbackRequest{Namespace: "shop", Name: "web"})
			if tc.want == "" {
				if err != nil || got.GetStatus().GetBuilder() != "Cluster" || got.GetSpec().GetTimeout() == "3m0s" {
					t.Errorf("%s: got %v, %v", tc.reason, got, err)
				}
				return
			}
			fails(t, err, tc.want, "the object has been modified")
			now, err := f.build.Get(f.ctx, &metav1.GetRequest{Namespace: "shop", Name: "web"})
			if d := cmp.Diff(last, now, protocmp.Transform()); err != nil || d != "" {
				t.Errorf("%s: %v (-written +now):\n%s", tc.reason, err, d)
			}
		})
	}
}

func TestPrepareRefuses(t *testing.T) {
	f := start(t)
	document := `{"apiVersion":"build.knative.dev/v1alpha1","kind":"Build","metadata":{"name":"web","namespace":"shop"},"spec":{"steps":[{"name":"one","image":"x"}]}}`
	for reason, c := range map[string]struct {
		request *metav1.PrepareRequest
		want    apierror.Reason
	}{
		"no document":           {&metav1.PrepareRequest{Namespace: "shop", Name: "web"}, apierror.ReasonInvalid},
		"no JSON":               {&metav1.PrepareRequest{Namespace: "shop", Name: "web", Document: []byte(`{`)}, apierror.ReasonBadRequest},
		"another kind":          {&metav1.PrepareRequest{Namespace: "shop", Name: "web", Document: []byte(strings.Replace(document, `"Build"`, `"Pod"`, 1))}, apierror.ReasonBadRequest},
		"another name":          {&metav1.PrepareRequest{Namespace: "shop", Name: "other", Document: []byte(document)}, apierror.ReasonBadRequest},
		"unknown fields":        {&metav1.PrepareRequest{Namespace: "shop", Name: "web", Document: []byte(strings.Replace(document, "steps", "stepz", 1))}, apierror.ReasonBadRequest},
		"faults":                {&metav1.PrepareRequest{Namespace: "shop", Name: "web", Document: []byte(strings.Replace(document, `{"name":"one","image":"x"}`, "", 1))}, apierror.ReasonInvalid},
		"an absent namespace":   {&metav1.PrepareRequest{Namespace: "nowhere", Name: "web", Document: []byte(strings.Replace(document, "shop", "nowhere", 1))}, apierror.ReasonNotFound},
		"a namespace that ends": {&metav1.PrepareRequest{Namespace: "ending", Name: "web", Document: []byte(strings.Replace(document, "shop", "ending", 1))}, apierror.ReasonForbidden},
	} {
		_, err := f.build.Prepare(f.ctx, c.request)
		if e := apierror.FromStatus(err); err == nil || e.Reason != c.want {
			t.Errorf("%s: got %v, want %s", reason, err, c.want)
		}
	}
}

// A write that changes spec says in which trace it happened; others leave that alone, and callers cannot say it.
func TestWritesOfSpecCarryTheirTrace(t *testing.T) {
	st := startStore(t)
	k := kind(t, &buildv1.Build{})
	call := resource.Caller(t, resource.Deps{Store: st}, resource.Handler{Kind: k})
	traced := func(id byte) (context.Context, string) {
		sc := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{id}, SpanID: trace.SpanID{id}, TraceFlags: trace.FlagsSampled})
		return trace.ContextWithSpanContext(t.Context(), sc), fmt.Sprintf("00-%s-%s-01", sc.TraceID(), sc.SpanID())
	}
	b := aBuild("shop", "web")
	b.Metadata.Annotations = map[string]string{wire.AnnotationTraceParent: "mine"}
	one, want := traced(1)
	got := call(one, "Create", &buildv1.BuildServiceCreateRequest{Object: b}).(*buildv1.Build)
	if note := got.GetMetadata().GetAnnotations()[wire.AnnotationTraceParent]; note != want {
		t.Errorf("created: %q, want %q", note, want)
	}
	two, other := traced(2)
	labelled := proto.CloneOf(got)
	labelled.Metadata.Labels, labelled.Metadata.Annotations = map[string]string{"a": "b"}, nil
	got = call(two, "Update", &buildv1.BuildServiceUpdateRequest{Object: labelled}).(*buildv1.Build)
	if note := got.GetMetadata().GetAnnotations()[wire.AnnotationTraceParent]; note != want {
		t.Errorf("after a change of labels: %q, want %q", note, want)
	}
	got.Spec.Timeout = "1m0s"
	got = call(two, "Update", &buildv1.BuildServiceUpdateRequest{Object: got}).(*buildv1.Build)
	if note := got.GetMetadata().GetAnnotations()[wire.AnnotationTraceParent]; note != other {
		t.Errorf("after a change of spec: %q, want %q", note, other)
	}
	got.Spec.Timeout = "2m0s"
	got = call(t.Context(), "Update", &buildv1.BuildServiceUpdateRequest{Object: got}).(*buildv1.Build)
	if note, ok := got.GetMetadata().GetAnnotations()[wire.AnnotationTraceParent]; ok {
		t.Errorf("after a change without a trace: %q", note)
	}
}
