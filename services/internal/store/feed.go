// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/metadata"

	"fairlead.dev/services/internal/apierror"
)

// How long a cache waits after a failure: twice as long each time, up to the most.
const (
	feedBackoff    = 100 * time.Millisecond
	feedBackoffMax = 10 * time.Second
)

// askInterval is the time between questions to etcd how far a watch is, while someone waits for the answer. etcd does not
// answer while the watch lags behind, so that one question may not be enough.
const askInterval = 50 * time.Millisecond

// errGap tells that etcd had compacted what the cache had not seen yet, and that the cache has listed again.
var errGap = errors.New("etcd compacted changes that the cache had not seen")

// feed keeps the cache up to date until ctx ends.
func (c *Cache) feed(ctx context.Context) {
	log := c.store.log.With("resource", ResourceOf(c.kind).String())
	backoff := feedBackoff
	for {
		before, _ := c.position()
		err := c.follow(ctx)
		switch after, _ := c.position(); {
		case ctx.Err() != nil:
			return
		case errors.Is(err, errGap):
			log.Warn("a cache listed again, and its watchers have to", "reason", err)
			continue
		case after > before:
			backoff = feedBackoff
		}
		log.Warn("the watch of etcd broke; it is taken up again", "error", err, "cause", errors.Unwrap(err), "after", backoff)
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

// follow fills the cache, if that is needed, and applies what etcd tells until its watch ends.
func (c *Cache) follow(ctx context.Context) error {
	revision, _ := c.position()
	if revision == 0 {
		if err := c.relist(ctx); err != nil {
			return err
		}
		revision, _ = c.position()
	}
	ctx, cancel := context.WithCancel(ownStream(ctx))
	defer cancel()
	watch := c.store.client.Watch(ctx, c.store.keys.kind(c.kind),
		clientv3.WithPrefix(), clientv3.WithRev(revision+1), clientv3.WithProgressNotify(), clientv3.WithCreatedNotify())
	ticker := time.NewTicker(askInterval)
	defer ticker.Stop()
	created, asked := false, false
	for {
		var repeat <-chan time.Time
		if c.waiters.Load() > 0 {
			repeat = ticker.C
		}
		select {
		case resp, ok := <-watch:
			if !ok {
				return errors.New("etcd ended the watch")
			}
			if err := c.receive(ctx, resp); err != nil {
				return err
			}
			created = true
			if !asked {
				continue
			}
		case <-c.ask:
		case <-repeat:
		}
		// Asked before the watch exists, etcd may answer for others on the stream, in a way that looks like this watch's.
		if asked = !created; created {
			if err := c.store.client.RequestProgress(ctx); err != nil {
				return c.store.etcdError(ctx, err)
			}
		}
	}
}

// receive takes over an answer of the watch.
func (c *Cache) receive(ctx context.Context, resp clientv3.WatchResponse) error {
	err := resp.Err()
	switch {
	case errors.Is(err, rpctypes.ErrCompacted):
		if err := c.relist(ctx); err != nil {
			return err
		}
		return errGap
	case err != nil:
		return c.store.etcdError(ctx, err)
	case resp.IsProgressNotify():
		c.mu.Lock()
		c.advance(resp.Header.Revision)
		c.mu.Unlock()
	default:
		c.apply(resp.Events)
	}
	return nil
}

// ownStream returns a context whose watches share no gRPC stream with others. etcd tells the progress of a whole stream, and
// may tell it to a watch that has just come and has not seen what it missed.
func ownStream(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "fairlead-watch", uuid.NewString())
}

// relist reads all objects. Subscribers are told of the differences; watchers have missed something, and end.
func (c *Cache) relist(ctx context.Context) error {
	c.store.metrics.relists.WithLabelValues(ResourceOf(c.kind).String()).Inc()
	l, err := c.store.newListing(c.kind, ListOptions{})
	if err != nil {
		return err
	}
	found := map[Key]Object{}
	for {
		resp, err := c.store.listChunk(ctx, l, 0)
		if err != nil {
			return err
		}
		for _, kv := range resp.Kvs {
			if key, got, ok := c.read(string(kv.Key), kv.Value, kv.ModRevision); ok {
				found[key] = got
			}
		}
		if !resp.More {
			break
		}
		l.start = string(resp.Kvs[len(resp.Kvs)-1].Key) + "\x00"
	}
	c.replace(found, l.revision)
	return nil
}

// read decodes what etcd has under a key. What cannot be read is logged and left out.
func (c *Cache) read(path string, value []byte, revision int64) (Key, Object, bool) {
	key, err := c.store.keys.parse(c.kind, path)
	if err != nil {
		c.store.log.Error("a key in etcd is not understood; it is left out", "error", err)
		return Key{}, nil, false
	}
	got, err := c.store.decodeStored(c.kind, path, value, revision)
	if err != nil {
		return key, nil, false
	}
	return key, got.object, true
}

// replace takes found, of one revision, for what is.
func (c *Cache) replace(found map[Key]Object, revision int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	first := c.revision == 0
	for _, objects := range c.objects {
		for _, obj := range objects {
			if key := KeyOf(obj); found[key] == nil {
				c.set(key, nil)
				gone := clone(obj)
				setResourceVersion(gone, revision)
				c.publish(Event{Type: Deleted, Object: gone})
			}
		}
	}
	for key, obj := range found {
		was := c.set(key, obj)
		switch {
		case was == nil:
			c.publish(Event{Type: Added, Object: obj})
		case was.GetMetadata().GetResourceVersion() != obj.GetMetadata().GetResourceVersion():
			c.publish(Event{Type: Modified, Object: obj})
		}
	}
	c.history.reset(revision)
	c.advance(revision)
	if first {
		close(c.synced)
	}
}

// apply takes over the changes of one or more whole revisions.
func (c *Cache) apply(events []*clientv3.Event) {
	if len(events) == 0 {
		return
	}
	changes := make([]change, 0, len(events))
	keys := make([]Key, 0, len(events))
	for _, ev := range events {
		if ev.Type == clientv3.EventTypeDelete {
			key, err := c.store.keys.parse(c.kind, string(ev.Kv.Key))
			if err != nil {
				continue
			}
			keys, changes = append(keys, key), append(changes, change{revision: ev.Kv.ModRevision})
			continue
		}
		if key, obj, ok := c.read(string(ev.Kv.Key), ev.Kv.Value, ev.Kv.ModRevision); ok {
			keys = append(keys, key)
			changes = append(changes, change{revision: ev.Kv.ModRevision, object: obj, size: len(ev.Kv.Value)})
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.revision
	for i, ch := range changes {
		if ch.revision <= known {
			continue
		}
		ch.previous = c.set(keys[i], ch.object)
		if ch.object == nil && ch.previous == nil {
			continue
		}
		c.record(ch)
	}
	c.advance(events[len(events)-1].Kv.ModRevision)
}

// record adds a change to the history and tells the subscribers. c.mu must be held.
func (c *Cache) record(ch change) {
	ev := Event{Type: Modified, Object: ch.object}
	switch {
	case ch.object == nil:
		ch.tombstone = clone(ch.previous)
		setResourceVersion(ch.tombstone, ch.revision)
		ch.size = changeOverhead
		ev = Event{Type: Deleted, Object: ch.tombstone}
	case ch.previous == nil:
		ev.Type = Added
	}
	ch.size += changeOverhead
	c.history.add(ch)
	c.publish(ev)
}

// changeOverhead is about what a change holds besides its object.
const changeOverhead = 512

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
