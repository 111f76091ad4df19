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
	pending []Event
}

// Subscribe calls fn for every object that exists, as ADDED, and then for every change, in order and one at a time, until
// the function that it returns is called or the store stops. fn may take its time and may read the cache. After a gap in the
// watch of etcd, fn is told of the differences: it sees the newest state of all objects, not necessarily every state.
func (c *Cache) Subscribe(fn func(Event)) (unsubscribe func()) {
	sub := &subscription{fn: fn, wake: make(chan struct{}, 1), done: make(chan struct{})}
	c.mu.Lock()
	objects := c.selected(everything())
	sortObjects(objects)
	for _, obj := range objects {
		sub.push(Event{Type: Added, Object: obj})
	}
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
func (c *Cache) publish(ev Event) {
	for sub := range c.subs {
		sub.push(ev)
	}
}

func (s *subscription) push(ev Event) {
	s.mu.Lock()
	s.pending = append(s.pending, ev)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *subscription) take() []Event {
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
				s.fn(ev)
			}
		}
	}
}
