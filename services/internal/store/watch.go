// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"sync"

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

// watchBuffer is how many events wait for a watcher besides those in the cache's changelog.
const watchBuffer = 16

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
	// ResourceVersion is the version after which changes are wanted. Those of the version itself are told again where it holds
	// several changes of the kind, as a transaction makes: a watcher that was cut off may know only some of them. Empty: first
	// every object of the newest state, then changes; 0: the same with any state.
	ResourceVersion string
	// SendInitialEvents, if given, says whether every object is sent first; after them comes a bookmark that is annotated
	// with InitialEventsEnd.
	SendInitialEvents *bool
	// Bookmarks sends a bookmark now and then, so that a watch can be resumed from a version that is still kept.
	Bookmarks bool
}

// ItemEvent is an event for callers that only pass objects on: nothing is decoded for them.
type ItemEvent struct {
	// Type says what happened.
	Type EventType
	// Item is the object's state: the new one, or the last for a deletion.
	Item Item
}

// stream is a running watch whose events are of type E.
type stream[E any] struct {
	events chan E
	done   chan struct{}
	cancel context.CancelFunc
	mu     sync.Mutex
	err    error
}

// WatcherOf is a running watch with objects of type T.
type WatcherOf[T Object] struct{ *stream[EventOf[T]] }

// Watcher is a watch of objects of any kind.
type Watcher = WatcherOf[Object]

// ItemWatcher is a running watch with items.
type ItemWatcher struct{ *stream[ItemEvent] }

// Events yields what happens. It is closed when the watch ends; Err then says why.
func (w *stream[E]) Events() <-chan E { return w.events }

// Done is closed when the watch has ended, even though events may wait that nobody has read.
func (w *stream[E]) Done() <-chan struct{} { return w.done }

// Err is why the watch ended: nil after Stop and at the end of its context; Expired when the watcher was too slow or asks
// for what is no longer kept, so that it has to list again; Unavailable when the store stops.
func (w *stream[E]) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// Stop ends the watch. It may be called more than once.
func (w *stream[E]) Stop() { w.cancel() }

// Watch tells of changes until ctx ends. All watches of all kinds are fed by one watch of etcd. Nobody waits for a watcher that
// does not read: when the changelog no longer has what it needs next, it is ended.
func (s *Store) Watch(ctx context.Context, k kinds.Kind, o WatchOptions) (*Watcher, error) {
	return watch[Object](ctx, s, k, o)
}

// WatchItems is Watch for callers that only pass objects on.
func (s *Store) WatchItems(ctx context.Context, k kinds.Kind, o WatchOptions) (*ItemWatcher, error) {
	st, err := startStream(ctx, s, k, o, func(kind EventType, e *entry) (ItemEvent, error) {
		return ItemEvent{Type: kind, Item: Item{e}}, nil
	})
	if err != nil {
		return nil, err
	}
	return &ItemWatcher{st}, nil
}

// watch starts a watch whose objects are of type T.
func watch[T Object](ctx context.Context, s *Store, k kinds.Kind, o WatchOptions) (*WatcherOf[T], error) {
	st, err := startStream(ctx, s, k, o, func(kind EventType, e *entry) (EventOf[T], error) {
		obj, ok := e.object().(T)
		if !ok {
			return EventOf[T]{}, apierror.Internal(errors.New("a watch met an object of another type"))
		}
		return EventOf[T]{Type: kind, Object: obj, entry: e, of: obj}, nil
	})
	if err != nil {
		return nil, err
	}
	return &WatcherOf[T]{st}, nil
}

// startStream starts a watch that tells what event makes of a state.
func startStream[E any](ctx context.Context, s *Store, k kinds.Kind, o WatchOptions, event func(EventType, *entry) (E, error)) (*stream[E], error) {
	r, err := s.newWatchRun(ctx, k, o)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	w := &stream[E]{events: make(chan E, watchBuffer), done: make(chan struct{}), cancel: func() { cancel(nil) }}
	r.emit = func(kind EventType, e *entry) error {
		ev, err := event(kind, e)
		if err != nil {
			return err
		}
		return deliver(ctx, w.events, ev, r)
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
		close(w.done)
		close(w.events)
	})
	if !started {
		cancel(nil)
		return nil, errStopped()
	}
	return w, nil
}

// deliver hands an event to the reader, unless r falls behind the changelog while the reader takes none.
func deliver[E any](ctx context.Context, events chan<- E, ev E, r *watchRun) error {
	select {
	case events <- ev:
		return nil
	default:
	}
	lost, release := r.cache.hold(r.next)
	defer release()
	select {
	case events <- ev:
		return nil
	case <-lost:
		return errFellBehind
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stopReason is why ctx ended, if it is the store that ended it.
func stopReason(ctx context.Context) error {
	if e, ok := errors.AsType[*apierror.Error](context.Cause(ctx)); ok {
		return e
	}
	return nil
}
