// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/google/uuid"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
)

const (
	// maxAttempts bounds how often a write is tried while others change the object.
	maxAttempts = 64
	// nameTries is how many generated names are tried.
	nameTries = 8
	// suffixLength is the length of what generateName is completed with.
	suffixLength = 5
	// maxGeneratedName is the longest name that is generated: a DNS label.
	maxGeneratedName = 63
	// suffixLetters spell no words.
	suffixLetters = "bcdfghjklmnpqrstvwxz2456789"
)

// Create stores a new object and returns it as stored. obj itself is not changed. Without a name, one is made from
// generateName.
func (s *Store) Create(ctx context.Context, k kinds.Kind, obj Object) (created Object, err error) {
	defer s.metrics.observe(ctx, "create", k, &err)()
	return s.create(ctx, k, obj, 0)
}

// create stores a new object that goes with a lease; 0 for none.
func (s *Store) create(ctx context.Context, k kinds.Kind, obj Object, lease int64) (created Object, err error) {
	next := clone(obj)
	m := metaOf(next)
	id, err := uuid.NewRandom()
	if err != nil {
		return nil, apierror.Internal(fmt.Errorf("make a uid: %w", err))
	}
	m.Uid = id.String()
	m.CreationTimestamp = s.timestamp()
	m.Generation = 1
	m.ResourceVersion, m.SelfLink = "", ""
	m.DeletionTimestamp, m.DeletionGracePeriodSeconds = nil, nil
	if m.GetName() != "" || m.GetGenerateName() == "" {
		return s.insert(ctx, k, next, lease)
	}
	for range nameTries {
		m.Name = generateName(m.GetGenerateName())
		created, err = s.insert(ctx, k, next, lease)
		if !apierror.IsAlreadyExists(err) {
			return created, err
		}
	}
	return nil, err
}

// insert writes obj, which must not exist yet.
func (s *Store) insert(ctx context.Context, k kinds.Kind, obj Object, lease int64) (Object, error) {
	key := KeyOf(obj)
	path, err := s.keys.object(k, key)
	if err != nil {
		return nil, err
	}
	value, err := s.encodeChecked(k, obj)
	if err != nil {
		return nil, err
	}
	if value, err = s.seal(k, path, value); err != nil {
		return nil, err
	}
	op := newOperation(k, key, path, 0, actionCreate)
	op.put(path, value, lease)
	revision, latest, err := s.commit(ctx, k, op)
	switch {
	case err != nil:
		return nil, err
	case revision == 0 && latest == nil:
		return nil, s.fenced(k, key)
	case revision == 0:
		return nil, apierror.AlreadyExists(ResourceOf(k), key.Name)
	case !s.pending():
		setResourceVersion(obj, revision)
	}
	return obj, nil
}

// Update replaces an object by what fn makes of it, and returns the object as stored. fn gets a copy, and runs again when
// another write came between. Nothing is written when nothing changed. expected, unless empty, is the resourceVersion that
// the object must have. What the server keeps (uid, timestamps, generation) is not fn's to change. An object that is being
// deleted goes when its last finalizer does.
func (s *Store) Update(ctx context.Context, k kinds.Kind, key Key, expected string, fn func(Object) (Object, error)) (updated Object, err error) {
	defer s.metrics.observe(ctx, "update", k, &err)()
	return s.mutate(ctx, k, key, func(current *stored) (Object, error) {
		if expected != "" && expected != formatRevision(current.revision) {
			return nil, apierror.Modified(ResourceOf(k), key.Name)
		}
		next, err := fn(clone(current.object))
		if err != nil {
			return nil, err
		}
		if next == nil {
			return nil, apierror.Internal(fmt.Errorf("an update of %s %s returned no object", k.Kind, key))
		}
		return next, keepServerFields(k, key, current.object, next)
	})
}

// keepServerFields gives next, the new state of old, the metadata that the server keeps, and refuses what must not change.
func keepServerFields(k kinds.Kind, key Key, old, next Object) error {
	m, was := metaOf(next), metaOf(old)
	if m.GetName() != "" && m.GetName() != was.GetName() || m.GetNamespace() != "" && m.GetNamespace() != was.GetNamespace() {
		return apierror.BadRequest("the object is %s but says that it is %s; names cannot change", key, KeyOf(next))
	}
	if m.GetUid() != "" && m.GetUid() != was.GetUid() {
		return apierror.Conflict(ResourceOf(k), key.Name,
			"uid %s is wanted but the object has %s: it was deleted and created again", m.GetUid(), was.GetUid())
	}
	if was.GetDeletionTimestamp() != nil {
		for _, f := range m.GetFinalizers() {
			if !slices.Contains(was.GetFinalizers(), f) {
				return apierror.InvalidObject(ResourceOf(k), key.Name, []apierror.Cause{apierror.ForbiddenField(
					"metadata.finalizers", "no new finalizers can be added if the object is being deleted, found new finalizer "+f)})
			}
		}
	}
	m.Name, m.Namespace, m.Uid = was.GetName(), was.GetNamespace(), was.GetUid()
	m.GenerateName = was.GetGenerateName()
	m.CreationTimestamp = was.GetCreationTimestamp()
	m.DeletionTimestamp = was.GetDeletionTimestamp()
	m.DeletionGracePeriodSeconds = was.DeletionGracePeriodSeconds
	m.ResourceVersion, m.SelfLink = was.GetResourceVersion(), ""
	m.Generation = was.GetGeneration()
	if !sameSpec(old, next) {
		m.Generation++
	}
	return nil
}

