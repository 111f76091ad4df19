// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// read decodes what etcd has under a key. What cannot be read is logged; reads of it go to etcd, and say so.
func (c *Cache) read(path string, value []byte, revision int64) (*entry, bool) {
	if _, err := c.store.keys.parse(c.kind, path); err != nil {
		c.store.log.Error("a key in etcd is not understood; it is left out", "error", err)
		return nil, false
	}
	got, err := c.store.decodeStored(c.kind, path, value, revision)
	if err != nil {
		return nil, true
	}
	e := c.form.entry(strings.TrimPrefix(path, c.prefix), got)
	e.share(got.object)
	return e, true
}

// update is an event, decoded.
type update struct {
	path string
	to   *entry
	// unreadable says that there is an object, but not which.
	unreadable bool
	revision   int64
}

// updates decodes events. What is not understood is left out.
func (c *Cache) updates(events []*clientv3.Event) []update {
	updates := make([]update, 0, len(events))
	for _, ev := range events {
		u := update{path: strings.TrimPrefix(string(ev.Kv.Key), c.prefix), revision: ev.Kv.ModRevision}
		if ev.Type != clientv3.EventTypeDelete {
			e, ok := c.read(string(ev.Kv.Key), ev.Kv.Value, ev.Kv.ModRevision)
			if !ok {
				continue
			}
			u.to, u.unreadable = e, e == nil
		}
		updates = append(updates, u)
	}
	return updates
}

// apply takes over the changes of one or more whole revisions.
func (c *Cache) apply(events []*clientv3.Event) {
	if len(events) == 0 {
		return
	}
	updates := c.updates(events)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.update(updates, events[len(events)-1].Kv.ModRevision)
}

// update takes over decoded changes, the last of which is of a revision. c.mu must be held.
func (c *Cache) update(updates []update, last int64) {
	recorded := false
	for i, u := range updates {
		switch {
		case u.revision <= c.applied:
			continue // it was in what filled the cache
		case u.unreadable:
			c.unreadable[u.path] = struct{}{}
			continue
		}
		delete(c.unreadable, u.path)
		joint := i > 0 && updates[i-1].revision == u.revision || i+1 < len(updates) && updates[i+1].revision == u.revision
		if ch := (&change{revision: u.revision, joint: joint, object: u.to, previous: c.set(u.path, u.to)}); ch.object != nil || ch.previous != nil {
			c.record(ch)
			recorded = true
		}
	}
	c.applied = max(c.applied, last)
	if recorded {
		c.wakeWatchers()
		c.past.expire(c.store.opts.Now())
		c.size.Set(float64(c.objects.Len()))
	}
}

// set puts an entry in place, or removes what is there when it is nil, and returns what was there. c.mu must be held.
func (c *Cache) set(path string, e *entry) *entry {
	c.frozen = nil
	if e == nil {
		was, _ := c.objects.Delete(&entry{path: path})
		if was != nil {
			was.retire()
		}
		return was
	}
	was, replaced := c.objects.ReplaceOrInsert(e)
	if replaced {
		was.retire()
	}
	return was
}

// record adds a change to the changelog and tells the subscribers. c.mu must be held.
func (c *Cache) record(ch *change) {
	ch.size = changeOverhead
	switch {
	case ch.object == nil:
		c.publish(Deleted, ch.gone())
	case ch.previous == nil:
		c.publish(Added, ch.object)
	default:
		c.publish(Modified, ch.object)
	}
	if ch.object != nil {
		ch.size += ch.object.size()
	}
	c.changelog.add(ch)
}

// changeOverhead is about what a change holds besides its object.
const changeOverhead = 256

// wakeWatchers has the watchers look for changes, and ends those that have missed some. c.mu must be held.
func (c *Cache) wakeWatchers() {
	close(c.changed)
	c.changed = make(chan struct{})
	for w := range c.stuck {
		if w.next < c.changelog.first {
			close(w.lost)
			delete(c.stuck, w)
		}
	}
}

// suspend notes that the cache misses what comes, until it is filled again. It stays what it is now.
func (c *Cache) suspend() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.applied, c.filled = c.revision(), false
}

// replace takes what a list of one revision has found, in order, for what is. Subscribers are told of the differences;
// watchers have missed something, and end. events are those that came since the list was begun: nobody sees the list without
// them, since the feed is past them.
func (c *Cache) replace(found []*entry, unreadable map[string]struct{}, revision int64, events []*clientv3.Event) {
	updates := c.updates(events)
	tree := newTree()
	for _, e := range found {
		tree.ReplaceOrInsert(e)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	was := c.objects
	c.objects, c.frozen, c.past, c.unreadable = tree, nil, nil, unreadable
	was.Ascend(func(e *entry) bool {
		e.retire()
		if _, broken := unreadable[e.path]; !tree.Has(e) && !broken {
			c.publish(Deleted, e.at(revision))
		}
		return true
	})
	for _, e := range found {
		before, known := was.Get(e)
		switch {
		case !known:
			c.publish(Added, e)
		case before.revision != e.revision:
			c.publish(Modified, e)
		}
	}
	c.changelog.reset(revision)
	c.applied = revision
	c.wakeWatchers()
	if len(events) > 0 {
		c.update(updates, events[len(events)-1].Kv.ModRevision)
	}
	c.filled = true
	c.size.Set(float64(tree.Len()))
}
