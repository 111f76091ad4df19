// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package nettest stands between a client and a server of a test, and breaks the line in the ways that networks do.
package nettest

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"
)

// Proxy passes connections on to a server.
type Proxy struct {
	network, target string
	listener        net.Listener
	wg              sync.WaitGroup

	mu    sync.Mutex
	cut   bool
	delay time.Duration
	conns map[net.Conn]struct{}
	// open is closed while bytes may pass.
	open chan struct{}
	// ended is closed when the test ends.
	ended chan struct{}
}

// New starts a proxy on loopback for the server at an address, until the test ends. The network is `tcp` or `unix`.
func New(tb testing.TB, network, target string) *Proxy {
	tb.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	p := &Proxy{network: network, target: target, listener: l, conns: map[net.Conn]struct{}{}, open: make(chan struct{}), ended: make(chan struct{})}
	close(p.open)
	p.wg.Go(p.serve)
	tb.Cleanup(func() {
		close(p.ended)
		_ = l.Close() // ends serve
		p.Cut()
		p.wg.Wait()
	})
	return p
}

// Address is the host:port at which clients connect.
func (p *Proxy) Address() string { return p.listener.Addr().String() }

// Cut ends all connections, and refuses new ones until Restore: the server is gone.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = true
	for c := range p.conns {
		_ = c.Close() // what was in flight is lost, as meant
	}
	p.conns = map[net.Conn]struct{}{}
}

// Hold lets connections stand and be made, and no byte pass until Restore: packets are dropped.
func (p *Proxy) Hold() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.open:
		p.open = make(chan struct{})
	default:
	}
}

// Slow has what clients send arrive that much later.
func (p *Proxy) Slow(delay time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = delay
}

// Restore lets everything through again, at full speed.
func (p *Proxy) Restore() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut, p.delay = false, 0
	select {
	case <-p.open:
	default:
		close(p.open)
	}
}

func (p *Proxy) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.connect(client) })
	}
}

func (p *Proxy) connect(client net.Conn) {
	var d net.Dialer
	server, err := d.DialContext(context.Background(), p.network, p.target)
	if err != nil || !p.keep(client, server) {
		_ = client.Close() // a refusal
		if server != nil {
			_ = server.Close() // nobody uses it
		}
		return
	}
	p.wg.Go(func() { p.pipe(server, client, true) })
	p.pipe(client, server, false)
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
func (p *Proxy) pipe(to, from net.Conn, slow bool) {
	defer func() {
		_ = to.Close()
		_ = from.Close()
		p.mu.Lock()
		delete(p.conns, from)
		p.mu.Unlock()
	}()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if !p.pass(slow) {
				return
			}
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// pass returns when bytes may pass, false when the test has ended.
func (p *Proxy) pass(slow bool) bool {
	p.mu.Lock()
	open, delay := p.open, p.delay
	p.mu.Unlock()
	select {
	case <-open:
	case <-p.ended:
		return false
	}
	if !slow || delay == 0 {
		return true
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-p.ended:
		return false
	}
}
