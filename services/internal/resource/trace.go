// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"context"

	"google.golang.org/protobuf/reflect/protoreflect"

	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/tracing"
	"fairlead.dev/services/internal/wire"
)

// noteTrace notes on obj the trace that its spec comes from, by which reconcilers link what they do. It is the server's:
// what a request says there is dropped. old is nil on creation.
func (s *server) noteTrace(ctx context.Context, obj, old store.Object) {
	if s.older != nil {
		return // the stored form's server does
	}
	m := s.ensureMetadata(obj)
	if old != nil && s.sameSpec(obj, old) {
		annotate(m, wire.AnnotationTraceParent, old.GetMetadata().GetAnnotations()[wire.AnnotationTraceParent])
		return
	}
	annotate(m, wire.AnnotationTraceParent, tracing.Parent(ctx))
}

// sameSpec tells whether two objects differ in nothing but metadata and status.
func (s *server) sameSpec(a, b store.Object) bool {
	x, y := a.ProtoReflect(), b.ProtoReflect()
	for _, f := range s.specs {
		if x.Has(f) != y.Has(f) || x.Has(f) && !x.Get(f).Equal(y.Get(f)) {
			return false
		}
	}
	return true
}

// specFields are the fields of a kind that are neither metadata nor status.
func specFields(d protoreflect.MessageDescriptor) []protoreflect.FieldDescriptor {
	var out []protoreflect.FieldDescriptor
	for i := range d.Fields().Len() {
		if f := d.Fields().Get(i); f.Name() != metadataField && f.Name() != subresourceStatus {
			out = append(out, f)
		}
	}
	return out
}