// mutate replaces an object by what fn makes of its newest state, and tries again when another write came between.
func (s *Store) mutate(ctx context.Context, k kinds.Kind, key Key, fn func(*stored) (Object, error)) (Object, error) {
	path, err := s.keys.object(k, key)
	if err != nil {
		return nil, err
	}
	current, err := s.read(ctx, k, key, path)
	if err != nil {
		return nil, err
	}
	for range maxAttempts {
		next, err := fn(current)
		if err != nil {
			return nil, err
		}
		op, err := s.operation(k, key, path, current, next)
		switch {
		case err != nil:
			return nil, err
		case op == nil && s.tx == nil:
			return next, nil
		case op == nil: // that it stays as it is holds for the transaction only while nobody else changes it
			op = newOperation(k, key, path, current.revision, actionKeep)
		}
		revision, latest, err := s.commit(ctx, k, op)
		switch {
		case err != nil:
			return nil, err
		case revision != 0:
			if !s.pending() {
				setResourceVersion(next, revision)
			}
			return next, nil
		case latest == nil:
			return nil, apierror.NotFound(ResourceOf(k), key.Name)
		case latest.revision == current.revision:
			return nil, s.fenced(k, key)
		}
		s.metrics.conflicts.WithLabelValues(ResourceOf(k).String()).Inc()
		current = latest
	}
	return nil, apierror.Conflict(ResourceOf(k), key.Name, "it changed %d times while this write was tried; try again later", maxAttempts)
}

// operation is what turns current into next in etcd; nil when they are the same.
func (s *Store) operation(k kinds.Kind, key Key, path string, current *stored, next Object) (*Operation, error) {
	m := metaOf(next)
	if m.GetDeletionTimestamp() != nil && len(m.GetFinalizers()) == 0 {
		op := newOperation(k, key, path, current.revision, actionDelete)
		op.remove(path, "")
		past := s.keys.past(k, key)
		op.remove(past, clientv3.GetPrefixRangeEnd(past))
		return op, nil
	}
	value, err := s.encodeChecked(k, next)
	if err != nil {
		return nil, err
	}
	if bytes.Equal(value, current.value) || proto.Equal(next, current.object) {
		return nil, nil //nolint:nilnil // nothing to do is no fault
	}
	if value, err = s.seal(k, path, value); err != nil {
		return nil, err
	}
	op := newOperation(k, key, path, current.revision, actionUpdate)
	op.put(path, value, current.lease)
	if m.GetGeneration() != current.object.GetMetadata().GetGeneration() {
		if err := s.keepGeneration(k, op, current); err != nil {
			return nil, err
		}
	}
	return op, nil
}

// encodeChecked encodes obj, and refuses it if it is too large.
func (s *Store) encodeChecked(k kinds.Kind, obj Object) ([]byte, error) {
	value, err := encode(obj)
	if err != nil {
		return nil, apierror.BadRequest("%s %s cannot be encoded: it holds text that is not UTF-8", k.Kind, KeyOf(obj)).Wrap(err)
	}
	if len(value) > s.opts.MaxObjectBytes {
		e := apierror.New(apierror.ReasonRequestEntityTooLarge,
			"%s %s is %d bytes large; at most %d are allowed: keep large data elsewhere and refer to it", k.Kind, KeyOf(obj), len(value), s.opts.MaxObjectBytes)
		e.Resource, e.Name = ResourceOf(k), KeyOf(obj).Name
		return nil, e
	}
	return value, nil
}

// timestamp is the time as objects carry it: to the second.
func (s *Store) timestamp() *timestamppb.Timestamp {
	return &timestamppb.Timestamp{Seconds: s.opts.Now().Unix()}
}

// generateName completes a prefix to a name that is likely to be free.
func generateName(prefix string) string {
	if limit := maxGeneratedName - suffixLength; len(prefix) > limit {
		prefix = prefix[:limit]
	}
	suffix := make([]byte, suffixLength)
	for i := range suffix {
		suffix[i] = suffixLetters[rand.IntN(len(suffixLetters))] //nolint:gosec // names are no secrets
	}
	return prefix + string(suffix)
}
