// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package resource_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/testing/protocmp"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/client"
	"fairlead.dev/services/internal/codec"
	"fairlead.dev/services/internal/resource"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/wire"
)

// TestEveryVerbOfEveryKind takes an object of each kind of the registry, made from its descriptor, through all verbs.
// Hooks of services are not there: their tests are beside them.
func TestEveryVerbOfEveryKind(t *testing.T) {
	var handlers []resource.Handler
	for _, k := range kinds.All() {
		handlers = append(handlers, resource.Handler{Kind: k})
	}
	f := startHandlers(t, everyone{}, handlers...)
	for _, k := range kinds.All() {
		t.Run(k.Kind+"."+k.Group, func(t *testing.T) {
			o := &anyKind{t: t, ctx: f.ctx, kind: k, client: client.New(f.conn, kinds.All())}
			if k.Namespaced {
				o.namespace = "shop"
			}
			o.refusesFaults()
			o.creates()
			o.reads()
			o.updates()
			o.keepsStatusApart()
			o.patches()
			o.goesBack()
			o.prepares()
			o.deletes()
		})
	}
}

// anyKind calls the verbs of one kind.
type anyKind struct {
	t         *testing.T
	ctx       context.Context //nolint:containedctx // of all calls of a test
	kind      kinds.Kind
	client    *client.Client
	namespace string
}

// object makes the least object of the kind.
func (o *anyKind) object(name string) store.Object {
	obj := o.kind.New().(store.Object)
	fillRequired(obj.ProtoReflect())
	meta := &metav1.ObjectMeta{Namespace: o.namespace, Name: name}
	obj.ProtoReflect().Set(obj.ProtoReflect().Descriptor().Fields().ByName("metadata"), protoreflect.ValueOfMessage(meta.ProtoReflect()))
	return obj
}

// call calls a method whose request is of the kind's own type.
func (o *anyKind) call(method string, obj store.Object, dryRun bool) (store.Object, error) {
	o.t.Helper()
	md, err := protoregistry.GlobalFiles.FindDescriptorByName(o.kind.Service.Append(protoreflect.Name(method)))
	if err != nil {
		o.t.Fatal(err)
	}
	in, err := protoregistry.GlobalTypes.FindMessageByName(md.(protoreflect.MethodDescriptor).Input().FullName())
	if err != nil {
		o.t.Fatal(err)
	}
	req := in.New()
	fields := req.Descriptor().Fields()
	req.Set(fields.ByName("object"), protoreflect.ValueOfMessage(obj.ProtoReflect()))
	if dryRun {
		req.Mutable(fields.ByName("dry_run")).List().Append(protoreflect.ValueOfString("All"))
	}
	out := o.kind.New().(store.Object)
	return out, o.client.Conn().Invoke(o.ctx, "/"+string(o.kind.Service)+"/"+method, req.Interface(), out)
}

func (o *anyKind) must(method string, obj store.Object) store.Object {
	o.t.Helper()
	out, err := o.call(method, obj, false)
	if err != nil {
		o.t.Fatalf("%s: %v: %v", method, err, apierror.FromStatus(err).Causes)
	}
	return out
}

func (o *anyKind) get(name string) store.Object {
	o.t.Helper()
	obj, err := o.client.Get(o.ctx, o.kind, store.Key{Namespace: o.namespace, Name: name})
	if err != nil {
		o.t.Fatal(err)
	}
	return obj
}

func (o *anyKind) absent(name string) {
	o.t.Helper()
	if _, err := o.client.Get(o.ctx, o.kind, store.Key{Namespace: o.namespace, Name: name}); !apierror.IsNotFound(err) {
		o.t.Errorf("%s: got %v, want that it is not there", name, err)
	}
}

func (o *anyKind) refusesFaults() {
	o.t.Helper()
	bad := o.kind.New().(store.Object)
	meta := &metav1.ObjectMeta{Namespace: o.namespace, Name: "Not_A_Name", Labels: map[string]string{"bad key!": "x"}}
	bad.ProtoReflect().Set(bad.ProtoReflect().Descriptor().Fields().ByName("metadata"), protoreflect.ValueOfMessage(meta.ProtoReflect()))
	want := []string{"metadata.labels", "metadata.name"}
	fields := bad.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		if f := fields.Get(i); rulesOf(f).GetRequired() {
			want = append(want, f.JSONName())
		}
	}
	slices.Sort(want)
	_, err := o.call("Create", bad, false)
	got := sortedFields(fails(o.t, err, apierror.ReasonInvalid, "Not_A_Name"))
	if d := cmp.Diff(want, got); d != "" {
		o.t.Errorf("faults of an empty object (-want +got):\n%s", d)
	}
	if !o.kind.Namespaced {
		return
	}
	for namespace, reason := range map[string]apierror.Reason{"nowhere": apierror.ReasonNotFound, "ending": apierror.ReasonForbidden} {
		obj := o.object("web")
		obj.GetMetadata().Namespace = namespace
		_, err := o.call("Create", obj, false)
		fails(o.t, err, reason, namespace)
	}
}

