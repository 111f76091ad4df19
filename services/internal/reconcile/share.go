// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"

	"fairlead.dev/services/internal/lease"
	"fairlead.dev/services/internal/store"
)

// catchUp is how long a shard that was gained may wait for the caches to know what its former holder wrote. Longer than that
// nothing is gained by it: what is written over an older state etcd refuses.
const catchUp = 10 * time.Second

// share is the part of a controller's keys that this process reconciles.
type share struct {
	group *lease.Group
	log   *slog.Logger
	// gained is signalled when there are shards whose keys are to be looked at.
	gained chan struct{}

	mu    sync.Mutex
	held  map[int]*tenure
	fresh map[int]bool // shards gained whose keys have not been added yet
}

// tenure is the time for which a shard is held.
type tenure struct {
	// ctx ends with it, and carries the guard of what is written under it.
	ctx  context.Context //nolint:containedctx // the parent of the runs' contexts
	runs sync.WaitGroup
}

func newShare(g *lease.Group, log *slog.Logger) *share {
	return &share{group: g, log: log, gained: make(chan struct{}, 1), held: map[int]*tenure{}, fresh: map[int]bool{}}
}

// ours tells whether a key is reconciled here.
func (s *share) ours(key store.Key) bool {
	if s.group == nil {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held[s.group.Shard(key)] != nil
}

// enter begins a run. Its context ends with ctx and with the tenure of the key's shard. The last result is false when the
// key is not ours.
func (s *share) enter(ctx context.Context, key store.Key) (run context.Context, leave func(), ours bool) {
	if s.group == nil {
		return ctx, func() {}, true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.held[s.group.Shard(key)]
	if t == nil {
		return nil, nil, false
	}
	t.runs.Add(1)
	run, cancel := context.WithCancelCause(t.ctx)
	stop := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
	return run, func() { stop(); cancel(nil); t.runs.Done() }, true
}

// follow takes part in the group until ctx ends. The keys of shards that are gained are asked of the sources.
func (s *share) follow(ctx context.Context, sources []Source, add func(store.Key)) {
	if s.group == nil {
		return
	}
	var listing sync.WaitGroup
	defer listing.Wait()
	listing.Go(func() {
		for {
			select {
			case <-s.gained:
				s.list(sources, add)
			case <-ctx.Done():
				return
			}
		}
	})
	s.group.Follow(ctx, func(ctx context.Context, shard int) { s.hold(ctx, shard, sources) })
}

// caughtUp waits for the sources to know what was written before a shard was taken.
func (s *share) caughtUp(ctx context.Context, shard int, sources []Source) {
	revision := lease.TakenAt(ctx)
	bounded, cancel := context.WithTimeout(ctx, catchUp)
	defer cancel()
	for _, source := range sources {
		if source.wait == nil {
			continue
		}
		if err := source.wait(bounded, revision); err != nil {
			if ctx.Err() == nil {
				s.log.WarnContext(ctx, "a shard is worked on although the caches do not know yet what its former holder wrote",
					"shard", shard, "revision", revision, "error", err)
			}
			return
		}
	}
}

// hold has a shard's keys reconciled here until ctx ends, and returns when no run of it is left. None begins before the
// sources know what the former holder wrote: it would do anew what has been done.
func (s *share) hold(ctx context.Context, shard int, sources []Source) {
	s.caughtUp(ctx, shard, sources)
	t := &tenure{ctx: ctx}
	s.mu.Lock()
	s.held[shard], s.fresh[shard] = t, true
	s.mu.Unlock()
	select {
	case s.gained <- struct{}{}:
	default:
	}
	<-ctx.Done()
	s.mu.Lock()
	delete(s.held, shard)
	delete(s.fresh, shard)
	s.mu.Unlock()
	t.runs.Wait()
}

// list adds all keys of the shards that have been gained. What changes from now on the sources tell by themselves.
func (s *share) list(sources []Source, add func(store.Key)) {
	s.mu.Lock()
	fresh := maps.Clone(s.fresh)
	clear(s.fresh)
	s.mu.Unlock()
	for _, source := range sources {
		if source.List == nil {
			continue
		}
		source.List(func(key store.Key) {
			if fresh[s.group.Shard(key)] && s.ours(key) {
				add(key)
			}
		})
	}
}
