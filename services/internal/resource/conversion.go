// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/wire"
)

// Conversion converts between an older form of a kind and the form that is stored. The functions deal with spec and status
// only: metadata is carried over for them, and what one form says and the other cannot is kept in an annotation there and
// given back. They must not change what they get, and may share parts of it.
type Conversion struct {
	// ToStored returns the stored form of an object. An error is told to the caller as the object's fault.
	ToStored func(older store.Object) (store.Object, error)
	// FromStored returns the older form of an object.
	FromStored func(stored store.Object) (store.Object, error)
	// Annotations are what ToStored may note on the object that it returns, such as in which of several ways the older form
	// said it. FromStored reads them, as controllers may. Older objects are served without them.
	Annotations []string
	// Warnings are what the writer of an older object is told beside the answer, such as that nothing acts on a field; nil
	// means none.
	Warnings func(older store.Object) []string
	// Field returns where an older object says what the stored form has at a field, for faults; nil means that it says it there.
	Field func(older store.Object, stored string) string
}

// older is what the server of an older form does beyond that of the stored form.
type older struct {
	*Conversion

	// form is the server of the older form, stored that of the stored one.
	form, stored *server
}

func newOlder(form, stored *server) (*older, error) {
	if form.Convert.ToStored == nil || form.Convert.FromStored == nil {
		return nil, fmt.Errorf("resource: the conversion of %s %s lacks a direction", form.Kind.APIVersion(), form.Kind.Kind)
	}
	return &older{Conversion: form.Convert, form: form, stored: stored}, nil
}

// served returns an object of the store in the form that is served. It may share parts with obj.
func (s *server) served(obj store.Object) (store.Object, error) {
	if s.older == nil {
		return obj, nil
	}
	out, err := s.older.fromStored(obj)
	if err != nil {
		return nil, apierror.Internal(fmt.Errorf("resource: convert %s %s to %s: %w", s.stored.Kind, store.KeyOf(obj), s.Kind.APIVersion(), err))
	}
	return out, nil
}

// servedEvent returns the object of an event of the store in the form that is served.
func (s *server) servedEvent(event store.EventType, obj store.Object) (store.Object, error) {
	if event == store.Bookmark && s.older != nil { // has metadata only
		return s.older.form.with(s.empty(), obj), nil
	}
	return s.served(obj)
}

// written returns an object that has been written in the form that is served, and tells the writer what that form warns of.
func (s *server) written(ctx context.Context, obj store.Object) (store.Object, error) {
	out, err := s.served(obj)
	if err == nil && s.older != nil && s.older.Warnings != nil {
		warn(ctx, s.older.Warnings(out))
	}
	return out, err
}

// toStored returns what is stored for an object that has been admitted. old is what it replaces, nil on creation.
func (s *server) toStored(ctx context.Context, obj, old store.Object) (store.Object, error) {
	if s.older == nil {
		return obj, nil
	}
	out, err := s.older.toStored(obj)
	if err != nil {
		return nil, err
	}
	if old == nil {
		return out, s.older.inItsWords(obj, s.older.stored.admit(ctx, out, nil))
	}
	out, err = s.older.stored.next(ctx, out, old)
	return out, s.older.inItsWords(obj, err)
}

// toStoredStatus returns what is stored for an object whose status alone has changed.
func (s *server) toStoredStatus(obj, old store.Object) (store.Object, error) {
	if s.older == nil {
		return obj, nil
	}
	out, err := s.older.up(obj)
	if err != nil {
		return nil, s.older.fault(obj, err)
	}
	// What the status has that the older form cannot say stays as it is.
	said, err := s.older.down(old)
	if err != nil {
		return nil, apierror.Internal(err)
	}
	if said, err = s.older.up(said); err != nil {
		return nil, apierror.Internal(err)
	}
	kept, err := leftover(old, said, subresourceStatus)
	if err != nil {
		return nil, err
	}
	if out, err = s.older.stored.restore(out, kept); err != nil {
		return nil, err
	}
	return s.older.stored.nextStatus(out, old)
}

// up returns the stored form of an older object, with its metadata and what ToStored has noted.
func (o *older) up(obj store.Object) (store.Object, error) {
	made, err := o.ToStored(obj)
	if err != nil {
		return nil, err
	}
	out := o.stored.with(made, obj)
	for _, key := range o.Annotations {
		annotate(out.GetMetadata(), key, made.GetMetadata().GetAnnotations()[key])
	}
	return out, nil
}

