// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import "sync"

const (
	// keptDecoded is how many decoded objects a store keeps for those who ask again: some 50 MB, if they are typical.
	keptDecoded = 8192
	// keptDecodedBytes bounds them by the size of their encodings, for objects that are not.
	keptDecodedBytes = 64 << 20
)

// decoded is an object that several readers share.
type decoded struct {
	object Object
	// size is that of the encoding, and at the place among those that are kept: recent's, under its lock.
	size int
	at   uint64
}

// recent keeps the objects that were decoded last.
type recent struct {
	mu sync.Mutex
	// slots is a ring: of the places from oldest up to next, those that were not dropped hold an object.
	slots        [keptDecoded]*decoded
	oldest, next uint64
	bytes        int
}

// keep adds an object, in place of the oldest ones where there is no room.
func (r *recent) keep(d *decoded) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.oldest < r.next && (r.next-r.oldest == keptDecoded || r.bytes+d.size > keptDecodedBytes) {
		r.free(r.oldest)
		r.oldest++
	}
	d.at = r.next
	r.slots[r.next%keptDecoded] = d
	r.next++
	r.bytes += d.size
}

// drop lets an object go, if it is kept.
func (r *recent) drop(d *decoded) {
	if r == nil || d == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.slots[d.at%keptDecoded] == d {
		r.free(d.at)
	}
}

// free empties a place. r.mu must be held.
func (r *recent) free(at uint64) {
	slot := &r.slots[at%keptDecoded]
	if *slot != nil {
		r.bytes -= (*slot).size
		*slot = nil
	}
}
