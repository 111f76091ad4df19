// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"k8s.io/apimachinery/pkg/api/validation"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/managed"
	"fairlead.dev/services/internal/rpc/shape"
	"fairlead.dev/services/internal/store"
)

// server answers the calls of one kind in one version.
type server struct {
	Handler

	deps Deps
	// stored is the kind as it is stored, which is Kind but for older forms.
	stored kinds.Kind
	// older is set for older forms only.
	older    *older
	shape    *shape.Checker
	resource apierror.Resource
	metadata protoreflect.FieldDescriptor
	status   protoreflect.FieldDescriptor // nil where the kind has none
	// specs are the fields that are neither metadata nor status.
	specs []protoreflect.FieldDescriptor
	fixed *immutables
	// fields keeps track of who manages which fields.
	fields *managed.Tracker
}

const metadataField = "metadata"

func newServer(h Handler, d Deps, checker *shape.Checker) (*server, error) {
	if h.Kind.New == nil {
		return nil, fmt.Errorf("resource: handler of kind %q has no constructor", h.Kind.Kind)
	}
	if _, ok := h.Kind.New().(store.Object); !ok {
		return nil, fmt.Errorf("resource: %s has no metadata", h.Kind.Message)
	}
	if h.ValidName == nil {
		h.ValidName = validation.NameIsDNSSubdomain
	}
	s := &server{
		Handler:  h,
		deps:     d,
		stored:   h.Kind.Stored(),
		shape:    checker,
		resource: apierror.Resource{Group: h.Kind.Group, Plural: h.Kind.Plural, Kind: h.Kind.Kind},
	}
	desc := h.Kind.New().ProtoReflect().Descriptor()
	s.metadata = desc.Fields().ByName(metadataField)
	if h.Kind.HasStatus {
		s.status = desc.Fields().ByName(subresourceStatus)
	}
	s.fixed = immutablesOf(desc)
	s.specs = specFields(desc)
	return s, nil
}

// target returns where objects are written to: nowhere on a dry run, which else goes as the real one.
func (s *server) target(dryRun bool) *store.Store {
	if dryRun {
		return s.deps.Store.DryRun()
	}
	return s.deps.Store
}

// empty returns a new object of the kind, with metadata.
func (s *server) empty() store.Object {
	obj := s.Kind.New().(store.Object) //nolint:forcetypeassert // looked at by newServer
	s.ensureMetadata(obj)
	return obj
}

// ensureMetadata gives an object metadata if it has none.
func (s *server) ensureMetadata(obj store.Object) *metav1.ObjectMeta {
	if obj.GetMetadata() == nil {
		obj.ProtoReflect().Set(s.metadata, protoreflect.ValueOfMessage((&metav1.ObjectMeta{}).ProtoReflect()))
	}
	return obj.GetMetadata()
}

// setStatus gives obj the status of from; none where from is nil.
func (s *server) setStatus(obj, from store.Object) {
	if s.status == nil {
		return
	}
	s.copyField(obj, from, s.status)
}

// copyField gives obj a field's value of from; none where from is nil.
func (s *server) copyField(obj, from store.Object, field protoreflect.FieldDescriptor) {
	if from == nil || !from.ProtoReflect().Has(field) {
		obj.ProtoReflect().Clear(field)
		return
	}
	obj.ProtoReflect().Set(field, from.ProtoReflect().Get(field))
}

func clone(obj store.Object) store.Object {
	return proto.Clone(obj).(store.Object) //nolint:forcetypeassert // a clone is of its original's type
}
