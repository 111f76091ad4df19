// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"slices"
	"time"
)

// snapshot is the objects of a kind at a revision. Nobody changes it.
type snapshot struct{ tree *objectTree }

// scan passes the objects whose paths begin with prefix and come after a path to fn, in order, until it returns false.
func (s snapshot) scan(prefix, after string, fn func(*entry) bool) {
	s.tree.AscendGreaterOrEqual(&entry{path: max(prefix, after)}, func(e *entry) bool {
		if after != "" && e.path == after {
			return true
		}
		if len(e.path) < len(prefix) || e.path[:len(prefix)] != prefix {
			return false
		}
		return fn(e)
	})
}

// snapshot returns the objects there are, and the revision they are of. The last result is false when they are not what etcd
// has: before the cache is filled, after a gap, and when something in etcd cannot be read.
func (c *Cache) snapshot() (snapshot, int64, bool) {
	c.mu.RLock()
	tree, revision, whole := c.frozen, c.revision(), c.whole()
	c.mu.RUnlock()
	if tree != nil {
		return snapshot{tree}, revision, whole
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return snapshot{c.freeze()}, c.revision(), c.whole()
}

// whole tells whether the cache has all that etcd has. c.mu must be held.
func (c *Cache) whole() bool { return c.filled && len(c.unreadable) == 0 }

// freeze returns a copy of the objects that nobody changes. c.mu must be held for writing.
func (c *Cache) freeze() *objectTree {
	if c.frozen == nil {
		c.frozen = c.objects.Clone()
	}
	return c.frozen
}

// snapshotForWatch returns the objects there are, their revision, and the place in the changelog that follows them.
func (c *Cache) snapshotForWatch() (snapshot, int64, cursor) {
	c.mu.Lock()
	defer c.mu.Unlock()
	revision := c.revision()
	return snapshot{c.freeze()}, revision, cursor{next: c.changelog.end(), after: revision}
}

// snapshotAt returns the objects of a revision, if the cache still has them.
func (c *Cache) snapshotAt(revision int64) (snapshot, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.whole() {
		return snapshot{}, false
	}
	if c.applied <= revision && revision <= c.revision() {
		return snapshot{c.freeze()}, true
	}
	tree := c.past.at(revision, c.store.opts.Now())
	return snapshot{tree}, tree != nil
}

// keep remembers what a list in pages has begun with, so that its other pages are of the same revision.
func (c *Cache) keep(s snapshot, revision int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.past.add(pastTree{revision: revision, tree: s.tree, used: c.store.opts.Now()})
}

const (
	// maxPastTrees is how many revisions a cache remembers for lists in pages. Those that are forgotten are read from etcd.
	maxPastTrees = 8
	// pastTreeLife is how long a list in pages may rest before the revision is forgotten.
	pastTreeLife = time.Minute
)

type pastTree struct {
	revision int64
	tree     *objectTree
	used     time.Time
}

// pastTrees are former revisions, the most recently used last.
type pastTrees []pastTree

// at returns the tree of a revision; nil if it is forgotten.
func (p *pastTrees) at(revision int64, now time.Time) *objectTree {
	for _, t := range *p {
		if t.revision == revision {
			t.used = now
			p.add(t)
			return t.tree
		}
	}
	return nil
}

// add remembers a tree as the one used last.
func (p *pastTrees) add(t pastTree) {
	*p = append(slices.DeleteFunc(*p, func(other pastTree) bool { return other.revision == t.revision }), t)
	if len(*p) > maxPastTrees {
		*p = slices.Delete(*p, 0, 1)
	}
}

// expire forgets what was not used for some time. Trees cost next to nothing until their objects change.
func (p *pastTrees) expire(now time.Time) {
	for len(*p) > 0 && now.Sub((*p)[0].used) > pastTreeLife {
		*p = slices.Delete(*p, 0, 1)
	}
}
