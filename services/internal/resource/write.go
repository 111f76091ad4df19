// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"context"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/codec"
	"fairlead.dev/services/internal/managed"
	"fairlead.dev/services/internal/store"
)

// subresourceStatus is the name of the only subresource that kinds have.
const subresourceStatus = "status"

// edit returns the state that a caller wants, given the one there is, which is the edit's to change. Metadata that names
// a uid or a version states a precondition.
type edit func(current store.Object) (store.Object, error)

func (s *server) serveUpdate(ctx context.Context, in proto.Message, _ protoreflect.MessageType) (proto.Message, error) {
	return s.update(ctx, in, "")
}

func (s *server) serveUpdateStatus(ctx context.Context, in proto.Message, _ protoreflect.MessageType) (proto.Message, error) {
	return s.update(ctx, in, subresourceStatus)
}

func (s *server) update(ctx context.Context, in proto.Message, subresource string) (proto.Message, error) {
	r, err := s.readWrite(in, optionsUpdate)
	if err != nil {
		return nil, err
	}
	key, err := s.key(r.namespace, r.name)
	if err != nil {
		return nil, err
	}
	r.object.GetMetadata().Name = key.Name
	return s.change(ctx, s.target(r.options.dryRun), change{
		key: key, subresource: subresource, by: r.options.writer(ctx), edit: func(store.Object) (store.Object, error) { return clone(r.object), nil },
	})
}

// change is what is to become of an object.
type change struct {
	key         store.Key
	subresource string
	edit        edit
	// by is who writes. An apply keeps the managed fields itself.
	by      managed.Write
	applies bool
	// patches tells that the edit changes what there is: a uid in it is then no precondition, but a field that cannot change.
	patches bool
}

// change stores what an edit makes of an object.
func (s *server) change(ctx context.Context, to *store.Store, c change) (store.Object, error) {
	c.by.Status = c.subresource == subresourceStatus
	obj, err := s.tryChange(ctx, to, c, true)
	if apierror.Is(err, apierror.ReasonRequestEntityTooLarge) && !c.applies { // the managed fields are not worth the object
		obj, err = s.tryChange(ctx, to, c, false)
	}
	if err != nil {
		return nil, err
	}
	if c.subresource == subresourceStatus {
		return s.served(obj)
	}
	return s.written(ctx, obj)
}

func (s *server) tryChange(ctx context.Context, to *store.Store, c change, tracks bool) (store.Object, error) {
	return to.Update(ctx, s.stored, c.key, "", func(old store.Object) (store.Object, error) {
		current, err := s.served(old)
		if err != nil {
			return nil, err
		}
		wanted, err := c.edit(clone(current))
		if err != nil {
			return nil, err
		}
		if err := s.preconditions(wanted, current, c.patches); err != nil {
			return nil, err
		}
		switch {
		case !tracks:
			wanted.GetMetadata().ManagedFields = nil
		case !c.applies:
			s.track(ctx, current, wanted, c.by)
		}
		fields := wanted.GetMetadata().GetManagedFields()
		obj, err := s.nextStored(ctx, wanted, current, old, c.subresource)
		if err != nil {
			return nil, err
		}
		obj.GetMetadata().ManagedFields = fields
		managed.KeepTimes(obj, old)
		return obj, nil
	})
}

// nextStored returns what is stored in place of old, which is served as current.
func (s *server) nextStored(ctx context.Context, wanted, current, old store.Object, subresource string) (store.Object, error) {
	if subresource == subresourceStatus {
		next, err := s.nextStatus(wanted, current)
		if err != nil {
			return nil, err
		}
		return s.toStoredStatus(next, old)
	}
	next, err := s.next(ctx, wanted, current)
	if err != nil {
		return nil, err
	}
	return s.toStored(ctx, next, old)
}

// preconditions compares the uid and the version that a caller has seen with those there are. A patch has no uid to compare.
func (s *server) preconditions(wanted, old store.Object, patched bool) error {
	m, o := s.ensureMetadata(wanted), old.GetMetadata()
	if !patched && m.GetUid() != "" && m.GetUid() != o.GetUid() {
		return apierror.Conflict(s.resource, o.GetName(), "Precondition failed: UID in precondition: %s, UID in object meta: %s", m.GetUid(), o.GetUid())
	}
	if m.GetResourceVersion() != "" && m.GetResourceVersion() != o.GetResourceVersion() {
		return apierror.Modified(s.resource, o.GetName())
	}
	return nil
}

// next returns what is stored in place of old when a caller wants an object to be as wanted.
func (s *server) next(ctx context.Context, wanted, old store.Object) (store.Object, error) {
	fixed := changedServerKept(s.ensureMetadata(wanted), old.GetMetadata())
	keepServerKept(s.ensureMetadata(wanted), old.GetMetadata())
	s.setStatus(wanted, old)
	if err := s.admit(ctx, wanted, old, fixed...); err != nil {
		return nil, err
	}
	return wanted, nil
}

// nextStatus returns old with the status that a caller wants.
func (s *server) nextStatus(wanted, old store.Object) (store.Object, error) {
	obj := clone(old)
	s.setStatus(obj, wanted)
	faults := codec.Normalize(obj)
	shape, err := s.shape.Check(obj, nil)
	if err != nil {
		return nil, err
	}
	var causes []apierror.Cause
	for _, f := range append(faults, shape...) {
		if f.Field == subresourceStatus || strings.HasPrefix(f.Field, subresourceStatus+".") {
			causes = append(causes, f)
		}
	}
	if len(causes) > 0 {
		return nil, apierror.InvalidObject(s.resource, old.GetMetadata().GetName(), causes)
	}
	return obj, nil
}

// admit fills in defaults and tells every fault of an object at once, with those that are known already. old is nil on creation.
func (s *server) admit(ctx context.Context, obj, old store.Object, known ...apierror.Cause) error {
	causes := slices.Concat(known, codec.Normalize(obj))
	if s.Default != nil {
		s.Default(ctx, obj, old)
	}
	s.noteTrace(ctx, obj, old)
	causes = append(causes, s.validateMetadata(obj, old)...)
	faults, err := s.shape.Check(obj, nil)
	if err != nil {
		return err
	}
	causes = append(causes, faults...)
	if old != nil {
		causes = append(causes, s.fixed.changed(obj.ProtoReflect(), old.ProtoReflect(), "")...)
	}
	if s.Validate != nil {
		causes = append(causes, s.Validate(ctx, obj, old)...)
	}
	if causes = unique(causes); len(causes) > 0 {
		return apierror.InvalidObject(s.resource, firstOf(obj.GetMetadata().GetName(), obj.GetMetadata().GetGenerateName()), causes)
	}
	if s.Authorize != nil {
		return s.Authorize(ctx, obj, old)
	}
	return nil
}

// unique drops faults that another check has told of the same field in the same way.
func unique(causes []apierror.Cause) []apierror.Cause {
	type place struct{ field, reason string }
	seen := map[place]string{}
	out := causes[:0:0]
	for _, c := range causes {
		p := place{c.Field, c.Reason}
		if first, ok := seen[p]; ok && (c.Message == first || c.Reason == apierror.CauseValueRequired) {
			continue
		}
		seen[p] = c.Message
		out = append(out, c)
	}
	return out
}
