// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/store"
)

func (s *server) serveHistory(ctx context.Context, in proto.Message, out protoreflect.MessageType) (proto.Message, error) {
	r, ok := in.(*metav1.HistoryRequest)
	if !ok {
		return nil, wrongRequest(in)
	}
	key, err := s.key(r.GetNamespace(), r.GetName())
	if err != nil {
		return nil, err
	}
	versions, err := s.deps.Store.History(ctx, s.stored, key)
	if err != nil {
		return nil, err
	}
	m := out.New()
	list := m.Mutable(m.Descriptor().Fields().ByName("versions")).List()
	for _, v := range versions {
		obj, err := s.served(v.Object)
		if err != nil {
			return nil, err
		}
		item := list.NewElement().Message()
		fields := item.Descriptor().Fields()
		item.Set(fields.ByName("generation"), protoreflect.ValueOfInt64(v.Generation))
		item.Set(fields.ByName("replaced"), protoreflect.ValueOfMessage(timestamppb.New(v.Replaced).ProtoReflect()))
		item.Set(fields.ByName("object"), protoreflect.ValueOfMessage(obj.ProtoReflect()))
		list.Append(protoreflect.ValueOfMessage(item))
	}
	return m.Interface(), nil
}

// serveRollback takes the way of any other update: what was good once may be at fault, or not allowed, by now. What it takes
// back is what there was when it was asked: a change of that since then is not overwritten, while one of the status is no
// matter.
func (s *server) serveRollback(ctx context.Context, in proto.Message, _ protoreflect.MessageType) (proto.Message, error) {
	r, ok := in.(*metav1.RollbackRequest)
	if !ok {
		return nil, wrongRequest(in)
	}
	key, err := s.key(r.GetNamespace(), r.GetName())
	if err != nil {
		return nil, err
	}
	dryRun, err := readDryRun(optionsRollback, r.GetDryRun())
	if err != nil {
		return nil, err
	}
	// Before the history, so that a change between the two is noticed as well.
	seen, err := s.deps.Store.Get(ctx, s.stored, key)
	if err != nil {
		return nil, err
	}
	versions, err := s.deps.Store.History(ctx, s.stored, key)
	if err != nil {
		return nil, err
	}
	then, err := s.choose(versions, r.GetGeneration(), key)
	if err != nil {
		return nil, err
	}
	stored := s
	if s.older != nil {
		stored = s.older.stored
	}
	restore := func(now store.Object) (store.Object, error) {
		if now.GetMetadata().GetUid() != then.GetMetadata().GetUid() {
			return nil, apierror.Conflict(s.resource, key.Name, "it was deleted and created again")
		}
		if wouldLose(seen.GetMetadata(), now.GetMetadata()) {
			return nil, apierror.Modified(s.resource, key.Name)
		}
		for _, f := range stored.specs {
			stored.copyField(now, then, f)
		}
		m := now.GetMetadata()
		m.Labels, m.Annotations = maps.Clone(then.GetMetadata().GetLabels()), maps.Clone(then.GetMetadata().GetAnnotations())
		return now, nil
	}
	obj, err := stored.change(ctx, s.target(dryRun), change{key: key, edit: restore, by: writeOptions{}.writer(ctx)})
	if err != nil {
		return nil, err
	}
	return s.served(obj)
}

// wouldLose tells whether what a rollback overwrites has changed since it was seen.
func wouldLose(seen, now *metav1.ObjectMeta) bool {
	return seen.GetGeneration() != now.GetGeneration() || !maps.Equal(seen.GetLabels(), now.GetLabels()) ||
		!maps.Equal(seen.GetAnnotations(), now.GetAnnotations())
}

// choose returns the state of a generation; 0 means the newest of them.
func (s *server) choose(versions []store.Version, generation int64, key store.Key) (store.Object, error) {
	if len(versions) == 0 {
		return nil, invalidGeneration(generation, "there is no earlier generation of "+s.resource.String()+" "+strconv.Quote(key.Name))
	}
	if generation == 0 {
		return clone(versions[0].Object), nil
	}
	known := make([]string, len(versions))
	for i, v := range versions {
		if v.Generation == generation {
			return clone(v.Object), nil
		}
		known[i] = strconv.FormatInt(v.Generation, 10)
	}
	slices.Reverse(known)
	return nil, invalidGeneration(generation, "of "+s.resource.String()+" "+strconv.Quote(key.Name)+" there are the generations "+strings.Join(known, ", "))
}

func invalidGeneration(generation int64, why string) error {
	cause := apierror.Invalid("generation", "Invalid value: "+strconv.FormatInt(generation, 10)+": "+why)
	e := apierror.New(apierror.ReasonInvalid, "the request is invalid: %s: %s", cause.Field, cause.Message)
	e.Causes = []apierror.Cause{cause}
	return e
}
