// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	mvccpb "go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// catchUp tells of the changes after r.from that the cache's changelog does not have, by a watch of etcd of its own, and
// returns the place in the changelog from where to go on. Watchers that come back to a process that has just started need it.
func (r *watchRun) catchUp(ctx context.Context) (cursor, error) {
	ctx, cancel := context.WithCancel(ownStream(ctx))
	defer cancel()
	r.next = r.cache.end()
	start := r.from + 1
	if r.again {
		start = r.from
	}
	watch := r.store.client.Watch(ctx, r.store.keys.kind(r.cache.kind),
		clientv3.WithPrefix(), clientv3.WithRev(start), clientv3.WithPrevKV(), clientv3.WithCreatedNotify())
	ticker := time.NewTicker(askInterval)
	defer ticker.Stop()
	created := false
	for {
		select {
		case resp, ok := <-watch:
			if !ok {
				return cursor{}, r.store.etcdError(ctx, errors.Join(errors.New("etcd ended the watch"), ctx.Err()))
			}
			reached, err := r.tellDirect(ctx, resp)
			if err != nil {
				return cursor{}, err
			}
			if at, ok := r.cache.after(reached, false); ok {
				return at, nil
			}
			if created {
				continue
			}
			created = true
		case <-ticker.C:
		}
		if created {
			if err := r.store.client.RequestProgress(ctx); err != nil {
				return cursor{}, r.store.etcdError(ctx, err)
			}
		}
	}
}

// tellDirect tells of what etcd's own watch has, and returns the revision up to which everything is told; 0 if that is not
// known.
func (r *watchRun) tellDirect(ctx context.Context, resp clientv3.WatchResponse) (int64, error) {
	if err := resp.Err(); err != nil {
		if errors.Is(err, rpctypes.ErrCompacted) {
			return 0, expired(err)
		}
		return 0, r.store.etcdError(ctx, err)
	}
	if resp.IsProgressNotify() {
		r.beyond(nil)
		return resp.Header.Revision, nil
	}
	if len(resp.Events) == 0 {
		return 0, nil
	}
	for _, ev := range r.beyond(resp.Events) {
		ch, err := r.changeOf(ev)
		if err != nil {
			return 0, err
		}
		if err := r.tell(ch); err != nil {
			return 0, err
		}
	}
	return resp.Events[len(resp.Events)-1].Kv.ModRevision, nil
}

// beyond leaves out of the first events the one that the watcher knows: that of the revision it comes from, unless that
// revision holds several.
func (r *watchRun) beyond(events []*clientv3.Event) []*clientv3.Event {
	if !r.again {
		return events
	}
	r.again = false
	same := 0
	for same < len(events) && events[same].Kv.ModRevision == r.from {
		same++
	}
	if same > 1 {
		return events
	}
	r.cache.foundSingle(r.from)
	return events[same:]
}

// changeOf decodes an event of etcd, which must have the state before.
func (r *watchRun) changeOf(ev *clientv3.Event) (*change, error) {
	ch := &change{revision: ev.Kv.ModRevision}
	var err error
	if ev.Type != clientv3.EventTypeDelete {
		if ch.object, err = r.entry(ev.Kv); err != nil {
			return nil, err
		}
	}
	if ev.IsCreate() {
		return ch, nil
	}
	if ev.PrevKv == nil {
		return nil, expired(fmt.Errorf("etcd no longer has the state of %s before revision %d", ev.Kv.Key, ch.revision))
	}
	ch.previous, err = r.entry(ev.PrevKv)
	return ch, err
}

func (r *watchRun) entry(kv *mvccpb.KeyValue) (*entry, error) {
	path := string(kv.Key)
	got, err := r.store.decodeStored(r.cache.kind, path, kv.Value, kv.ModRevision)
	if err != nil {
		return nil, err
	}
	return r.cache.form.entry(strings.TrimPrefix(path, r.cache.prefix), got), nil
}
