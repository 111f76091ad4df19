// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package platform

import (
	"context"
	"net"
	"net/url"
	"slices"
	"strings"

	"google.golang.org/grpc"

	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/lease"
)

// follow closes the connections to processes that are gone until ctx ends: they would be tried for ever.
func (p *Peers) follow(ctx context.Context) error {
	for {
		changed := p.platform.lease.Changed()
		p.closeGone(p.platform.lease.Peers())
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// closeGone closes the connections to all but the processes that are there.
func (p *Peers) closeGone(there []lease.Peer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conns := range []map[string]*grpc.ClientConn{p.conns, p.callers} {
		for address, c := range conns {
			if address == "" || slices.ContainsFunc(there, func(o lease.Peer) bool { return o.Address == address }) {
				continue
			}
			if err := c.Close(); err != nil {
				p.platform.process.Log().Warn("the connection to a process that is gone", "address", address, "error", err)
			}
			delete(conns, address)
		}
	}
}

// itself is the error of a connection to another process that would lead to this one.
func itself(address string) error {
	return apierror.Unavailable(0, "another process, or an earlier run of this one, tells that it is reached at %s, which is this process: "+
		"unless it goes by itself, give each process an --advertise-address of its own, at which the machines of the others reach it",
		strings.TrimPrefix(address, plaintextScheme))
}

// onlyHere tells that etcd is elsewhere, so that other processes may be too, and that they cannot reach this one.
func (b *Platform) onlyHere() bool {
	host, _, err := net.SplitHostPort(strings.TrimPrefix(b.advertised(), plaintextScheme))
	return err == nil && loopback(host) && slices.ContainsFunc(*b.etcdEndpoints, func(endpoint string) bool {
		u, err := url.Parse(endpoint)
		return err == nil && u.Hostname() != "" && !loopback(u.Hostname())
	})
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
