// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/labels"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
)

// Cache holds all objects of a kind in memory, a moment behind etcd. Its objects are shared: they must not be changed.
type Cache struct {
	store *Store
	kind  kinds.Kind
	// synced is closed once the objects are known.
	synced chan struct{}

	mu sync.RWMutex
	// objects by namespace and name.
	objects map[string]map[string]Object
	count   int
	// revision up to which the cache knows everything.
	revision int64
	history  history
	// moved is closed, and replaced, when revision moves.
	moved chan struct{}
	subs  map[*subscription]struct{}

	// waiters is how many wait for a revision that may come without an event.
	waiters atomic.Int32
	// ask is signalled to have etcd asked how far the watch is.
	ask  chan struct{}
	size prometheus.Gauge
}

func newCache(s *Store, k kinds.Kind) *Cache {
	return &Cache{
		store: s, kind: k, synced: make(chan struct{}), moved: make(chan struct{}),
		objects: map[string]map[string]Object{},
		history: history{maxCount: s.opts.HistoryEvents, maxBytes: s.opts.HistoryBytes},
		subs:    map[*subscription]struct{}{},
		ask:     make(chan struct{}, 1),
		size:    s.metrics.objects.WithLabelValues(ResourceOf(k).String()),
	}
}

// Cache returns the process's cache of a kind, and starts it if it is the first to ask. It fills while Run runs.
func (s *Store) Cache(k kinds.Kind) *Cache { return s.caches.get(k) }

// Get returns an object, and whether it exists as far as the cache knows.
func (c *Cache) Get(key Key) (Object, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	obj, ok := c.objects[key.Namespace][key.Name]
	return obj, ok
}

// List returns the objects that a selector chooses, in the order of their keys. An empty namespace means all; a nil
// selector chooses all.
func (c *Cache) List(namespace string, selector labels.Selector) []Object {
	if selector == nil {
		selector = labels.Everything()
	}
	f, err := newFilter(c.kind, namespace, selector, nil)
	if err != nil {
		return nil
	}
	objects, _, _ := c.snapshot(f)
	return objects
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

// snapshot returns the objects that f chooses, sorted, and the revision they are of. The last result is false before the
// cache is filled.
func (c *Cache) snapshot(f filter) ([]Object, int64, bool) {
	c.mu.RLock()
	objects, revision := c.selected(f), c.revision
	c.mu.RUnlock()
	sortObjects(objects)
	return objects, revision, revision > 0
}

// selected returns what f chooses. c.mu must be held.
func (c *Cache) selected(f filter) []Object {
	var out []Object
	add := func(objects map[string]Object) {
		for _, obj := range objects {
			if f.matches(obj) {
				out = append(out, obj)
			}
		}
	}
	if f.namespace != "" {
		add(c.objects[f.namespace])
		return out
	}
	for _, objects := range c.objects {
		add(objects)
	}
	return out
}

// sortObjects sorts as etcd does its keys, in which a slash follows the namespace.
func sortObjects(objects []Object) {
	slices.SortFunc(objects, func(a, b Object) int {
		x, y := a.GetMetadata(), b.GetMetadata()
		if x.GetNamespace() == y.GetNamespace() {
			return cmp.Compare(x.GetName(), y.GetName())
		}
		return cmp.Compare(x.GetNamespace()+"/", y.GetNamespace()+"/")
	})
}

// set puts obj in place, or removes it when it is nil, and returns what was there. c.mu must be held.
func (c *Cache) set(key Key, obj Object) Object {
	objects := c.objects[key.Namespace]
	was := objects[key.Name]
	switch {
	case obj == nil && was != nil:
		delete(objects, key.Name)
		c.count--
		if len(objects) == 0 {
			delete(c.objects, key.Namespace)
		}
	case obj != nil:
		if objects == nil {
			objects = map[string]Object{}
			c.objects[key.Namespace] = objects
		}
		objects[key.Name] = obj
		if was == nil {
			c.count++
		}
	}
	return was
}

// advance notes that everything up to revision is known, and wakes who waits. c.mu must be held.
func (c *Cache) advance(revision int64) {
	if revision <= c.revision {
		return
	}
	c.revision = revision
	close(c.moved)
	c.moved = make(chan struct{})
	c.size.Set(float64(c.count))
}

// position is the revision up to which the cache knows everything, and a channel that is closed when it moves.
func (c *Cache) position() (int64, <-chan struct{}) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.revision, c.moved
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
	at, moved := c.position()
	if at >= revision {
		return nil
	}
	c.waiters.Add(1)
	defer c.waiters.Add(-1)
	c.askProgress()
	for at < revision {
		select {
		case <-moved:
		case <-c.store.caches.ctx.Done():
			return errStopped()
		case <-ctx.Done():
			return ctx.Err()
		}
		at, moved = c.position()
	}
	return nil
}

// askProgress has etcd asked how far the watch is.
func (c *Cache) askProgress() {
	select {
	case c.ask <- struct{}{}:
	default:
	}
}

// caches are the caches of a process, one a kind.
type caches struct {
	store *Store
	// ctx ends when Run does.
	ctx    context.Context //nolint:containedctx // caches and watches start at any time, and end with Run
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	running bool
	ended   bool
	byKind  map[string]*Cache
}

func newCaches(s *Store) *caches {
	ctx, cancel := context.WithCancel(context.Background())
	return &caches{store: s, ctx: ctx, cancel: cancel, byKind: map[string]*Cache{}}
}

// start begins to feed the caches, those already asked for and those to come.
func (cs *caches) start() error {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.running || cs.ended {
		return errors.New("the store runs already, or has run")
	}
	cs.running = true
	for _, c := range cs.byKind {
		cs.wg.Go(func() { c.feed(cs.ctx) })
	}
	return nil
}

// stop ends everything that runs in the background, and waits for it.
func (cs *caches) stop() {
	cs.mu.Lock()
	cs.running, cs.ended = false, true
	cs.mu.Unlock()
	cs.cancel()
	cs.wg.Wait()
}

// spawn runs fn in the background, unless the store has stopped; stop waits for it.
func (cs *caches) spawn(fn func()) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.ended {
		return false
	}
	cs.wg.Go(fn)
	return true
}

func (cs *caches) get(k kinds.Kind) *Cache {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	id := ResourceOf(k).String()
	if c, ok := cs.byKind[id]; ok {
		return c
	}
	c := newCache(cs.store, k)
	cs.byKind[id] = c
	if cs.running {
		cs.wg.Go(func() { c.feed(cs.ctx) })
	}
	return c
}

// find returns the cache of k if there is one.
func (cs *caches) find(k kinds.Kind) *Cache {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return cs.byKind[ResourceOf(k).String()]
}

// all returns the caches there are.
func (cs *caches) all() []*Cache {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return slices.Collect(maps.Values(cs.byKind))
}

func errStopped() error {
	return apierror.Unavailable(retryAfter, "the server is shutting down; try again")
}
