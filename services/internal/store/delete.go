// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"slices"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
)

// What becomes of the objects that a deleted one owns.
const (
	// Background deletes them after the owner.
	Background = "Background"
	// Foreground deletes them before the owner.
	Foreground = "Foreground"
	// Orphan keeps them, without their owner.
	Orphan = "Orphan"
)

// The finalizers by which an object waits for the garbage collector. Their names are those of Kubernetes.
const (
	// ForegroundFinalizer is on objects whose dependents go first.
	ForegroundFinalizer = "foregroundDeletion"
	// OrphanFinalizer is on objects whose dependents are to forget them first.
	OrphanFinalizer = "orphan"
)

// DeleteOptions are the terms of a deletion.
type DeleteOptions struct {
	// UID is the uid that the object must have, if given.
	UID *string
	// ResourceVersion is the version that the object must have, if given.
	ResourceVersion *string
	// Propagation is Background (the default), Foreground or Orphan.
	Propagation string
}

// Delete removes an object and returns its last state. One with finalizers gets a deletionTimestamp instead, stays until
// they are gone, and is returned as it stays.
func (s *Store) Delete(ctx context.Context, k kinds.Kind, key Key, o DeleteOptions) (deleted Object, err error) {
	defer s.metrics.observe(ctx, "delete", k, &err)()
	if !slices.Contains([]string{"", Background, Foreground, Orphan}, o.Propagation) {
		return nil, apierror.BadRequest("propagationPolicy %q is none of %s, %s and %s", o.Propagation, Background, Foreground, Orphan)
	}
	return s.mutate(ctx, k, key, func(current *stored) (Object, error) {
		m := current.object.GetMetadata()
		if o.UID != nil && *o.UID != m.GetUid() {
			return nil, apierror.Conflict(ResourceOf(k), key.Name,
				"Precondition failed: UID in precondition: %s, UID in object meta: %s", *o.UID, m.GetUid())
		}
		if o.ResourceVersion != nil && *o.ResourceVersion != m.GetResourceVersion() {
			return nil, apierror.Conflict(ResourceOf(k), key.Name,
				"Precondition failed: ResourceVersion in precondition: %s, ResourceVersion in object meta: %s", *o.ResourceVersion, m.GetResourceVersion())
		}
		next := clone(current.object)
		s.markDeleted(metaOf(next), o.Propagation)
		return next, nil
	})
}

// markDeleted notes in m that the object is to go, and who has to act before. An object that stays for them is in a new
// generation, as in Kubernetes.
func (s *Store) markDeleted(m *metav1.ObjectMeta, propagation string) {
	wait(m, propagation)
	if m.GetDeletionTimestamp() == nil {
		m.DeletionTimestamp = s.timestamp()
		if made := m.GetCreationTimestamp(); made.GetSeconds() > m.DeletionTimestamp.GetSeconds() {
			m.DeletionTimestamp = made // the clock was put back
		}
		m.DeletionGracePeriodSeconds = new(int64)
		if len(m.GetFinalizers()) > 0 {
			m.Generation++
		}
	}
}

// wait has the object wait for what its propagation asks for.
func wait(m *metav1.ObjectMeta, propagation string) {
	if propagation == "" {
		return
	}
	m.Finalizers = slices.DeleteFunc(m.GetFinalizers(), func(f string) bool {
		return f == ForegroundFinalizer || f == OrphanFinalizer
	})
	switch propagation {
	case Foreground:
		m.Finalizers = append(m.Finalizers, ForegroundFinalizer)
	case Orphan:
		m.Finalizers = append(m.Finalizers, OrphanFinalizer)
	}
}
