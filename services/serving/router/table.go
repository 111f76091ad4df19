// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package router

import (
	"net"
	"strings"

	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
)

// table is one routing table; it never changes once it is in use.
type table struct {
	version int64
	hosts   map[string]*destination
}

// destination is where the requests for a host go.
type destination struct {
	shares []share
	total  int
}

// share is one revision's part: the numbers below upTo that are not an earlier share's.
type share struct {
	backend *backend
	upTo    int
}

// choose returns the revision for a number in [0, total), or nil where there is none.
func (d *destination) choose(n int) *backend {
	for _, s := range d.shares {
		if n < s.upTo {
			return s.backend
		}
	}
	return nil
}

// newTable makes a table. backends holds the revisions by key; a share of one that is not among them counts for nothing.
func newTable(from *servingv1.RouterServiceSyncResponse, backends map[revisionKey]*backend) *table {
	t := &table{version: from.GetVersion(), hosts: make(map[string]*destination, len(from.GetHosts()))}
	for _, h := range from.GetHosts() {
		d := &destination{}
		for _, s := range h.GetShares() {
			b := backends[revisionKey{h.GetNamespace(), s.GetRevision()}]
			if b == nil || s.GetPercent() <= 0 {
				continue
			}
			d.total += int(s.GetPercent())
			d.shares = append(d.shares, share{backend: b, upTo: d.total})
		}
		for _, host := range h.GetHosts() {
			t.hosts[host] = d
		}
	}
	return t
}

// hostOf returns the host that a request names, as tables have it.
func hostOf(hostport string) string {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}
