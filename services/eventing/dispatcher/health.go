// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatcher

import (
	"sync"
	"time"
)

// overdue is how long after its time an event may come again before it counts as gone: aged out, or delivered by another
// dispatcher.
const overdue = time.Minute

// health is what a worker knows about its subscriber, for the reports. Its error stays while any event waits for another
// try, so that good and bad events side by side do not make it flicker.
type health struct {
	mu      sync.Mutex
	waiting map[uint64]try // events that wait for another try
	inHand  map[uint64]struct{}
	had     uint64 // the newest event that was handed out
	reason  string
	unread  uint64
}

// try is the next try of an event.
type try struct {
	due time.Time
	// lost is set once the subscriber's tries are used up, and only the dead letter sink is tried.
	lost *failure
}

// begin forgets the events before; the trigger has had all up to that one.
func (h *health) begin(had uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.had = had
	clear(h.waiting)
	clear(h.inHand)
}

// took notes that an event was handed out.
func (h *health) took(sequence uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.inHand == nil {
		h.inHand = map[uint64]struct{}{}
	}
	h.inHand[sequence] = struct{}{}
	h.had = max(h.had, sequence)
}

// next is the first event that the trigger may not be done with.
func (h *health) next() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	first := h.had + 1
	for seq := range h.inHand {
		first = min(first, seq)
	}
	for seq := range h.waiting {
		first = min(first, seq)
	}
	return first
}

// retrying notes that an event waits for another try. It tells whether the reason is news.
func (h *health) retrying(sequence uint64, next try, reason string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.waiting == nil {
		h.waiting = map[uint64]try{}
	}
	h.waiting[sequence] = next
	delete(h.inHand, sequence)
	return h.replace(reason)
}

// lost returns why the subscriber's tries for an event are used up, or nil.
func (h *health) lost(sequence uint64) *failure {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.waiting[sequence].lost
}

// forget drops the reason, for a subscriber that is another one now. It tells whether there was one.
func (h *health) forget() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.replace("")
}

// failed notes a failure. It tells whether its reason is news.
func (h *health) failed(reason string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.replace(reason)
}

func (h *health) replace(reason string) bool {
	news := h.reason != reason
	h.reason = reason
	return news
}

// settled notes that an event needs no more tries, because it was delivered or otherwise. It tells whether the last failure is over by that.
func (h *health) settled(sequence uint64, delivered bool) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.waiting, sequence)
	delete(h.inHand, sequence)
	now := time.Now()
	for seq, next := range h.waiting {
		if now.Sub(next.due) > overdue {
			delete(h.waiting, seq)
		}
	}
	if !delivered || len(h.waiting) > 0 || h.reason == "" {
		return false
	}
	h.reason = ""
	return true
}

// behind notes how many events have not been handed out yet.
func (h *health) behind(n uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.unread = n
}

// report returns why deliveries fail, if they do, and how many events wait.
func (h *health) report() (reason string, pending int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.reason, int64(h.unread) + int64(len(h.waiting))
}
