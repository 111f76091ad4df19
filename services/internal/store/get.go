// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"strings"
	"time"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
)

// cachePatience is how long a read waits for the cache before it goes to etcd itself.
const cachePatience = 300 * time.Millisecond

// Why a read goes to etcd.
const (
	notFilled  = "not filled"
	behind     = "behind"
	forgotten  = "revision forgotten"
	unreadable = "unreadable"
)

// Get returns the newest state of an object, in which is everything that was written before the call. The object is the
// caller's.
func (s *Store) Get(ctx context.Context, k kinds.Kind, key Key) (obj Object, err error) {
	defer s.metrics.observe(ctx, "get", k, &err)()
	e, err := s.get(ctx, k, key, "")
	if err != nil {
		return nil, err
	}
	return e.copy(), nil
}

// GetItem is Get for callers that only pass the object on. With a version, any state that is at least as new will do, and 0
// means any at all.
func (s *Store) GetItem(ctx context.Context, k kinds.Kind, key Key, version string) (item Item, err error) {
	defer s.metrics.observe(ctx, "get", k, &err)()
	e, err := s.get(ctx, k, key, version)
	return Item{e}, err
}

func (s *Store) get(ctx context.Context, k kinds.Kind, key Key, version string) (*entry, error) {
	full, err := s.keys.object(k, key)
	if err != nil {
		return nil, err
	}
	least, err := parseRevision(version)
	if err != nil {
		return nil, err
	}
	c, err := s.upToDate(ctx, k, version, least)
	if err != nil {
		return nil, err
	}
	path := strings.TrimPrefix(full, s.keys.kind(k))
	if c != nil {
		switch e, readable := c.find(path); {
		case !readable:
			s.fellBack(k, unreadable)
		case e == nil:
			return nil, apierror.NotFound(ResourceOf(k), key.Name)
		default:
			return e, nil
		}
	}
	got, err := s.read(ctx, k, key, full)
	if err != nil {
		return nil, err
	}
	f, err := newForm(k, s.recent)
	if err != nil {
		return nil, err
	}
	e := f.entry(path, got)
	e.share(got.object)
	return e, nil
}

// upToDate returns the kind's cache once it is as new as a read with a resourceVersion needs it; without one, it has
// whatever was written before the call. It returns nil when etcd itself has to answer: the cache is not filled, or does not
// get there soon.
func (s *Store) upToDate(ctx context.Context, k kinds.Kind, version string, least int64) (*Cache, error) {
	c := s.caches.fed(k)
	if c == nil {
		return nil, nil //nolint:nilnil // no cache is no fault
	}
	if !c.usable() {
		s.fellBack(k, notFilled)
		return nil, nil //nolint:nilnil // no cache is no fault
	}
	if version == "" || least > c.known() {
		newest, err := s.newestRevision(ctx)
		if err != nil {
			return nil, err
		}
		if least > newest {
			return nil, tooLarge()
		}
		least = max(least, newest)
	}
	if c.known() < least {
		if !c.store.caches.feed.stands.Load() { // nothing brings the cache there soon
			s.fellBack(k, behind)
			return nil, nil //nolint:nilnil // no cache is no fault
		}
		call, cancel := context.WithTimeout(ctx, cachePatience)
		defer cancel()
		err := c.waitRevision(call, least)
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return nil, apierror.From(ctx.Err())
		case call.Err() != nil:
			s.fellBack(k, behind)
			return nil, nil //nolint:nilnil // no cache is no fault
		default:
			return nil, err
		}
	}
	if !c.usable() { // a gap came between
		s.fellBack(k, notFilled)
		return nil, nil //nolint:nilnil // no cache is no fault
	}
	return c, nil
}

// newestRevision returns a revision that etcd had reached after the call, or later.
func (s *Store) newestRevision(ctx context.Context) (int64, error) {
	f := s.caches.feed
	at := f.position.revision()
	newest, err := s.caches.newest.revision(ctx)
	if err != nil {
		return 0, err
	}
	if newest < at {
		signal(f.lost)
		return 0, apierror.Unavailable(retryAfter, "etcd holds less than it did; its objects are read anew").
			Wrap(errors.New("etcd's revision went back"))
	}
	return newest, nil
}

// usable tells whether the cache is filled and misses nothing.
func (c *Cache) usable() bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.filled
}

func (s *Store) fellBack(k kinds.Kind, reason string) {
	s.metrics.fallbacks.WithLabelValues(ResourceOf(k).String(), reason).Inc()
}
