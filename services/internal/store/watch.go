// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
)

// EventType says what happened to an object.
type EventType string

// The types of events.
const (
	// Added is for an object that is new to the watcher.
	Added EventType = "ADDED"
	// Modified is for a new state of an object.
	Modified EventType = "MODIFIED"
	// Deleted is for an object that is gone, or that the watcher's selector no longer chooses. It carries the last state.
	Deleted EventType = "DELETED"
	// Bookmark carries nothing but the version up to which the watcher knows everything.
	Bookmark EventType = "BOOKMARK"
)

// InitialEventsEnd is the annotation of the bookmark after the initial events.
const InitialEventsEnd = "k8s.io/initial-events-end"

const (
	// watchBuffer is how many events wait for a watcher besides those in the cache's history.
	watchBuffer = 16
	// watchBatch is how many changes are taken from the history at once.
	watchBatch = 128
)

// EventOf is one event, with objects of type T. The objects are shared: they must not be changed.
type EventOf[T Object] struct {
	// Type says what happened.
	Type EventType
	// Object is the object's state: the new one, or the last for a deletion.
	Object T

	// entry is what the store made the event of, with the object of that time.
	entry *entry
	of    Object
}

// Encoded returns bytes that decode to the object, resourceVersion included, as Item.Encoded does. They are shared by all
// who get the event: they must not be changed. It is nil for events that no store made, and after Object was replaced.
func (e EventOf[T]) Encoded() []byte {
	if e.entry == nil || Object(e.Object) != e.of {
		return nil
	}
	return e.entry.encoded
}

// Event is an event with an object of any kind.
type Event = EventOf[Object]

// WatchOptions choose what a watch tells.
type WatchOptions struct {
	// Namespace of the objects; empty means all.
	Namespace string
	// LabelSelector chooses by label; nil chooses all.
	LabelSelector labels.Selector
	// FieldSelector chooses by metadata.name and metadata.namespace; nil chooses all.
	FieldSelector fields.Selector
	// ResourceVersion is the version after which changes are wanted. Empty: first every object of the newest state, then
	// changes; 0: the same with any state.
	ResourceVersion string
	// SendInitialEvents, if given, says whether every object is sent first; after them comes a bookmark that is annotated
	// with InitialEventsEnd.
	SendInitialEvents *bool
	// Bookmarks sends a bookmark now and then, so that a watch can be resumed from a version that is still kept.
	Bookmarks bool
}

// WatcherOf is a running watch with objects of type T.
type WatcherOf[T Object] struct {
	events chan EventOf[T]
	cancel context.CancelFunc
	mu     sync.Mutex
	err    error
}

// Watcher is a watch of objects of any kind.
type Watcher = WatcherOf[Object]

// Events yields what happens. It is closed when the watch ends; Err then says why.
func (w *WatcherOf[T]) Events() <-chan EventOf[T] { return w.events }

// Err is why the watch ended: nil after Stop and at the end of its context; Expired when the watcher was too slow or asks
// for what is no longer kept, so that it has to list again; Unavailable when the store stops.
func (w *WatcherOf[T]) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// Stop ends the watch. It may be called more than once.
func (w *WatcherOf[T]) Stop() { w.cancel() }

// Watch tells of changes until ctx ends. All watches of all kinds are fed by one watch of etcd. Nobody waits for a watcher that
// does not read: when the history no longer has what it needs next, it is ended.
func (s *Store) Watch(ctx context.Context, k kinds.Kind, o WatchOptions) (*Watcher, error) {
	return watch[Object](ctx, s, k, o)
}

// watch starts a watch whose objects are of type T.
func watch[T Object](ctx context.Context, s *Store, k kinds.Kind, o WatchOptions) (*WatcherOf[T], error) {
	r, err := s.newWatchRun(ctx, k, o)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	w := &WatcherOf[T]{events: make(chan EventOf[T], watchBuffer), cancel: func() { cancel(nil) }}
	r.emit = func(kind EventType, e *entry) error {
		obj, ok := e.object().(T)
		if !ok {
			return apierror.Internal(errors.New("a watch met an object of another type"))
		}
		ev := EventOf[T]{Type: kind, Object: obj, entry: e, of: obj}
		select {
		case w.events <- ev:
			return nil
		default:
		}
		lost, release := r.cache.hold(r.next)
		defer release()
		select {
		case w.events <- ev:
			return nil
		case <-lost:
			return errFellBehind
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	gauge := s.metrics.watchers.WithLabelValues(ResourceOf(k).String())
	started := s.caches.spawn(func() {
		defer context.AfterFunc(s.caches.ctx, func() { cancel(errStopped()) })() //nolint:contextcheck // a second end, Run's
		defer cancel(nil)
		gauge.Inc()
		defer gauge.Dec()
		err := r.run(ctx)
		switch {
		case ctx.Err() != nil:
			err = stopReason(ctx)
		case errors.Is(err, errFellBehind):
			s.metrics.evicted.WithLabelValues(ResourceOf(k).String()).Inc()
		}
		w.mu.Lock()
		w.err = err
		w.mu.Unlock()
		close(w.events)
	})
	if !started {
		cancel(nil)
		return nil, errStopped()
	}
	return w, nil
}

// stopReason is why ctx ended, if it is the store that ended it.
func stopReason(ctx context.Context) error {
	if e, ok := errors.AsType[*apierror.Error](context.Cause(ctx)); ok {
		return e
	}
	return nil
}

// watchRun is what a watch does.
type watchRun struct {
	store  *Store
	cache  *Cache
	filter filter
	emit   func(EventType, *entry) error
	// next is the place in the cache's history of the change that the watcher needs next. It falls behind when that is
	// forgotten.
	next int64
	// from is the revision after which changes are told, unless initial.
	from int64
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
	at, ok := r.cache.after(r.from)
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

// live tells of the changes in the cache's history, as they come.
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

// after returns the place in the history after a revision, and false when the history does not reach back so far.
func (c *Cache) after(revision int64) (cursor, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.history.after(revision)
}

// end is the place after all changes in the history.
func (c *Cache) end() int64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.history.end()
}

// changes adds the next changes at a place to out, as far as there is room, and returns the place after them. When there are
// no more, it also returns the revision up to which that is so, and a channel that is closed when there may be more. The last
// result is false when the history does not have them any more.
func (c *Cache) changes(at cursor, out []*change) (changes []*change, next cursor, revision int64, changed <-chan struct{}, ok bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	changes, next, ok = c.history.read(at, out)
	if ok && next.next == c.history.end() {
		changed = c.changed
	}
	return changes, next, max(c.revision(), at.after), changed, ok
}

// errFellBehind ends a watcher that needs changes that are forgotten.
var errFellBehind = expired(errors.New("the watcher fell behind the history"))

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
	if next < c.history.first {
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
