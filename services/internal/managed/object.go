// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package managed

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/internal/codec"
)

// Object is a message of a kind.
type Object interface {
	proto.Message
	GetMetadata() *metav1.ObjectMeta
}

// object is an object as Kubernetes' field manager takes it. Its managed fields stand beside its content, so that they are not
// converted to and fro each time that they are asked for.
type object struct {
	unstructured.Unstructured

	managed []kmetav1.ManagedFieldsEntry
	// same tells that the content is still that of the object this one is a copy of.
	same bool
}

// GetManagedFields returns the managed fields.
func (o *object) GetManagedFields() []kmetav1.ManagedFieldsEntry { return o.managed }

// SetManagedFields sets the managed fields.
func (o *object) SetManagedFields(entries []kmetav1.ManagedFieldsEntry) { o.managed = entries }

// SetAnnotations is the only change that a field manager makes by itself.
func (o *object) SetAnnotations(annotations map[string]string) {
	if o.same { // the content is another's as well
		o.Object, o.same = runtime.DeepCopyJSON(o.Object), false
	}
	o.Unstructured.SetAnnotations(annotations)
}

// DeepCopyObject returns a copy, which shares the content until it is changed.
func (o *object) DeepCopyObject() runtime.Object {
	return &object{Unstructured: unstructured.Unstructured{Object: o.Object}, managed: o.managed, same: true}
}

// object returns an object as a field manager takes it, with all keys that items of lists are told apart by.
func (t *Types) object(from Object) (*object, error) {
	out, err := newObject(from)
	if err != nil {
		return nil, err
	}
	if parser, ok := t.parsers[out.GroupVersionKind()]; ok {
		emptyKeys(parser.Schema, parser.TypeRef, out.Object)
	}
	return out, nil
}

// newObject returns an object with what is written of it.
func newObject(from Object) (*object, error) {
	data, err := codec.Marshal(bare(from))
	if err != nil {
		return nil, err //nolint:wrapcheck // an error of ours
	}
	content, err := readContent(data)
	if err != nil {
		return nil, err
	}
	return &object{Unstructured: unstructured.Unstructured{Object: content}, managed: entries(from.GetMetadata().GetManagedFields())}, nil
}

// bare returns an object without its managed fields. It shares all else.
func bare(obj Object) Object {
	if len(obj.GetMetadata().GetManagedFields()) == 0 {
		return obj
	}
	out := shallow(obj.ProtoReflect())
	meta := shallow(obj.GetMetadata().ProtoReflect())
	meta.Interface().(*metav1.ObjectMeta).ManagedFields = nil //nolint:forcetypeassert // a copy is of its original's type
	out.Set(out.Descriptor().Fields().ByName("metadata"), protoreflect.ValueOfMessage(meta))
	return out.Interface().(Object) //nolint:forcetypeassert // as above
}

func shallow(m protoreflect.Message) protoreflect.Message {
	out := m.New()
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		out.Set(f, v)
		return true
	})
	return out
}

// into reads the object into a message.
func (o *object) into(obj Object) error {
	data, err := appendContent(nil, o.Object)
	if err != nil {
		return err
	}
	if _, err := codec.Unmarshal(data, obj, codec.Options{MaxBytes: -1}); err != nil {
		return err //nolint:wrapcheck // an error of ours
	}
	if obj.GetMetadata() == nil {
		m := obj.ProtoReflect()
		m.Set(m.Descriptor().Fields().ByName("metadata"), protoreflect.ValueOfMessage((&metav1.ObjectMeta{}).ProtoReflect()))
	}
	obj.GetMetadata().ManagedFields = messages(o.managed)
	return nil
}

// entries returns managed fields in Kubernetes' type.
func entries(from []*metav1.ManagedFieldsEntry) []kmetav1.ManagedFieldsEntry {
	if len(from) == 0 {
		return nil
	}
	out := make([]kmetav1.ManagedFieldsEntry, len(from))
	for i, e := range from {
		out[i] = kmetav1.ManagedFieldsEntry{
			Manager: e.GetManager(), Operation: kmetav1.ManagedFieldsOperationType(e.GetOperation()), APIVersion: e.GetApiVersion(),
			FieldsType: e.GetFieldsType(), Subresource: e.GetSubresource(),
		}
		if e.GetTime() != nil {
			out[i].Time = &kmetav1.Time{Time: e.GetTime().AsTime()}
		}
		if e.GetFieldsV1() != nil {
			out[i].FieldsV1 = &kmetav1.FieldsV1{}
			out[i].FieldsV1.SetRawBytes(e.GetFieldsV1().GetRaw())
		}
	}
	return out
}

// messages returns managed fields in our type, their times to the second.
func messages(from []kmetav1.ManagedFieldsEntry) []*metav1.ManagedFieldsEntry {
	if len(from) == 0 {
		return nil
	}
	out := make([]*metav1.ManagedFieldsEntry, len(from))
	for i, e := range from {
		out[i] = &metav1.ManagedFieldsEntry{
			Manager: e.Manager, Operation: string(e.Operation), ApiVersion: e.APIVersion, FieldsType: e.FieldsType, Subresource: e.Subresource,
		}
		if e.Time != nil {
			out[i].Time = &timestamppb.Timestamp{Seconds: e.Time.Unix()}
		}
		if e.FieldsV1 != nil {
			out[i].FieldsV1 = &metav1.RawJSON{Raw: e.FieldsV1.GetRawBytes()}
		}
	}
	return out
}
