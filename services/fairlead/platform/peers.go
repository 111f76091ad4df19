// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package platform

import (
	"crypto/tls"
	"errors"
	"slices"
	"strings"
	"sync"

	"google.golang.org/grpc"

	"fairlead.dev/services/fairlead/upstream"
	"fairlead.dev/services/internal/apierror"
)

// plaintextScheme begins the addresses of processes whose gRPC has no TLS, which are on this machine.
const plaintextScheme = "plaintext:"

// advertised is the address at which other processes of the installation reach this one.
func (b *Platform) advertised() string {
	address := b.advertise.String()
	if b.advertise.Empty() {
		address = b.grpcListen.Reachable()
	}
	if b.plaintext() {
		return plaintextScheme + address
	}
	return address
}

// memberID is the process's name among those that share the work, where the same process always has the same: an etcd inside
// is for one process, so that one that was killed is taken over by the next at once. Others get names by chance.
func (b *Platform) memberID() string {
	if len(*b.etcdEndpoints) == 0 {
		return b.process.Name()
	}
	return ""
}

// Peers leads to the other processes of the installation, by the addresses that they have told the others.
type Peers struct {
	platform *Platform

	mu    sync.Mutex
	conns map[string]*grpc.ClientConn
	// callers are connections over which calls are made as those who bring their credentials, by address; that of the
	// process itself has none.
	callers map[string]*grpc.ClientConn
}

// Dial returns the connection to a process at an address that it advertises; calls over it are made as this service. It is
// kept for the next who asks, and closed when the process is gone, and at the end.
func (p *Peers) Dial(address string) (grpc.ClientConnInterface, error) {
	if address == "" {
		return nil, apierror.Unavailable(0, "the process that is meant tells no address; give it --advertise-address")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if c, ok := p.conns[address]; ok {
		return c, nil
	}
	b := p.platform
	if address == b.advertised() {
		return nil, itself(address)
	}
	var cfg *tls.Config
	target, local := strings.CutPrefix(address, plaintextScheme)
	if !local {
		cfg = b.process.ClientTLS(upstream.Owners()...)
	}
	conn, err := b.process.Dial([]string{target}, cfg, grpc.WithPerRPCCredentials(b.verify.ServiceCredentials(b.process.Name())))
	if err != nil {
		return nil, err //nolint:wrapcheck // says it all
	}
	if p.conns == nil {
		p.conns = map[string]*grpc.ClientConn{}
	}
	p.conns[address] = conn
	return conn, nil
}

// Conn returns a connection to a process that serves an API group, this one where it does. Calls over it are made as
// those whose credentials they bring, and never as this service. It is kept, and closed when the process is gone, and at the end.
func (p *Peers) Conn(group string) (grpc.ClientConnInterface, error) {
	b := p.platform
	if slices.Contains(b.groups, group) {
		return p.caller("", func() (*grpc.ClientConn, error) { return upstream.DialMemory(b.process, b.memory, nil) })
	}
	for _, peer := range b.lease.Peers() {
		if !slices.Contains(peer.Serves, group) || peer.ID == b.lease.ID() || peer.Address == "" {
			continue
		}
		if peer.Address == b.advertised() {
			return nil, itself(peer.Address)
		}
		return p.caller(peer.Address, func() (*grpc.ClientConn, error) {
			target, local := strings.CutPrefix(peer.Address, plaintextScheme)
			if local {
				return b.process.Dial([]string{target}, nil)
			}
			return b.process.Dial([]string{target}, b.process.CallersTLS(upstream.Owners()...))
		})
	}
	return nil, apierror.Unavailable(0, "no process that serves %s is there; start one", group)
}

func (p *Peers) caller(address string, dial func() (*grpc.ClientConn, error)) (grpc.ClientConnInterface, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c, ok := p.callers[address]; ok {
		return c, nil
	}
	c, err := dial()
	if err != nil {
		return nil, err
	}
	if p.callers == nil {
		p.callers = map[string]*grpc.ClientConn{}
	}
	p.callers[address] = c
	return c, nil
}

func (p *Peers) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	errs := make([]error, 0, len(p.conns)+len(p.callers))
	for _, c := range p.conns {
		errs = append(errs, c.Close())
	}
	for _, c := range p.callers {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}
