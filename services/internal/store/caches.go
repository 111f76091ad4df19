// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
)

// caches are the caches of a process, one a kind, and what feeds them.
type caches struct {
	store  *Store
	feed   *feed
	newest *newest
	// ctx ends when Run does.
	ctx    context.Context //nolint:containedctx // caches and watches start at any time, and end with Run
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.RWMutex
	running bool
	ended   bool
	byKind  map[kindID]*Cache
}

// kindID names a kind in maps.
type kindID struct{ group, plural string }

func newCaches(s *Store) *caches {
	ctx, cancel := context.WithCancel(context.Background())
	cs := &caches{store: s, ctx: ctx, cancel: cancel, byKind: map[kindID]*Cache{}}
	cs.feed = newFeed(s, &cs.wg)
	cs.newest = &newest{ask: func() (int64, error) { return s.currentRevision(ctx) }, spawn: cs.spawn}
	return cs
}

// Cache returns the process's cache of a kind, and starts it if it is the first to ask. It fills while Run runs.
func (s *Store) Cache(k kinds.Kind) *Cache { return s.caches.get(k) }

// start begins to feed the caches, those already asked for and those to come.
func (cs *caches) start() error {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.running || cs.ended {
		return errors.New("the store runs already, or has run")
	}
	cs.running = true
	cs.wg.Go(func() { cs.feed.run(cs.ctx) })
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
	id := kindID{k.Group, k.Plural}
	cs.mu.RLock()
	c, ok := cs.byKind[id]
	cs.mu.RUnlock()
	if ok {
		return c
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if c, ok := cs.byKind[id]; ok {
		return c
	}
	c = newCache(cs.store, k)
	cs.byKind[id] = c
	if !cs.ended {
		cs.feed.register(cs.ctx, c)
	}
	return c
}

// fed returns the cache of k while the store runs, and nil when nothing feeds it.
func (cs *caches) fed(k kinds.Kind) *Cache {
	cs.mu.RLock()
	running := cs.running
	cs.mu.RUnlock()
	if !running {
		return nil
	}
	return cs.get(k)
}

// all returns the caches there are.
func (cs *caches) all() []*Cache {
	cs.mu.RLock()
	defer cs.mu.RUnlock()
	return slices.Collect(maps.Values(cs.byKind))
}

func errStopped() error {
	return apierror.Unavailable(retryAfter, "the server is shutting down; try again")
}
