// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdtest

import (
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// Proxy stands between a client and an etcd, so that a test can cut the line.
type Proxy struct {
	target   string
	listener net.Listener
	wg       sync.WaitGroup

	mu    sync.Mutex
	cut   bool
	conns map[net.Conn]struct{}
}

// NewProxy starts a proxy before the unix socket `unix://PATH` that runs until the test ends.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{target: strings.TrimPrefix(target, "unix://"), listener: l, conns: map[net.Conn]struct{}{}}
	p.wg.Go(p.serve)
	t.Cleanup(func() {
		_ = l.Close() // ends serve
		p.Cut()
		p.wg.Wait()
	})
	return p
}

// Endpoint is where clients connect.
func (p *Proxy) Endpoint() string { return "http://" + p.listener.Addr().String() }

// Cut ends all connections, and refuses new ones until Restore.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = true
	for c := range p.conns {
		_ = c.Close() // what was in flight is lost, as meant
	}
	p.conns = map[net.Conn]struct{}{}
}

// Restore lets connections through again.
func (p *Proxy) Restore() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = false
}

func (p *Proxy) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		var d net.Dialer
		server, err := d.DialContext(context.Background(), "unix", p.target)
		if err != nil || !p.keep(client, server) {
			_ = client.Close() // a refusal
			if server != nil {
				_ = server.Close() // nobody uses it
			}
			continue
		}
		p.wg.Go(func() { pipe(client, server) })
		p.wg.Go(func() { pipe(server, client) })
	}
}

// keep notes connections, unless the line is cut.
func (p *Proxy) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut {
		return false
	}
	for _, c := range conns {
		p.conns[c] = struct{}{}
	}
	return true
}

// pipe copies until either side ends, and ends both.
func pipe(to, from net.Conn) {
	_, _ = io.Copy(to, from) // the ends see what happens to the line
	_ = to.Close()
	_ = from.Close()
}
