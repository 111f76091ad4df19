// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"strings"
)

// pageSource is the objects of a revision in memory.
type pageSource struct {
	snapshot

	cache    *Cache
	revision int64
}

// listSource returns what answers a list from memory, and false when etcd has to.
func (s *Store) listSource(ctx context.Context, l *listing, o ListOptions) (pageSource, bool, error) {
	k := l.form.kind
	if l.revision > 0 {
		c := s.caches.fed(k)
		if c == nil {
			return pageSource{}, false, nil
		}
		snap, ok := c.snapshotAt(l.revision)
		if !ok {
			s.fellBack(k, forgotten)
		}
		return pageSource{snap, c, l.revision}, ok, nil
	}
	c, err := s.upToDate(ctx, k, o.ResourceVersion, l.least)
	if err != nil || c == nil {
		return pageSource{}, false, err
	}
	snap, revision, ok := c.snapshot()
	if !ok {
		s.fellBack(k, unreadable)
	}
	return pageSource{snap, c, revision}, ok, nil
}

// page reads a page, and sees to it that the next can be of the same revision.
func (s pageSource) page(l *listing) page {
	p := page{revision: s.revision}
	if l.single != "" {
		if e, ok := s.tree.Get(&entry{path: l.single}); ok && l.single > l.after && l.filter.matches(e) {
			p.items = append(p.items, e)
		}
		return p
	}
	within := strings.TrimPrefix(l.prefix, s.cache.prefix)
	left := int64(0)
	s.scan(within, l.after, func(e *entry) bool {
		full := l.full(p)
		switch {
		case full && !l.filter.selective():
			left++
		case !l.filter.matches(e):
		case full:
			left++
			return false
		default:
			p.items = append(p.items, e)
		}
		return true
	})
	if left == 0 {
		return p
	}
	last := strings.TrimPrefix(p.items[len(p.items)-1].path, within)
	p.token = continuation{s.revision, last}.token(l.prefix, l.filter)
	if !l.filter.selective() {
		p.remaining = &left
	}
	s.cache.keep(s.snapshot, s.revision)
	return p
}
