// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package gc deletes objects whose owners are all gone, as Kubernetes' garbage collector does for the cluster's objects. It
// acts on events of the caches, and believes no cache that an owner is gone: it asks etcd before it deletes.
package gc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"google.golang.org/protobuf/proto"
	"k8s.io/client-go/util/workqueue"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/store"
)

// workers is how many objects are looked at side by side.
const workers = 4

// groupKind names a kind whatever its version, as owner references do.
type groupKind struct {
	group, kind string
}

// item names an object of any kind.
type item struct {
	groupKind

	key store.Key
}

func (i item) String() string { return i.kind + "." + i.group + " " + i.key.String() }

// collector knows who owns whom.
type collector struct {
	store *store.Store
	kinds map[groupKind]kinds.Kind
	log   *slog.Logger
	queue workqueue.TypedRateLimitingInterface[item]

	mu sync.Mutex
	// owners are what each dependent says of its owners.
	owners map[item][]*metav1.OwnerReference
	// dependents are the objects that name a uid as an owner.
	dependents map[string]map[item]struct{}
}

// Run collects garbage among objects of the kinds until ctx ends. An owner of another kind is taken to exist. Several
// processes may run it at once.
func Run(ctx context.Context, s *store.Store, ks []kinds.Kind, log *slog.Logger) error {
	if log == nil {
		log = slog.Default()
	}
	c := &collector{
		store: s,
		kinds: make(map[groupKind]kinds.Kind, len(ks)),
		log:   log.With("component", "gc"),
		queue: workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[item]()),

		owners:     map[item][]*metav1.OwnerReference{},
		dependents: map[string]map[item]struct{}{},
	}
	for _, k := range ks {
		c.kinds[groupKind{k.Group, k.Kind}] = k
	}
	for gk, k := range c.kinds {
		defer s.Cache(k).Subscribe(func(ev store.Event) { c.observe(gk, ev) })()
	}
	for _, k := range c.kinds {
		if err := s.Cache(k).WaitSynced(ctx); err != nil {
			c.queue.ShutDown()
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("wait for the cache of %s: %w", store.ResourceOf(k), err)
		}
	}
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for c.next(ctx) {
			}
		})
	}
	<-ctx.Done()
	c.queue.ShutDown()
	wg.Wait()
	return nil
}

// observe notes what an event says about owners, and queues what has to be looked at.
func (c *collector) observe(gk groupKind, ev store.Event) {
	m := ev.Object.GetMetadata()
	it := item{gk, store.KeyOf(ev.Object)}
	refs := m.GetOwnerReferences()
	if ev.Type == store.Deleted {
		refs = nil
		for _, dependent := range c.dependentsOf(m.GetUid()) {
			c.queue.Add(dependent)
		}
	}
	was, changed := c.index(it, refs)
	if ev.Type != store.Deleted && (changed || waits(m)) {
		c.queue.Add(it)
	}
	if !changed {
		return
	}
	// An owner may have waited for this dependent to go, or to let go of it.
	for _, ref := range was {
		if owner, _, ok := c.ownerOf(it, ref); ok {
			c.queue.Add(owner)
		}
	}
}

// index notes the owners of a dependent, and returns those before, and whether they were others.
func (c *collector) index(it item, refs []*metav1.OwnerReference) (was []*metav1.OwnerReference, changed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	was = c.owners[it]
	if slices.EqualFunc(was, refs, func(a, b *metav1.OwnerReference) bool { return proto.Equal(a, b) }) {
		return was, false
	}
	for _, ref := range was {
		uid := ref.GetUid()
		delete(c.dependents[uid], it)
		if len(c.dependents[uid]) == 0 {
			delete(c.dependents, uid)
		}
	}
	delete(c.owners, it)
	if len(refs) > 0 {
		c.owners[it] = refs
	}
	for _, ref := range refs {
		uid := ref.GetUid()
		if c.dependents[uid] == nil {
			c.dependents[uid] = map[item]struct{}{}
		}
		c.dependents[uid][it] = struct{}{}
	}
	return was, true
}

// dependentsOf returns the known dependents of an owner.
func (c *collector) dependentsOf(uid string) []item {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.dependents[uid]))
}

// next works on one object. It returns false when the queue is shut down.
func (c *collector) next(ctx context.Context) bool {
	it, shutdown := c.queue.Get()
	if shutdown {
		return false
	}
	defer c.queue.Done(it)
	err := c.collect(ctx, it)
	switch {
	case err == nil || ctx.Err() != nil:
		c.queue.Forget(it)
	case apierror.IsConflict(err):
		c.queue.AddRateLimited(it)
	default:
		c.log.Warn("garbage collection of an object failed; it is tried again", "object", it.String(), "error", err, "cause", errors.Unwrap(err))
		c.queue.AddRateLimited(it)
	}
	return true
}

// collect does for one object what its newest state asks for.
func (c *collector) collect(ctx context.Context, it item) error {
	k := c.kinds[it.groupKind]
	if quick, ok := c.store.Cache(k).Get(it.key); ok && c.settled(it, quick.GetMetadata()) {
		return nil
	}
	obj, err := c.store.Get(ctx, k, it.key)
	if apierror.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	m := obj.GetMetadata()
	switch {
	case m.GetDeletionTimestamp() == nil:
		return c.checkOwners(ctx, it, m)
	case has(m, store.OrphanFinalizer):
		return c.orphan(ctx, it, m)
	case has(m, store.ForegroundFinalizer):
		return c.foreground(ctx, it, m)
	default:
		return nil
	}
}
