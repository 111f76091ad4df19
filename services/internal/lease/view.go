// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// keyspace is where members and shards are in etcd.
type keyspace struct{ prefix string }

func (k keyspace) members() string         { return k.prefix + "/_members/" }
func (k keyspace) leases() string          { return k.prefix + "/_leases/" }
func (k keyspace) member(id string) string { return k.members() + id }
func (k keyspace) shard(group string, i int) string {
	return k.leases() + group + "/" + strconv.Itoa(i)
}

// all is the range that holds both shards and members, so that one watch sees them in one order.
func (k keyspace) all() (from, to string) {
	return k.leases(), clientv3.GetPrefixRangeEnd(k.members())
}

// holder is who holds a shard.
type holder struct {
	id      string
	lease   clientv3.LeaseID
	created int64 // the create revision of the shard's key
	seen    int64 // the revision that said so
}

func holderOf(kv *mvccpb.KeyValue) holder {
	return holder{id: string(kv.Value), lease: clientv3.LeaseID(kv.Lease), created: kv.CreateRevision, seen: kv.ModRevision}
}

// view is what etcd said of members and holders, up to a revision; of single shards it may be ahead.
type view struct {
	revision int64
	members  map[string]Peer
	holders  map[string]holder // by the shard's key
}

// renewed is a view as of a revision, to be filled: of what was known before, only what is newer is kept.
func (v *view) renewed(revision int64) view {
	next := view{revision: revision, members: map[string]Peer{}, holders: map[string]holder{}}
	for key, h := range v.holders {
		if h.seen > revision {
			next.holders[key] = h
		}
	}
	return next
}

// take notes a holder, unless something newer is known.
func (v *view) take(key string, h holder) {
	if h.seen > v.holders[key].seen {
		v.holders[key] = h
	}
}

// drop notes that a shard has no holder as of a revision, unless something newer is known.
func (v *view) drop(key string, revision int64) {
	if revision >= v.holders[key].seen {
		delete(v.holders, key)
	}
}

// watch keeps the view until ctx ends.
func (m *Member) watch(ctx context.Context) {
	for ctx.Err() == nil {
		if err := m.watchOnce(ctx); err != nil && ctx.Err() == nil {
			m.log.DebugContext(ctx, "members and shards are read anew", "error", err)
			pause(ctx)
		}
	}
}

func (m *Member) watchOnce(ctx context.Context) error {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	from, to := m.keys.all()
	call, done := context.WithTimeout(ctx, m.opts.TTL)
	list, err := m.client.Get(call, from, clientv3.WithRange(to))
	done()
	if err != nil {
		return fmt.Errorf("read members and shards: %w", err)
	}
	m.mu.Lock()
	m.view = m.view.renewed(list.Header.Revision)
	for _, kv := range list.Kvs {
		m.see(kv)
	}
	m.assignAll()
	m.mu.Unlock()
	for resp := range m.client.Watch(ctx, from, clientv3.WithRange(to), clientv3.WithRev(list.Header.Revision+1)) {
		if err := resp.Err(); err != nil {
			return fmt.Errorf("watch members and shards: %w", err)
		}
		m.mu.Lock()
		m.view.revision = max(m.view.revision, resp.Header.Revision)
		for _, ev := range resp.Events {
			if ev.Type == clientv3.EventTypeDelete {
				m.unsee(ev.Kv)
			} else {
				m.see(ev.Kv)
			}
		}
		m.assignAll()
		m.mu.Unlock()
	}
	return ctx.Err()
}

// see takes in a key. m.mu must be held.
func (m *Member) see(kv *mvccpb.KeyValue) {
	key := string(kv.Key)
	if strings.HasPrefix(key, m.keys.leases()) {
		m.view.take(key, holderOf(kv))
		return
	}
	id, ok := strings.CutPrefix(key, m.keys.members())
	if !ok {
		return
	}
	var p Peer
	if err := json.Unmarshal(kv.Value, &p); err != nil {
		m.log.Warn("a member's registration cannot be read; it is left out", "key", key, "error", err)
		return
	}
	p.ID = id
	m.view.members[id] = p
}

// unsee takes in that a key is gone. m.mu must be held.
func (m *Member) unsee(kv *mvccpb.KeyValue) {
	key := string(kv.Key)
	if strings.HasPrefix(key, m.keys.leases()) {
		m.view.drop(key, kv.ModRevision)
	} else if id, ok := strings.CutPrefix(key, m.keys.members()); ok {
		delete(m.view.members, id)
	}
}

// assignAll says anew who is to have what, and acts on it. m.mu must be held.
func (m *Member) assignAll() {
	for _, g := range m.groups {
		g.assign()
	}
	m.stepAll()
}
