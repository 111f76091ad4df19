// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package gc

import (
	"context"
	"slices"
	"strings"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/store"
)

// ownerState is what an owner reference leads to.
type ownerState int

const (
	// solid owners exist, or cannot be looked up.
	solid ownerState = iota
	// waiting owners exist, and wait for their dependents to go first.
	waiting
	// gone owners do not exist.
	gone
)

// ownerOf names what a reference refers to. The last result is false where that cannot be known: the kind is not one of
// ours, or the owner is in a namespace and the dependent is not, so that nothing says in which.
func (c *collector) ownerOf(dependent item, ref *metav1.OwnerReference) (item, string, bool) {
	group, _, _ := strings.Cut(ref.GetApiVersion(), "/")
	if !strings.Contains(ref.GetApiVersion(), "/") {
		group = ""
	}
	gk := groupKind{group, ref.GetKind()}
	k, ok := c.kinds[gk]
	if !ok || k.Namespaced && dependent.key.Namespace == "" {
		return item{}, "", false
	}
	key := store.Key{Name: ref.GetName()}
	if k.Namespaced {
		key.Namespace = dependent.key.Namespace
	}
	return item{gk, key}, ref.GetUid(), true
}

// settled tells whether the caches show that nothing is to be done for an object. What they do not show is looked up.
func (c *collector) settled(it item, m *metav1.ObjectMeta) bool {
	if m.GetDeletionTimestamp() != nil {
		return !waits(m)
	}
	if len(m.GetOwnerReferences()) == 0 {
		return true
	}
	for _, ref := range m.GetOwnerReferences() {
		owner, uid, ok := c.ownerOf(it, ref)
		if !ok {
			continue
		}
		obj, found := c.store.Cache(c.kinds[owner.groupKind]).Get(owner.key)
		if !found || obj.GetMetadata().GetUid() != uid || waits(obj.GetMetadata()) {
			return false
		}
	}
	return true
}

// lookUp reads the state of an owner from etcd.
func (c *collector) lookUp(ctx context.Context, dependent item, ref *metav1.OwnerReference) (ownerState, error) {
	owner, uid, ok := c.ownerOf(dependent, ref)
	if !ok {
		return solid, nil
	}
	obj, err := c.store.Get(ctx, c.kinds[owner.groupKind], owner.key)
	switch {
	case apierror.IsNotFound(err):
		return gone, nil
	case err != nil:
		return solid, err
	case obj.GetMetadata().GetUid() != uid:
		return gone, nil
	case waits(obj.GetMetadata()) && has(obj.GetMetadata(), store.ForegroundFinalizer):
		return waiting, nil
	default:
		return solid, nil
	}
}

// checkOwners deletes an object that no owner keeps. One that an owner keeps lets go of the owners that wait for it.
func (c *collector) checkOwners(ctx context.Context, it item, m *metav1.ObjectMeta) error {
	refs := m.GetOwnerReferences()
	if len(refs) == 0 {
		return nil
	}
	kept := false
	var waitingUIDs []string
	for _, ref := range refs {
		state, err := c.lookUp(ctx, it, ref)
		if err != nil {
			return err
		}
		switch state {
		case solid:
			kept = true
		case waiting:
			waitingUIDs = append(waitingUIDs, ref.GetUid())
		case gone:
		}
	}
	if kept {
		if len(waitingUIDs) == 0 {
			return nil
		}
		return c.forget(ctx, it, m.GetUid(), waitingUIDs)
	}
	propagation := ""
	if len(waitingUIDs) > 0 && len(c.dependentsOf(m.GetUid())) > 0 {
		propagation = store.Foreground
	}
	uid, version := m.GetUid(), m.GetResourceVersion()
	_, err := c.store.Delete(ctx, c.kinds[it.groupKind], it.key,
		store.DeleteOptions{UID: &uid, ResourceVersion: &version, Propagation: propagation})
	if apierror.IsNotFound(err) {
		return nil
	}
	if err == nil {
		c.log.Info("deleted an object whose owners are gone", "object", it.String(), "uid", uid)
	}
	return err
}

// forget removes owners from a dependent.
func (c *collector) forget(ctx context.Context, it item, uid string, owners []string) error {
	return c.update(ctx, it, uid, func(m *metav1.ObjectMeta) {
		m.OwnerReferences = slices.DeleteFunc(m.GetOwnerReferences(), func(ref *metav1.OwnerReference) bool {
			return slices.Contains(owners, ref.GetUid())
		})
	})
}

// update changes the metadata of an object, if it is still there and the same.
func (c *collector) update(ctx context.Context, it item, uid string, fn func(*metav1.ObjectMeta)) error {
	_, err := c.store.Update(ctx, c.kinds[it.groupKind], it.key, "", func(obj store.Object) (store.Object, error) {
		if obj.GetMetadata().GetUid() == uid {
			fn(obj.GetMetadata())
		}
		return obj, nil
	})
	if apierror.IsNotFound(err) {
		return nil
	}
	return err
}
