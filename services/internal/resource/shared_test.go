// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package resource_test

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	buildv1 "fairlead.dev/gen/go/fairlead/build/v1"
	eventingv1 "fairlead.dev/gen/go/fairlead/eventing/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/wire"
)

// states gathers every state of every object of a kind, as all readers of a store share it.
type states struct {
	store *store.Store
	kind  kinds.Kind
	seen  map[string]store.Event
	watch *store.Watcher
}

// newStates watches a kind before anybody uses it.
func newStates(ctx context.Context, t *testing.T, s *store.Store, k kinds.Kind) *states {
	t.Helper()
	w, err := s.Watch(ctx, k, store.WatchOptions{SendInitialEvents: new(true)})
	if err != nil {
		t.Fatal(err)
	}
	return &states{store: s, kind: k, seen: map[string]store.Event{}, watch: w}
}

// take takes note of the states up to a version. Later readers get the same objects, since these are in use.
func (s *states) take(t *testing.T, version string) {
	t.Helper()
	for ev := range s.watch.Events() {
		m := ev.Object.GetMetadata()
		s.seen[m.GetName()+" "+m.GetResourceVersion()] = ev
		if m.GetResourceVersion() == version {
			return
		}
	}
	t.Fatal(s.watch.Err())
}

// unchanged checks that every state still is what its bytes say.
func (s *states) unchanged(t *testing.T) {
	t.Helper()
	for name, ev := range s.seen {
		want := s.kind.New()
		if err := proto.Unmarshal(ev.Encoded(), want); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, proto.Message(ev.Object), protocmp.Transform()); d != "" {
			t.Errorf("%s is shared by all readers and was changed (-was +is):\n%s", name, d)
		}
	}
	if len(s.seen) == 0 {
		t.Error("no states were seen")
	}
}

// TestSharedObjectsAreNotChanged calls every verb, while readers share the objects.
func TestSharedObjectsAreNotChanged(t *testing.T) {
	f := start(t)
	all := newStates(f.ctx, t, f.store, kind(t, &buildv1.Build{}))
	readAll := func() {
		t.Helper()
		if _, err := f.build.List(f.ctx, &metav1.ListRequest{ResourceVersion: "0"}); err != nil {
			t.Error(err)
		}
		if _, err := f.build.Get(f.ctx, &metav1.GetRequest{Namespace: "shop", Name: "web", ResourceVersion: "0"}); err != nil {
			t.Error(err)
		}
		stream, err := f.build.Watch(f.ctx, &metav1.WatchRequest{TimeoutSeconds: 1})
		if err != nil {
			t.Fatal(err)
		}
		for err == nil {
			_, err = stream.Recv()
		}
		if !errors.Is(err, io.EOF) {
			t.Error(err)
		}
	}
	step := func(what string, obj *buildv1.Build, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if v := obj.GetMetadata().GetResourceVersion(); what != "delete" {
			all.take(t, v)
		}
	}
	web := aBuild("shop", "web")
	web.Metadata.Labels = map[string]string{"a": "b"}
	web.Metadata.Annotations = map[string]string{"c": "d"}
	web.Metadata.Finalizers = []string{"example.com/wait"}
	made, err := f.build.Create(f.ctx, &buildv1.BuildServiceCreateRequest{Object: web})
	step("create", made, err)
	readAll()
	status := proto.CloneOf(made)
	status.Status = &buildv1.BuildStatus{Conditions: []*metav1.Condition{{Type: "Succeeded", Status: "Unknown"}}}
	got, err := f.build.UpdateStatus(f.ctx, &buildv1.BuildServiceUpdateStatusRequest{Object: status})
	step("update of status", got, err)
	next := proto.CloneOf(got)
	next.Metadata.Labels["a"] = "e"
	got, err = f.build.Update(f.ctx, &buildv1.BuildServiceUpdateRequest{Object: next})
	step("update", got, err)
	for contentType, body := range map[string]string{
		wire.ContentTypeMergePatch: `{"metadata":{"labels":{"a":null,"f":"g"}}}`,
		wire.ContentTypeJSONPatch:  `[{"op":"add","path":"/metadata/annotations/h","value":"i"}]`,
		wire.ContentTypeApply: "apiVersion: " + all.kind.APIVersion() + "\nkind: Build\nmetadata: {name: web, labels: {j: k}}\n" +
			"spec: {steps: [{name: one, image: busybox}]}\n",
	} {
		for _, dryRun := range [][]string{{"All"}, nil} {
			got, err = f.build.Patch(f.ctx, &metav1.PatchRequest{
				Namespace: "shop", Name: "web", ContentType: contentType, Patch: []byte(body), DryRun: dryRun,
				FieldManager: "tests", Force: contentType == wire.ContentTypeApply,
			})
			if dryRun == nil {
				step(contentType, got, err)
			} else if err != nil {
				t.Fatal(err)
			}
		}
	}
	readAll()
	got, err = f.build.Delete(f.ctx, &metav1.DeleteRequest{Namespace: "shop", Name: "web", PropagationPolicy: store.Foreground})
	step("delete that waits", got, err)
	if _, err := f.build.DeleteCollection(f.ctx, &metav1.DeleteCollectionRequest{Namespace: "shop"}); err != nil {
		t.Fatal(err)
	}
	readAll()
	all.unchanged(t)
}

// TestSharedObjectsAreNotConverted reads objects in an older form than the one that readers share.
func TestSharedObjectsAreNotConverted(t *testing.T) {
	v := startVersions(t)
	all := newStates(v.ctx, t, v.store, kind(t, &eventingv1.Trigger{}))
	made, err := v.stored.Create(v.ctx, &eventingv1.TriggerServiceCreateRequest{Object: aTrigger("web")})
	if err != nil {
		t.Fatal(err)
	}
	all.take(t, made.GetMetadata().GetResourceVersion())
	older := v.getOlder(t, "web")
	older.Spec.Config.Kind = "Other" // what the stored form cannot say
	changed, err := v.older.Update(v.ctx, &eventingv1.BrokerServiceUpdateRequest{Object: older})
	if err != nil {
		t.Fatal(err)
	}
	all.take(t, changed.GetMetadata().GetResourceVersion())
	v.getOlder(t, "web")
	if _, err := v.older.List(v.ctx, &metav1.ListRequest{}); err != nil {
		t.Fatal(err)
	}
	stream, err := v.older.Watch(v.ctx, &metav1.WatchRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	all.unchanged(t)
}