// down returns the older form of a stored object, with its metadata but for what ToStored has noted.
func (o *older) down(obj store.Object) (store.Object, error) {
	made, err := o.FromStored(obj)
	if err != nil {
		return nil, err
	}
	out := o.form.with(made, obj)
	for _, key := range o.Annotations {
		annotate(out.GetMetadata(), key, "")
	}
	return out, nil
}

// fromStored returns the older form of a stored object, with what it cannot say in an annotation.
func (o *older) fromStored(obj store.Object) (store.Object, error) {
	out, err := o.down(obj)
	if err != nil {
		return nil, err
	}
	again, err := o.up(out)
	if err != nil {
		return nil, err
	}
	kept, err := leftover(obj, again, "")
	if err != nil {
		return nil, err
	}
	if out, err = o.form.giveBack(out, wire.AnnotationConversion+o.form.Kind.Version); err != nil {
		return nil, err
	}
	return out, note(out, wire.AnnotationConversion+o.stored.Kind.Version, kept)
}

// toStored returns the stored form of an older one, with what the stored form cannot say in an annotation.
func (o *older) toStored(obj store.Object) (store.Object, error) {
	out, err := o.up(obj)
	if err != nil {
		return nil, o.fault(obj, err)
	}
	again, err := o.down(out)
	if err != nil {
		return nil, o.fault(obj, err)
	}
	kept, err := leftover(obj, again, "")
	if err != nil {
		return nil, err
	}
	key := wire.AnnotationConversion + o.stored.Kind.Version
	text := obj.GetMetadata().GetAnnotations()[key]
	if out, err = o.stored.giveBack(out, key); err != nil {
		return nil, apierror.InvalidObject(o.form.resource, obj.GetMetadata().GetName(), []apierror.Cause{apierror.Invalid(
			"metadata.annotations["+key+"]", fmt.Sprintf("Invalid value: %.64q: %v; leave it as the server gave it, or remove it", text, err))})
	}
	return out, note(out, wire.AnnotationConversion+o.form.Kind.Version, kept)
}

// inItsWords tells faults of the stored form as faults of the older object that it was made of.
func (o *older) inItsWords(obj store.Object, err error) error {
	e, ok := errors.AsType[*apierror.Error](err)
	if !ok || e.Reason != apierror.ReasonInvalid || len(e.Causes) == 0 || o.Field == nil {
		return err
	}
	causes := slices.Clone(e.Causes)
	for i := range causes {
		causes[i].Field = o.Field(obj, causes[i].Field)
	}
	return apierror.InvalidObject(o.form.resource, e.Name, causes)
}

// fault is what a caller is told of an object that cannot be converted.
func (o *older) fault(obj store.Object, err error) error {
	return apierror.InvalidObject(o.form.resource, obj.GetMetadata().GetName(), []apierror.Cause{apierror.Invalid(
		"spec", fmt.Sprintf("Invalid value: it cannot be stored as %s: %v", o.stored.Kind.APIVersion(), err))})
}

// with gives obj, a new object, a copy of another's metadata.
func (s *server) with(obj, from store.Object) store.Object {
	out := shallow(obj)
	s.copyMetadata(out, from)
	return out
}

// giveBack gives obj what an annotation has kept for its form, and takes the annotation away.
func (s *server) giveBack(obj store.Object, key string) (store.Object, error) {
	text, ok := obj.GetMetadata().GetAnnotations()[key]
	if !ok {
		return obj, nil
	}
	delete(obj.GetMetadata().GetAnnotations(), key)
	kept, err := readKept(text)
	if err != nil {
		return nil, err
	}
	return s.restore(obj, kept)
}

// Converter converts whole objects as the servers of a kind do, with what one form says and the other cannot.
type Converter struct{ older *older }

// NewConverter returns the converter between an older form of a kind and the stored one.
func NewConverter(form, stored Handler) (*Converter, error) {
	f, err := newServer(form, Deps{}, nil)
	if err != nil {
		return nil, err
	}
	s, err := newServer(stored, Deps{}, nil)
	if err != nil {
		return nil, err
	}
	o, err := newOlder(f, s)
	if err != nil {
		return nil, err
	}
	return &Converter{o}, nil
}

// ToStored returns the stored form of an older object, which stays as it is.
func (c *Converter) ToStored(obj store.Object) (store.Object, error) { return c.older.toStored(obj) }

// FromStored returns the older form of a stored object, which stays as it is.
func (c *Converter) FromStored(obj store.Object) (store.Object, error) {
	return c.older.fromStored(obj)
}
