// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/third_party/forked/golang/btree"

	"fairlead.dev/gen/go/kinds"
)

// Cache holds all objects of a kind in memory, a moment behind etcd. Its objects are shared: they must not be changed.
type Cache struct {
	store *Store
	kind  kinds.Kind
	form  *form
	// prefix of the keys of all objects.
	prefix string
	// synced is closed once the objects are known.
	synced chan struct{}

	mu sync.RWMutex
	// objects by path. frozen is a copy of them that nobody changes, if they have not changed since it was made.
	objects, frozen *objectTree
	// past are copies of former revisions, for lists that are read in pages.
	past pastTrees
	// unreadable are the paths of what etcd has and cannot be decoded.
	unreadable map[string]struct{}
	// applied is the revision of the newest change. filled tells that the cache also has whatever the feed has passed on;
	// else it has missed something, or is yet to be filled.
	applied   int64
	filled    bool
	changelog changelog
	// changed is closed, and replaced, when there are new changes.
	changed chan struct{}
	subs    map[*subscription]struct{}
	// stuck are the watchers that cannot take their next event.
	stuck map[*stuckWatcher]struct{}

	// fill counts how often the cache was to be filled, and waiting are the events since: the feed's, under its lock.
	fill    int
	waiting []*clientv3.Event

	size prometheus.Gauge
}

// objectTree is a sorted set of objects of which copies are cheap.
type objectTree = btree.BTree[*entry]

// treeDegree is how wide the trees are: wide ones take less memory, narrow ones copy less when they change.
const treeDegree = 32

func newTree() *objectTree { return btree.New(treeDegree, (*entry).less) }

func newCache(s *Store, k kinds.Kind) *Cache {
	f, err := newForm(k, s.recent)
	if err != nil {
		s.log.Error("a kind cannot be cached", "resource", ResourceOf(k).String(), "error", err)
	}
	return &Cache{
		store: s, kind: k, form: f, prefix: s.keys.kind(k), synced: make(chan struct{}), changed: make(chan struct{}),
		objects: newTree(), unreadable: map[string]struct{}{},
		changelog: changelog{maxCount: s.opts.ChangeLogEvents, maxBytes: s.opts.ChangeLogBytes},
		subs:      map[*subscription]struct{}{}, stuck: map[*stuckWatcher]struct{}{},
		size: s.metrics.objects.WithLabelValues(ResourceOf(k).String()),
	}
}

// Get returns an object, and whether it exists as far as the cache knows.
func (c *Cache) Get(key Key) (Object, bool) {
	path, err := c.path(key)
	if err != nil {
		return nil, false
	}
	e, _ := c.find(path)
	if e == nil {
		return nil, false
	}
	return e.object(), true
}

// path is where the object of a key is, below the prefix.
func (c *Cache) path(key Key) (string, error) {
	full, err := c.store.keys.object(c.kind, key)
	return strings.TrimPrefix(full, c.prefix), err
}

// find returns what is at a path, nil if nothing, and false when what etcd has there cannot be read.
func (c *Cache) find(path string) (e *entry, readable bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	e, _ = c.objects.Get(&entry{path: path})
	_, broken := c.unreadable[path]
	return e, !broken
}

// List returns the objects that a selector chooses, in the order of their keys. An empty namespace means all; a nil
// selector chooses all.
func (c *Cache) List(namespace string, selector labels.Selector) []Object {
	f, err := newFilter(c.kind, namespace, selector, nil)
	if err != nil {
		return nil
	}
	tree, _, _ := c.snapshot()
	var out []Object
	tree.scan(f.within(), "", func(e *entry) bool {
		if f.matches(e) {
			out = append(out, e.object())
		}
		return true
	})
	return out
}

// WaitSynced returns when the cache has been filled. It fails when ctx or the store ends before.
func (c *Cache) WaitSynced(ctx context.Context) error {
	select {
	case <-c.synced:
		return nil
	default:
	}
	select {
	case <-c.synced:
		return nil
	case <-c.store.caches.ctx.Done():
		return errStopped()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// known is the revision up to which the cache knows everything; 0 before it is filled.
func (c *Cache) known() int64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.revision()
}

// revision is known, with c.mu held. The feed moves on only after all filled caches have what it passes on: whatever its
// position is while the cache is locked, the cache is as far.
func (c *Cache) revision() int64 {
	if !c.filled {
		return c.applied
	}
	return max(c.applied, c.store.caches.feed.position.revision())
}

// WaitVersion returns when the cache is at least as new as a resourceVersion, such as that of an object just written.
func (c *Cache) WaitVersion(ctx context.Context, version string) error {
	revision, err := parseRevision(version)
	if err != nil {
		return err
	}
	if err := c.WaitSynced(ctx); err != nil {
		return err
	}
	return c.waitRevision(ctx, revision)
}

// waitRevision returns when the cache knows everything up to revision. Where no event brings it there, etcd is asked how
// far it is.
func (c *Cache) waitRevision(ctx context.Context, revision int64) error {
	if c.known() >= revision {
		return nil
	}
	f := c.store.caches.feed
	defer f.await(revision)()
	for {
		moved := f.position.moved()
		if c.known() >= revision {
			return nil
		}
		select {
		case <-moved:
		case <-c.store.caches.ctx.Done():
			return errStopped()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// askProgress has etcd asked how far the watch is.
func (c *Cache) askProgress() { c.store.caches.feed.askProgress() }
