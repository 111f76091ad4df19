// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"fmt"
	"strconv"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
)

// The names of the fields that every kind has, and that do not count as spec.
const (
	metadataField protoreflect.Name = "metadata"
	statusField   protoreflect.Name = "status"
)

// Object is a message of a kind.
type Object interface {
	proto.Message
	GetMetadata() *metav1.ObjectMeta
}

// stored is an object as etcd has it.
type stored struct {
	object Object
	// value is what the object is encoded as.
	value    []byte
	revision int64
	// lease is the id of the lease with which the object goes; 0 for none.
	lease int64
}

// newObject makes an empty object of k.
func newObject(k kinds.Kind) (Object, error) {
	obj, ok := k.New().(Object)
	if !ok {
		return nil, apierror.Internal(fmt.Errorf("message %s of kind %s has no metadata", k.Message, k.Kind))
	}
	return obj, nil
}

// decode reads what etcd has for an object of k.
func decode(k kinds.Kind, value []byte, revision int64) (Object, error) {
	obj, err := newObject(k)
	if err != nil {
		return nil, err
	}
	if err := proto.Unmarshal(value, obj); err != nil {
		return nil, fmt.Errorf("decode %s of revision %d: %w", k.Kind, revision, err)
	}
	setResourceVersion(obj, revision)
	return obj, nil
}

// encode returns the bytes that are stored for obj: the same object always gives the same bytes.
func encode(obj Object) ([]byte, error) {
	m := metaOf(obj)
	version := m.GetResourceVersion()
	m.ResourceVersion = ""
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(obj)
	m.ResourceVersion = version
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", obj.ProtoReflect().Descriptor().FullName(), err)
	}
	return b, nil
}

// metaOf returns obj's metadata, made if it has none.
func metaOf(obj Object) *metav1.ObjectMeta {
	if m := obj.GetMetadata(); m != nil {
		return m
	}
	r := obj.ProtoReflect()
	m := &metav1.ObjectMeta{}
	r.Set(r.Descriptor().Fields().ByName(metadataField), protoreflect.ValueOfMessage(m.ProtoReflect()))
	return m
}

func clone(obj Object) Object {
	return proto.Clone(obj).(Object) //nolint:forcetypeassert // a clone has the type of its original
}

func setResourceVersion(obj Object, revision int64) {
	metaOf(obj).ResourceVersion = formatRevision(revision)
}

func formatRevision(revision int64) string { return strconv.FormatInt(revision, 10) }

// parseRevision reads a resourceVersion; the empty one is 0.
func parseRevision(version string) (int64, error) {
	if version == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(version, 10, 64)
	if err != nil || n < 0 {
		return 0, apierror.BadRequest("resourceVersion %q is not one that this server gave out", version)
	}
	return n, nil
}

// sameSpec tells whether a and b differ in nothing but metadata and status.
func sameSpec(a, b Object) bool {
	x, y := a.ProtoReflect(), b.ProtoReflect()
	fields := x.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if f.Name() == metadataField || f.Name() == statusField {
			continue
		}
		if x.Has(f) != y.Has(f) || (x.Has(f) && !x.Get(f).Equal(y.Get(f))) {
			return false
		}
	}
	return bytes.Equal(x.GetUnknown(), y.GetUnknown())
}
