// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"sort"
	"sync"
)

// change is one write, as the cache remembers it.
type change struct {
	revision int64
	// previous is the state before; nil for a creation.
	previous *entry
	// object is the state after; nil for a deletion.
	object *entry
	// joint tells that its revision holds other changes of the kind, too.
	joint bool
	// size is about how much memory the change holds.
	size int

	once sync.Once
	last *entry
}

// gone is the state before at the version of the change: how those are told of the change to whom it is a deletion. All of
// them share it.
func (c *change) gone() *entry {
	c.once.Do(func() { c.last = c.previous.at(c.revision) })
	return c.last
}

// changelog is the newest changes of a kind, oldest first. Each has a sequence number.
type changelog struct {
	// base is the revision after which no change is missing. single tells that base itself holds no more than one.
	base    int64
	single  bool
	changes []*change
	// first is the sequence number of changes[0].
	first    int64
	bytes    int
	maxCount int
	maxBytes int
}

// cursor is a reader's place in a changelog.
type cursor struct {
	next int64
	// after is a revision up to which the reader knows everything already, but for what again says.
	after int64
	// again tells that the reader may know only a part of the revision after, where that holds several changes.
	again bool
}

// wants tells whether a reader at c has to be told of a change.
func (c cursor) wants(ch *change) bool {
	return ch.revision > c.after || c.again && ch.revision == c.after && ch.joint
}

// reset forgets all changes: what comes next follows revision. Readers of what was before are behind.
func (l *changelog) reset(revision int64) {
	l.first += int64(len(l.changes)) + 1
	l.changes, l.bytes, l.base, l.single = nil, 0, revision, false
}

// add appends a change, and forgets the oldest where that takes too much room.
func (l *changelog) add(c *change) {
	l.changes = append(l.changes, c)
	l.bytes += c.size
	for len(l.changes) > l.maxCount || (l.bytes > l.maxBytes && len(l.changes) > 1) {
		l.base, l.single = l.changes[0].revision, !l.changes[0].joint
		l.bytes -= l.changes[0].size
		l.changes[0] = nil
		l.changes = l.changes[1:]
		l.first++
	}
}

// after returns the place of the first change after revision, and false when the changelog does not reach back so far. again
// asks for those of the revision itself, too, where it holds several.
func (l *changelog) after(revision int64, again bool) (cursor, bool) {
	if revision < l.base || again && revision == l.base && !l.single {
		return cursor{}, false
	}
	c := cursor{after: revision, again: again}
	i := sort.Search(len(l.changes), func(i int) bool {
		return l.changes[i].revision > revision || again && l.changes[i].revision == revision
	})
	c.next = l.first + int64(i)
	return c, true
}

// foundSingle notes that a revision holds no more than one change.
func (l *changelog) foundSingle(revision int64) {
	if revision == l.base {
		l.single = true
	}
}

// read adds the changes at c to out, as far as there is room for them, and returns where to go on. The result is false when
// they are forgotten.
func (l *changelog) read(c cursor, out []*change) ([]*change, cursor, bool) {
	if c.next < l.first {
		return nil, c, false
	}
	rest := l.changes[c.next-l.first:]
	rest = rest[:min(cap(out)-len(out), len(rest))]
	for _, ch := range rest {
		if c.wants(ch) {
			out = append(out, ch)
		}
	}
	c.next += int64(len(rest))
	return out, c, true
}

// end is the place after all changes.
func (l *changelog) end() int64 { return l.first + int64(len(l.changes)) }