func sortedFields(e *apierror.Error) []string {
	out := fields(e)
	slices.Sort(out)
	return slices.Compact(out)
}

func (o *anyKind) creates() {
	o.t.Helper()
	if _, err := o.call("Create", o.object("web"), true); err != nil {
		o.t.Fatalf("dry run: %v: %v", err, apierror.FromStatus(err).Causes)
	}
	o.absent("web")
	made := o.must("Create", o.object("web"))
	if m := made.GetMetadata(); m.GetUid() == "" || m.GetGeneration() != 1 || m.GetResourceVersion() == "" || m.GetCreationTimestamp() == nil {
		o.t.Errorf("metadata: %v", m)
	}
	if d := cmp.Diff(made, o.get("web"), protocmp.Transform()); d != "" {
		o.t.Errorf("read is not what was created (-created +read):\n%s", d)
	}
	_, err := o.call("Create", o.object("web"), false)
	fails(o.t, err, apierror.ReasonAlreadyExists, "already exists")
}

func (o *anyKind) reads() {
	o.t.Helper()
	for _, namespace := range []string{"", o.namespace} {
		list, err := o.client.List(o.ctx, o.kind, &metav1.ListRequest{Namespace: namespace, FieldSelector: "metadata.name=web"})
		if err != nil || len(list.Items) != 1 {
			o.t.Errorf("list: %v, %v", list, err)
		}
	}
	yes := true
	ctx, cancel := context.WithCancel(o.ctx)
	defer cancel()
	var seen []string
	err := o.client.Follow(ctx, o.kind, client.Following{
		Request: &metav1.WatchRequest{
			Namespace: o.namespace, FieldSelector: "metadata.name=web", SendInitialEvents: &yes, ResourceVersionMatch: "NotOlderThan", AllowWatchBookmarks: true,
		},
		Event: func(e store.Event) (bool, error) {
			seen = append(seen, string(e.Type)+" "+e.Object.GetMetadata().GetName())
			return e.Type == store.Bookmark, nil
		},
	})
	if d := cmp.Diff([]string{"ADDED web", "BOOKMARK "}, seen); d != "" || err != nil {
		o.t.Errorf("watch: %v (-want +got):\n%s", err, d)
	}
}

func (o *anyKind) updates() {
	o.t.Helper()
	old := o.get("web")
	same := o.must("Update", old)
	if same.GetMetadata().GetResourceVersion() != old.GetMetadata().GetResourceVersion() {
		o.t.Error("an update that changes nothing is a write")
	}
	labelled := proto.Clone(old).(store.Object)
	labelled.GetMetadata().Labels = map[string]string{"tier": "web"}
	if got := o.must("Update", labelled); got.GetMetadata().GetGeneration() != 1 || got.GetMetadata().GetLabels()["tier"] != "web" {
		o.t.Errorf("labels: %v", got.GetMetadata())
	}
	_, err := o.call("Update", old, false)
	fails(o.t, err, apierror.ReasonConflict, "the object has been modified")
	o.changeSpec("web")
	if got := o.get("web"); got.GetMetadata().GetGeneration() != 2 {
		o.t.Errorf("after a change of spec: %v", got.GetMetadata())
	}
	_, err = o.call("Update", o.object("none"), false)
	fails(o.t, err, apierror.ReasonNotFound, "none")
	o.refusesImmutable()
}

// changeSpec changes something that may change, which a dry run finds.
func (o *anyKind) changeSpec(name string) {
	o.t.Helper()
	now := o.get(name)
	if !alter(now.ProtoReflect(), 4, []protoreflect.Name{"metadata", "status"}, func(next protoreflect.Message) bool {
		obj := next.Interface().(store.Object)
		got, err := o.call("Update", obj, true)
		if err != nil || got.GetMetadata().GetGeneration() == now.GetMetadata().GetGeneration() {
			return false
		}
		o.must("Update", obj)
		return true
	}) {
		o.t.Fatal("nothing in the spec can be changed")
	}
}

