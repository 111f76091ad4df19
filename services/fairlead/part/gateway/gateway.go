// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package gateway is the part of a process that answers REST.
package gateway

import (
	"context"
	"fmt"

	"google.golang.org/grpc"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/fairlead/cluster"
	"fairlead.dev/services/fairlead/dataplane"
	"fairlead.dev/services/fairlead/process"
	"fairlead.dev/services/gateway"
)

// Services leads to the services, whose own authentication every call passes: each brings its caller's token.
type Services interface {
	// Validate says what is wrong with the flags.
	Validate(f *process.Faults)
	// Connect returns a connection by which each service is reached.
	Connect() (*grpc.ClientConn, error)
	// Checks tell whether the services are there.
	Checks() []process.Check
}

// Part answers REST.
type Part struct {
	process     *process.Process
	services    Services
	access      cluster.Access
	https, http *process.Address
	gateway     *gateway.Server
}

// New adds the part to a process, and returns where its front door is.
func New(p *process.Process, services Services) (door *process.Address) {
	f := p.Flags()
	part := &Part{
		process: p, services: services, access: cluster.NewAccess(f),
		https: f.Address("https-listen", "127.0.0.1:8443", "host:port of the REST front door", process.Needed).Listen(),
		http:  f.Address("http-listen", "127.0.0.1:8080", "loopback host:port of the REST front door without TLS; empty for none", process.Loopback).Listen(),
	}
	p.Add(part)
	return part.https
}

// Validate implements process.Part.
func (g *Part) Validate(f *process.Faults) { g.services.Validate(f) }

// Open implements process.Part.
func (g *Part) Open(ctx context.Context) error {
	p := g.process
	conn, err := g.services.Connect()
	if err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	p.OnClose(conn.Close)
	config, err := g.access.Config()
	if err != nil {
		return err //nolint:wrapcheck // says it all
	}
	g.gateway, err = gateway.New(ctx, gateway.DefaultConfig(), gateway.Deps{
		Conn: conn, Kinds: kinds.Versions(), Cluster: config, Health: p.Checks(), Debug: p.Debug(),
		Tracer: p.Tracer(), Log: p.Log(), Metrics: p.Metrics(),
	})
	return err //nolint:wrapcheck // says it all
}

// Start implements process.Part.
func (g *Part) Start(t *process.Tiers) {
	g.process.Checks().Add(g.services.Checks()...)
	t.Front.Run("gateway", func(ctx context.Context) error {
		doors := []gateway.Listener{{Listener: g.https.Listener(), TLS: g.process.ServerTLS(false)}}
		if l := g.http.Listener(); l != nil {
			doors = append(doors, gateway.Listener{Listener: l})
		}
		return g.gateway.Run(ctx, doors...) //nolint:wrapcheck // the tier names it
	})
}

// Inside is Services in the same process.
func Inside(p *process.Process, memory func() dataplane.Memory) Services { return &inside{p, memory} }

type inside struct {
	process *process.Process
	memory  func() dataplane.Memory
}

func (*inside) Validate(*process.Faults) {}

func (*inside) Checks() []process.Check { return nil }

func (i *inside) Connect() (*grpc.ClientConn, error) {
	return dataplane.DialMemory(i.process, i.memory(), nil)
}
