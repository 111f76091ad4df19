// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package routing keeps the routing table of an installation and programs its routers with it.
package routing

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/store"
)

// hosts are what one route puts into the table: its own name, and those of its tags.
type hosts struct {
	route *servingv1.HostRoute
	tags  []*servingv1.HostRoute
}

func (h *hosts) equal(o *hosts) bool {
	return proto.Equal(h.route, o.route) && slices.EqualFunc(h.tags, o.tags, func(a, b *servingv1.HostRoute) bool { return proto.Equal(a, b) })
}

// revisions are the revisions that requests may go to.
func (h *hosts) revisions() map[store.Key]struct{} {
	out := map[store.Key]struct{}{}
	for _, r := range append([]*servingv1.HostRoute{h.route}, h.tags...) {
		for _, s := range r.GetShares() {
			out[store.Key{Namespace: r.GetNamespace(), Name: s.GetRevision()}] = struct{}{}
		}
	}
	return out
}

// table is the routing table, changed bit by bit and read as a whole.
type table struct {
	mu       sync.Mutex
	version  int64
	changed  chan struct{} // closed, and replaced, when version moves
	routes   map[store.Key]*hosts
	backends map[store.Key]*servingv1.RevisionBackend
	whole    *servingv1.RouterServiceSyncResponse // of version; nil until it is asked for
}

// newTable makes an empty table. Versions go on from the time, so that they grow over restarts too.
func newTable() *table {
	return &table{
		version: time.Now().UnixMilli(), changed: make(chan struct{}),
		routes: map[store.Key]*hosts{}, backends: map[store.Key]*servingv1.RevisionBackend{},
	}
}

// change is what is new in a table; nil values are removed.
type change struct {
	routes   map[store.Key]*hosts
	backends map[store.Key]*servingv1.RevisionBackend
}

func (c change) empty() bool { return len(c.routes) == 0 && len(c.backends) == 0 }

// apply takes a change over and returns the version that has it.
func (t *table) apply(c change) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c.empty() {
		return t.version
	}
	put(t.routes, c.routes)
	put(t.backends, c.backends)
	t.version++
	t.whole = nil
	close(t.changed)
	t.changed = make(chan struct{})
	return t.version
}

func put[V any](to, from map[store.Key]*V) {
	for key, v := range from {
		if v == nil {
			delete(to, key)
		} else {
			to[key] = v
		}
	}
}

// newest is the version of the table.
func (t *table) newest() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.version
}

// current returns the whole table, which must not be changed, and a channel that is closed when there is a newer one.
func (t *table) current() (*servingv1.RouterServiceSyncResponse, <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.whole == nil {
		t.whole = t.assemble()
	}
	return t.whole, t.changed
}

// assemble lists hosts in an order in which later ones win over earlier ones: a route's own name over another's tag.
func (t *table) assemble() *servingv1.RouterServiceSyncResponse {
	out := &servingv1.RouterServiceSyncResponse{Version: t.version}
	keys := sorted(t.routes)
	for _, key := range keys {
		out.Hosts = append(out.Hosts, t.routes[key].tags...)
	}
	for _, key := range keys {
		out.Hosts = append(out.Hosts, t.routes[key].route)
	}
	for _, key := range sorted(t.backends) {
		out.Revisions = append(out.Revisions, t.backends[key])
	}
	return out
}

func sorted[V any](m map[store.Key]V) []store.Key {
	keys := make([]store.Key, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b store.Key) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return keys
}
