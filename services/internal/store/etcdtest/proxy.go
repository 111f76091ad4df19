// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdtest

import (
	"strings"
	"testing"

	"fairlead.dev/services/internal/nettest"
)

// Proxy stands between a client and an etcd, so that a test can cut the line, hold what is on it, or make it slow.
type Proxy struct {
	*nettest.Proxy
}

// NewProxy starts a proxy before an endpoint of etcd, `unix://PATH` or `http://HOST:PORT`, that runs until the test ends.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	if path, ok := strings.CutPrefix(target, "unix://"); ok {
		return &Proxy{nettest.New(t, "unix", path)}
	}
	return &Proxy{nettest.New(t, "tcp", strings.TrimPrefix(target, "http://"))}
}

// Endpoint is where clients connect.
func (p *Proxy) Endpoint() string { return "http://" + p.Address() }
