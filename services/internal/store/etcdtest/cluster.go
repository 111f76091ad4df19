// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdtest

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"fairlead.dev/services/internal/nettest"
)

// Cluster is an etcd of several members, each in a process of its own.
type Cluster struct {
	// Members are its members.
	Members []*Process
	// Peers are the lines on which each member hears the others.
	Peers []*nettest.Proxy

	t testing.TB
}

// StartCluster runs an etcd of n members until the test ends. The package's TestMain must call Main.
func StartCluster(t testing.TB, n int) *Cluster {
	t.Helper()
	c := &Cluster{t: t}
	members := make([]member, n)
	var all []string
	for i := range members {
		address := freeAddress(t)
		line := nettest.New(t, "tcp", address)
		members[i] = member{Name: fmt.Sprintf("m%d", i), Listen: "http://" + address, Advertise: "http://" + line.Address()}
		all = append(all, members[i].Name+"="+members[i].Advertise)
		c.Peers = append(c.Peers, line)
	}
	var waits []func() error
	for _, m := range members {
		m.Cluster = strings.Join(all, ",")
		p := newProcess(t, m)
		wait, err := p.start()
		if err != nil {
			t.Fatal(err)
		}
		c.Members, waits = append(c.Members, p), append(waits, wait)
	}
	for _, wait := range waits {
		if err := wait(); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// Endpoints are where clients reach the members.
func (c *Cluster) Endpoints() []string {
	out := make([]string, 0, len(c.Members))
	for _, m := range c.Members {
		out = append(out, m.Endpoint())
	}
	return out
}

// Client makes a client of all members that is closed when the test ends.
func (c *Cluster) Client() *clientv3.Client { return client(c.t, c.Endpoints()...) }

// Leader returns the member that leads, as one of those that answer sees it; -1 when none does.
func (c *Cluster) Leader(ctx context.Context, client *clientv3.Client) int {
	for _, asked := range c.Endpoints() {
		status, err := client.Status(ctx, asked)
		if err != nil || status.Leader == 0 {
			continue
		}
		for i, endpoint := range c.Endpoints() {
			if s, err := client.Status(ctx, endpoint); err == nil && s.Header.MemberId == status.Leader {
				return i
			}
		}
	}
	return -1
}

// freeAddress is a loopback address that nobody listens on.
func freeAddress(t testing.TB) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