// refusesImmutable changes each field of spec, or beside it, that is there and may not change.
func (o *anyKind) refusesImmutable() {
	o.t.Helper()
	now := o.get("web")
	for path, obj := range changedImmutables(now.ProtoReflect(), "") {
		_, err := o.call("Update", obj.Interface().(store.Object), false)
		e := fails(o.t, err, apierror.ReasonInvalid, "field is immutable")
		if !slices.Contains(fields(e), path) {
			o.t.Errorf("change of %s: faults at %v", path, fields(e))
		}
	}
}

func changedImmutables(m protoreflect.Message, path string) map[string]protoreflect.Message {
	out := map[string]protoreflect.Message{}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		at := strings.TrimPrefix(path+"."+f.JSONName(), ".")
		if fixed, _ := proto.GetExtension(f.Options(), metav1.E_Immutable).(bool); fixed {
			next := proto.Clone(m.Interface()).ProtoReflect()
			next.Clear(f)
			out[at] = next
		} else if f.Message() != nil && !f.IsList() && !f.IsMap() {
			for inner, changed := range changedImmutables(v.Message(), at) {
				next := proto.Clone(m.Interface()).ProtoReflect()
				next.Set(f, protoreflect.ValueOfMessage(changed))
				out[inner] = next
			}
		}
		return true
	})
	return out
}

func (o *anyKind) keepsStatusApart() {
	o.t.Helper()
	status := o.kind.New().ProtoReflect().Descriptor().Fields().ByName("status")
	if !o.kind.HasStatus {
		_, err := o.client.Patch(o.ctx, o.kind, &metav1.PatchRequest{
			Namespace: o.namespace, Name: "web", Subresource: "status", ContentType: wire.ContentTypeMergePatch, Patch: []byte("{}"),
		})
		fails(o.t, apierror.ToStatus(apierror.From(err)).Err(), apierror.ReasonNotFound, "no subresource")
		return
	}
	before := o.get("web")
	var changed store.Object
	if !alter(before.ProtoReflect().Mutable(status).Message(), 3, nil, func(m protoreflect.Message) bool {
		obj := proto.Clone(before).(store.Object)
		obj.ProtoReflect().Set(status, protoreflect.ValueOfMessage(m))
		got, err := o.call("Update", obj, true)
		if err == nil && !proto.Equal(got.ProtoReflect().Get(status).Message().Interface(), o.get("web").ProtoReflect().Get(status).Message().Interface()) {
			o.t.Error("Update changes status")
		}
		got, err = o.call("UpdateStatus", obj, false)
		changed = got
		return err == nil && !proto.Equal(got, before)
	}) {
		o.t.Fatal("nothing in the status can be changed")
	}
	if changed.GetMetadata().GetGeneration() != before.GetMetadata().GetGeneration() {
		o.t.Error("a change of status is one of the generation")
	}
	bare := o.get("web")
	bare.ProtoReflect().Clear(status)
	if got := o.must("Update", bare); !got.ProtoReflect().Has(status) {
		o.t.Error("an update without status drops it")
	}
	gone := o.object("web")
	gone.GetMetadata().Labels = map[string]string{"not": "status"}
	if got := o.must("UpdateStatus", gone); got.GetMetadata().GetLabels()["not"] != "" {
		o.t.Error("UpdateStatus changes labels")
	}
}

func (o *anyKind) patches() {
	o.t.Helper()
	document, err := codec.Marshal(o.object("applied"))
	if err != nil {
		o.t.Fatal(err)
	}
	for i, c := range []struct{ contentType, name, patch string }{
		{wire.ContentTypeJSONPatch, "web", `[{"op":"add","path":"/metadata/labels/n","value":"0"}]`},
		{wire.ContentTypeMergePatch, "web", `{"metadata":{"labels":{"n":"1"}}}`},
		{wire.ContentTypeApply, "applied", string(document)},
		{wire.ContentTypeApply, "applied", strings.Replace(string(document), `"metadata":{`, `"metadata":{"labels":{"n":"3"},`, 1)},
	} {
		got, err := o.client.Patch(o.ctx, o.kind, &metav1.PatchRequest{
			Namespace: o.namespace, Name: c.name, ContentType: c.contentType, Patch: []byte(c.patch), FieldManager: "tests",
		})
		if err != nil {
			o.t.Errorf("patch %d: %v: %v", i, err, apierror.From(err).Causes)
		} else if want := fmt.Sprint(i); i != 2 && got.GetMetadata().GetLabels()["n"] != want {
			o.t.Errorf("patch %d: %v", i, got.GetMetadata().GetLabels())
		}
	}
	for _, c := range []struct{ contentType, patch string }{
		{wire.ContentTypeMergePatch, `{"nonsense":1}`}, {wire.ContentTypeMergePatch, `[]`}, {wire.ContentTypeJSONPatch, `{}`}, {wire.ContentTypeApply, `[`}, {"text/plain", `x`},
	} {
		if _, err := o.client.Patch(o.ctx, o.kind, &metav1.PatchRequest{Namespace: o.namespace, Name: "web", ContentType: c.contentType, Patch: []byte(c.patch), FieldManager: "tests"}); err == nil {
			o.t.Errorf("%s %s is taken", c.contentType, c.patch)
		}
	}
}

