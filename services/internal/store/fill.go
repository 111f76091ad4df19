// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"runtime"
	"strings"
	"sync"
	"time"

	mvccpb "go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"fairlead.dev/services/internal/apierror"
)

const (
	// maxFills is how many caches are filled at once.
	maxFills = 4
	// fillBytes is about how much is read from etcd at once to fill a cache.
	fillBytes = 4 << 20
	// maxFillChunk bounds it in objects.
	maxFillChunk = 10_000
)

// startFill lists a cache's objects in the background, and applies what the feed has passed on since. f.mu must be held.
func (f *feed) startFill(ctx context.Context, c *Cache) {
	c.suspend()
	c.fill++
	c.waiting = []*clientv3.Event{}
	fill := c.fill
	f.wg.Go(func() {
		select {
		case f.fills <- struct{}{}:
			defer func() { <-f.fills }()
		case <-ctx.Done():
			return
		}
		f.runFill(ctx, c, fill)
	})
}

// runFill tries until the cache is filled, or is to be filled anew.
func (f *feed) runFill(ctx context.Context, c *Cache, fill int) {
	backoff := feedBackoff
	for {
		l := &lister{cache: c}
		err := l.run(ctx)
		if err == nil {
			f.finishFill(c, fill, l)
			return
		}
		f.mu.Lock()
		current := c.fill == fill
		f.mu.Unlock()
		if !current || ctx.Err() != nil {
			return
		}
		f.store.log.Warn("a cache could not be filled; it is tried again", "resource", ResourceOf(c.kind).String(), "error", err, "after", backoff)
		timer := time.NewTimer(backoff)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		backoff = min(2*backoff, feedBackoffMax)
	}
}

// finishFill hands a cache what was found, and from now on what the feed passes on.
func (f *feed) finishFill(c *Cache, fill int, l *lister) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c.fill != fill {
		return
	}
	c.replace(l.entries(), l.unreadable, l.revision, c.waiting)
	c.waiting = nil
	f.position.set(f.position.revision()) // wakes who waits for the cache
	select {
	case <-c.synced:
	default:
		close(c.synced)
	}
}

// lister reads all objects of a cache from etcd, at one revision. While a part is decoded, the next is read.
type lister struct {
	cache    *Cache
	revision int64

	mu         sync.Mutex
	parts      [][]*entry
	unreadable map[string]struct{}
}

func (l *lister) entries() []*entry {
	n := 0
	for _, p := range l.parts {
		n += len(p)
	}
	all := make([]*entry, 0, n)
	for _, p := range l.parts {
		all = append(all, p...)
	}
	return all
}

func (l *lister) run(ctx context.Context) error {
	c, s := l.cache, l.cache.store
	s.metrics.relists.WithLabelValues(ResourceOf(c.kind).String()).Inc()
	l.parts, l.unreadable, l.revision = nil, map[string]struct{}{}, 0
	var decoding sync.WaitGroup
	defer decoding.Wait()
	turns := make(chan struct{}, runtime.GOMAXPROCS(0))
	start, end := c.prefix, clientv3.GetPrefixRangeEnd(c.prefix)
	for size := int64(listChunk); ; {
		resp, err := s.readRange(ctx, start, end, l.revision, size)
		if err != nil {
			return err
		}
		if l.revision == 0 {
			l.revision = resp.Header.Revision
		}
		part := len(l.parts)
		l.mu.Lock()
		l.parts = append(l.parts, nil)
		l.mu.Unlock()
		turns <- struct{}{}
		decoding.Go(func() {
			defer func() { <-turns }()
			l.decode(part, resp.Kvs)
		})
		if !resp.More {
			return nil
		}
		start = string(resp.Kvs[len(resp.Kvs)-1].Key) + "\x00"
		size = nextChunk(resp.Kvs)
	}
}

// nextChunk is how many objects to read next, if they are as large as these.
func nextChunk(kvs []*mvccpb.KeyValue) int64 {
	bytes := 1
	for _, kv := range kvs {
		bytes += len(kv.Key) + len(kv.Value)
	}
	return int64(min(max(fillBytes*len(kvs)/bytes, 1), maxFillChunk))
}

// decode makes the entries of a part. The objects themselves are let go: who needs one decodes it again.
func (l *lister) decode(part int, kvs []*mvccpb.KeyValue) {
	c := l.cache
	out := make([]*entry, 0, len(kvs))
	unreadable := map[string]struct{}{}
	for _, kv := range kvs {
		path := string(kv.Key)
		if _, err := c.store.keys.parse(c.kind, path); err != nil {
			c.store.log.Error("a key in etcd is not understood; it is left out", "error", err)
			continue
		}
		got, err := c.store.decodeStored(c.kind, path, kv.Value, kv.ModRevision)
		if err != nil {
			unreadable[strings.TrimPrefix(path, c.prefix)] = struct{}{}
			continue
		}
		out = append(out, c.form.entry(strings.TrimPrefix(path, c.prefix), got))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.parts[part] = out
	for path := range unreadable {
		l.unreadable[path] = struct{}{}
	}
}

// waitSyncedLimited waits for the cache as long as a call may take.
func (c *Cache) waitSyncedLimited(ctx context.Context) error {
	call, cancel := c.store.limit(ctx)
	defer cancel()
	err := c.WaitSynced(call)
	if err != nil && ctx.Err() == nil && call.Err() != nil {
		return apierror.Unavailable(retryAfter, "the watch cache of %s is not filled after %s; check that etcd (%s) answers",
			ResourceOf(c.kind), c.store.opts.RequestTimeout, c.store.endpoints())
	}
	return err
}
