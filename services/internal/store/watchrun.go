// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
)

// watchBatch is how many changes are taken from the changelog at once.
const watchBatch = 128

// watchRun is what a watch does.
type watchRun struct {
	store  *Store
	cache  *Cache
	filter filter
	emit   func(EventType, *entry) error
	// next is the place in the cache's changelog of the change that the watcher needs next. It falls behind when that is
	// forgotten.
	next int64
	// from is the revision after which changes are told, unless initial.
	from int64
	// again tells that the watcher may know only a part of the revision from: it is told of all of it again where it holds
	// several changes of the kind.
	again bool
	// initial sends all objects first, and marked tells of their end.
	initial, marked bool
	bookmarks       bool
	// told is the version of the last event or bookmark.
	told int64
}

// newWatchRun checks the options, and waits until the cache can serve them.
func (s *Store) newWatchRun(ctx context.Context, k kinds.Kind, o WatchOptions) (*watchRun, error) {
	f, err := newFilter(k, o.Namespace, o.LabelSelector, o.FieldSelector)
	if err != nil {
		return nil, err
	}
	if _, err := s.keys.within(k, f.namespace); err != nil {
		return nil, err
	}
	version, err := parseRevision(o.ResourceVersion)
	if err != nil {
		return nil, err
	}
	r := &watchRun{store: s, cache: s.Cache(k), filter: f, from: version, initial: version == 0, bookmarks: o.Bookmarks}
	if o.SendInitialEvents != nil {
		r.initial, r.marked = *o.SendInitialEvents, *o.SendInitialEvents
	}
	r.again = version != 0 && !r.initial
	if err := r.cache.waitSyncedLimited(ctx); err != nil {
		return nil, err
	}
	return r, r.reach(ctx, o.ResourceVersion)
}

// reach makes sure that the cache is as new as the watch needs it.
func (r *watchRun) reach(ctx context.Context, wanted string) error {
	at := r.cache.known()
	switch {
	case wanted == "" || r.from > at:
		newest, err := r.store.caches.newest.revision(ctx)
		if err != nil {
			return err
		}
		if r.from > newest {
			return tooLarge()
		}
		if r.from == 0 {
			r.from = newest
		}
	case r.from == 0:
		r.from = at
	}
	if !r.initial {
		return nil
	}
	call, cancel := r.store.limit(ctx)
	defer cancel()
	if err := r.cache.waitRevision(call, r.from); err != nil {
		if ctx.Err() == nil && call.Err() != nil {
			return apierror.Unavailable(retryAfter, "the watch cache of %s is behind etcd; try again", ResourceOf(r.cache.kind))
		}
		return err
	}
	return nil
}

func (r *watchRun) run(ctx context.Context) error {
	if r.initial {
		if err := r.tellInitial(); err != nil {
			return err
		}
	}
	r.told = max(r.told, r.from)
	at, ok := r.cache.after(r.from, r.again)
	if !ok {
		var err error
		if at, err = r.catchUp(ctx); err != nil {
			return err
		}
	}
	return r.live(ctx, at)
}

// tellInitial tells of every object there is.
func (r *watchRun) tellInitial() error {
	snapshot, revision, at := r.cache.snapshotForWatch()
	r.from, r.next = revision, at.next
	var err error
	snapshot.scan(r.filter.within(), "", func(e *entry) bool {
		if r.filter.matches(e) {
			err = r.emit(Added, e)
		}
		return err == nil
	})
	if err != nil || !r.marked {
		return err
	}
	return r.bookmark(revision, map[string]string{InitialEventsEnd: "true"})
}

// live tells of the changes in the cache's changelog, as they come.
func (r *watchRun) live(ctx context.Context, at cursor) error {
	var due <-chan time.Time
	if r.bookmarks {
		interval := r.store.opts.BookmarkInterval
		ticker := time.NewTicker(interval - rand.N(interval/10+1)) //nolint:gosec // jitter
		defer ticker.Stop()
		due = ticker.C
	}
	batch, mark := make([]*change, 0, watchBatch), false
	for {
		changes, next, revision, changed, ok := r.cache.changes(at, batch)
		if !ok {
			return errFellBehind
		}
		at, r.next = next, next.next
		for _, ch := range changes {
			if err := r.tell(ch); err != nil {
				return err
			}
		}
		clear(changes)
		if changed == nil {
			continue
		}
		if mark {
			mark = false
			if err := r.bookmark(revision, nil); err != nil {
				return err
			}
		}
		select {
		case <-changed:
		case <-due:
			r.cache.askProgress()
			mark = true
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// tell passes a change on, if the filter says so.
func (r *watchRun) tell(ch *change) error {
	kind, e := r.filter.event(ch)
	if e == nil {
		return nil
	}
	r.told = ch.revision
	return r.emit(kind, e)
}

// bookmark tells how far the watcher is, unless it knows.
func (r *watchRun) bookmark(revision int64, annotations map[string]string) error {
	if revision <= r.told && annotations == nil {
		return nil
	}
	obj, err := newObject(r.cache.kind)
	if err != nil {
		return err
	}
	metaOf(obj).Annotations = annotations
	value, err := encode(obj)
	if err != nil {
		return apierror.Internal(err)
	}
	r.told = max(r.told, revision)
	return r.emit(Bookmark, r.cache.form.entry("", &stored{object: obj, value: value, revision: revision}))
}

// after returns the place in the changelog after a revision, and false when the changelog does not reach back so far. again asks
// for the changes of the revision itself, too, where it holds several.
func (c *Cache) after(revision int64, again bool) (cursor, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.changelog.after(revision, again)
}

// foundSingle notes for the next watcher that a revision holds no more than one change.
func (c *Cache) foundSingle(revision int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changelog.foundSingle(revision)
}

// end is the place after all changes in the changelog.
func (c *Cache) end() int64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.changelog.end()
}

// changes adds the next changes at a place to out, as far as there is room, and returns the place after them. When there are
// no more, it also returns the revision up to which that is so, and a channel that is closed when there may be more. The last
// result is false when the changelog does not have them any more.
func (c *Cache) changes(at cursor, out []*change) (changes []*change, next cursor, revision int64, changed <-chan struct{}, ok bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	changes, next, ok = c.changelog.read(at, out)
	if ok && next.next == c.changelog.end() {
		changed = c.changed
	}
	return changes, next, max(c.revision(), at.after), changed, ok
}

// errFellBehind ends a watcher that needs changes that are forgotten.
var errFellBehind = expired(errors.New("the watcher fell behind the changelog"))

// stuckWatcher is a watcher that cannot take its next event now. lost is closed when it falls behind meanwhile.
type stuckWatcher struct {
	next int64
	lost chan struct{}
}

// hold notes that a watcher that needs the change at next cannot go on, until release is called.
func (c *Cache) hold(next int64) (lost <-chan struct{}, release func()) {
	w := &stuckWatcher{next: next, lost: make(chan struct{})}
	c.mu.Lock()
	defer c.mu.Unlock()
	if next < c.changelog.first {
		close(w.lost)
		return w.lost, func() {}
	}
	c.stuck[w] = struct{}{}
	return w.lost, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.stuck, w)
	}
}