func (o *anyKind) invoke(method string, in, out proto.Message) error {
	return o.client.Conn().Invoke(o.ctx, "/"+string(o.kind.Service)+"/"+method, in, out)
}

func (o *anyKind) goesBack() {
	o.t.Helper()
	now := o.get("web")
	then := now.GetMetadata().GetGeneration() - 1
	got := o.kind.New().(store.Object)
	if err := o.invoke("Rollback", &metav1.RollbackRequest{Namespace: o.namespace, Name: "web", Generation: then}, got); err != nil {
		o.t.Fatal(err)
	}
	if got.GetMetadata().GetGeneration() != then+2 || got.GetMetadata().GetUid() != now.GetMetadata().GetUid() {
		o.t.Errorf("rolled back: %v", got.GetMetadata())
	}
	err := o.invoke("Rollback", &metav1.RollbackRequest{Namespace: o.namespace, Name: "web", Generation: 99}, got)
	fails(o.t, err, apierror.ReasonInvalid, fmt.Sprintf("there are the generations %d, %d", then, then+1))
	err = o.invoke("Rollback", &metav1.RollbackRequest{Namespace: o.namespace, Name: "none"}, got)
	fails(o.t, err, apierror.ReasonNotFound, "none")
	out, err := protoregistry.GlobalTypes.FindMessageByName(o.kind.Message + "ServiceHistoryResponse")
	if err != nil {
		o.t.Fatal(err)
	}
	history := out.New()
	if err := o.invoke("History", &metav1.HistoryRequest{Namespace: o.namespace, Name: "web"}, history.Interface()); err != nil {
		o.t.Fatal(err)
	}
	if list := history.Get(history.Descriptor().Fields().ByName("versions")).List(); list.Len() != 2 {
		o.t.Errorf("history: %v", history)
	}
}

func (o *anyKind) prepares() {
	o.t.Helper()
	for name, want := range map[string]string{"prepared": wire.Created, "applied": wire.Configured} {
		obj := o.object(name)
		obj.GetMetadata().Labels = map[string]string{"prepared": "yes"}
		document, err := codec.Marshal(obj)
		if err != nil {
			o.t.Fatal(err)
		}
		out := &metav1.PrepareResponse{}
		err = o.invoke("Prepare", &metav1.PrepareRequest{Namespace: o.namespace, Name: name, Document: document}, out)
		if err != nil || out.GetAction() != want || len(out.GetOperations()) != 1 {
			o.t.Errorf("prepare %s: %v, %v", name, out, err)
		}
	}
	o.absent("prepared")
	if o.get("applied").GetMetadata().GetLabels()["prepared"] != "" {
		o.t.Error("what is prepared is stored")
	}
}

func (o *anyKind) deletes() {
	o.t.Helper()
	held := o.get("web")
	held.GetMetadata().Finalizers = []string{"fairlead.dev/test"}
	o.must("Update", held)
	for _, dryRun := range [][]string{{"All"}, nil} {
		if _, err := o.client.Delete(o.ctx, o.kind, &metav1.DeleteRequest{Namespace: o.namespace, Name: "web", DryRun: dryRun}); err != nil {
			o.t.Fatal(err)
		}
		if ending := o.get("web").GetMetadata().GetDeletionTimestamp() != nil; ending != (dryRun == nil) {
			o.t.Errorf("dry run %v: ending %v", dryRun, ending)
		}
	}
	freed := o.get("web")
	freed.GetMetadata().Finalizers = nil
	o.must("Update", freed)
	o.absent("web")
	out := &metav1.DeleteCollectionResponse{}
	if err := o.invoke("DeleteCollection", &metav1.DeleteCollectionRequest{Namespace: o.namespace}, out); err != nil || out.GetDeleted() != 1 {
		o.t.Errorf("delete all: %v, %v", out, err)
	}
	o.absent("applied")
}
