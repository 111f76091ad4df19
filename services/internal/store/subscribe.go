// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import "sync"

// subscription hands events to a callback, one by one and in order, without holding up the cache.
type subscription struct {
	fn   func(Event)
	wake chan struct{}
	done chan struct{}
	once sync.Once

	mu      sync.Mutex
	pending []told
}

// told is an event before its object is decoded.
type told struct {
	kind  EventType
	entry *entry
}

// Subscribe calls fn for every object that exists, as ADDED, and then for every change, in order and one at a time, until
// the function that it returns is called or the store stops. fn may take its time and may read the cache. After a gap in the
// watch of etcd, fn is told of the differences: it sees the newest state of all objects, not necessarily every state.
func (c *Cache) Subscribe(fn func(Event)) (unsubscribe func()) {
	sub := &subscription{fn: fn, wake: make(chan struct{}, 1), done: make(chan struct{})}
	c.mu.Lock()
	c.objects.Ascend(func(e *entry) bool {
		sub.pending = append(sub.pending, told{Added, e})
		return true
	})
	signal(sub.wake)
	c.subs[sub] = struct{}{}
	c.mu.Unlock()
	c.store.caches.spawn(func() { sub.run(c.store.caches.ctx.Done()) })
	return func() {
		sub.once.Do(func() {
			c.mu.Lock()
			delete(c.subs, sub)
			c.mu.Unlock()
			close(sub.done)
		})
	}
}

// publish hands an event to the subscribers. c.mu must be held, so that all of them see one order.
func (c *Cache) publish(kind EventType, e *entry) {
	for sub := range c.subs {
		sub.push(told{kind, e})
	}
}

func (s *subscription) push(ev told) {
	s.mu.Lock()
	s.pending = append(s.pending, ev)
	s.mu.Unlock()
	signal(s.wake)
}

func (s *subscription) take() []told {
	s.mu.Lock()
	defer s.mu.Unlock()
	events := s.pending
	s.pending = nil
	return events
}

func (s *subscription) run(stopped <-chan struct{}) {
	for {
		select {
		case <-s.wake:
		case <-s.done:
			return
		case <-stopped:
			return
		}
		for _, ev := range s.take() {
			select {
			case <-s.done:
				return
			case <-stopped:
				return
			default:
				obj := ev.entry.object()
				s.fn(Event{Type: ev.kind, Object: obj, entry: ev.entry, of: obj})
			}
		}
	}
}
