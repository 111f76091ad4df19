// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package gc

import (
	"context"
	"fmt"
	"slices"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/internal/store"
)

// has tells whether m has the finalizer.
func has(m *metav1.ObjectMeta, finalizer string) bool {
	return slices.Contains(m.GetFinalizers(), finalizer)
}

// waits tells whether an object is being deleted and waits for the collector.
func waits(m *metav1.ObjectMeta) bool {
	return m.GetDeletionTimestamp() != nil && (has(m, store.ForegroundFinalizer) || has(m, store.OrphanFinalizer))
}

// orphan has the dependents forget their owner, and lets it go.
func (c *collector) orphan(ctx context.Context, it item, m *metav1.ObjectMeta) error {
	dependents, err := c.findDependents(ctx, m)
	if err != nil {
		return err
	}
	for dependent, obj := range dependents {
		if err := c.forget(ctx, dependent, obj.GetMetadata().GetUid(), []string{m.GetUid()}); err != nil {
			return err
		}
	}
	return c.release(ctx, it, m.GetUid(), store.OrphanFinalizer)
}

// foreground has the dependents deleted, and lets the owner go when none that blocks it is left. It is called again when one
// goes.
func (c *collector) foreground(ctx context.Context, it item, m *metav1.ObjectMeta) error {
	dependents, err := c.findDependents(ctx, m)
	if err != nil {
		return err
	}
	blocked := false
	for dependent, obj := range dependents {
		c.queue.Add(dependent)
		for _, ref := range obj.GetMetadata().GetOwnerReferences() {
			blocked = blocked || ref.GetUid() == m.GetUid() && ref.GetBlockOwnerDeletion()
		}
	}
	if blocked {
		return nil
	}
	return c.release(ctx, it, m.GetUid(), store.ForegroundFinalizer)
}

// findDependents returns the dependents of an owner, all of those that were there when its deletion was asked for.
func (c *collector) findDependents(ctx context.Context, owner *metav1.ObjectMeta) (map[item]store.Object, error) {
	out := map[item]store.Object{}
	for gk, k := range c.kinds {
		cache := c.store.Cache(k)
		if err := cache.WaitVersion(ctx, owner.GetResourceVersion()); err != nil {
			return nil, fmt.Errorf("wait for the cache of %s: %w", store.ResourceOf(k), err)
		}
		for _, obj := range cache.List("", nil) {
			for _, ref := range obj.GetMetadata().GetOwnerReferences() {
				if ref.GetUid() == owner.GetUid() {
					out[item{gk, store.KeyOf(obj)}] = obj
				}
			}
		}
	}
	return out, nil
}

// release removes a finalizer.
func (c *collector) release(ctx context.Context, it item, uid, finalizer string) error {
	return c.update(ctx, it, uid, func(m *metav1.ObjectMeta) {
		m.Finalizers = slices.DeleteFunc(m.GetFinalizers(), func(f string) bool { return f == finalizer })
	})
}
