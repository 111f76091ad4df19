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
	"fairlead.dev/services/fairlead/limits"
	"fairlead.dev/services/fairlead/process"
	"fairlead.dev/services/fairlead/trust"
	"fairlead.dev/services/fairlead/upstream"
	"fairlead.dev/services/gateway"
	"fairlead.dev/services/gateway/web"
)

// Part answers REST.
type Part struct {
	process     *process.Process
	services    upstream.Source
	trust       *trust.Part
	access      cluster.Access
	https, http *process.Address
	origins     *[]string
	ownGroups   *string
	conn        *grpc.ClientConn
	limits      limits.Limits
	aggregation *aggregation
	gateway     *gateway.Server
}

// New adds the part to a process, whose calls of services bring their callers' tokens, and returns where its front door is.
func New(p *process.Process, services upstream.Source, t *trust.Part) (door *process.Address) {
	f := p.Flags()
	part := &Part{
		process: p, services: services, trust: t, access: cluster.NewAccess(f),
		https:   f.Address("https-listen", "127.0.0.1:8443", "host:port of the REST front door", process.Needed).Listen(),
		http:    f.Address("http-listen", "127.0.0.1:8080", "loopback host:port of the REST front door without TLS; empty for none", process.Loopback).Listen(),
		origins: f.Strings("web-origin", "origin of web pages, such as https://console.example.com, whose scripts may call over gRPC-Web and Connect; none by default"),
	}
	part.ownGroups = f.String("own-groups", "", "who answers for API groups of ours that the cluster has CRDs of: fairlead or cluster; by default requests to them are refused")
	part.limits = limits.New(f)
	part.aggregation = newAggregation(p)
	t.Proxies(part.aggregation.wanted)
	p.Add(part)
	return part.https
}

// Validate implements process.Part.
func (g *Part) Validate(f *process.Faults) {
	g.services.Validate(f)
	g.aggregation.validate(f)
	g.limits.Validate(f)
	for _, origin := range *g.origins {
		if err := web.CheckOrigin(origin); err != nil {
			f.Addf("web-origin", "%s", err)
		}
	}
}

// Open implements process.Part.
func (g *Part) Open(ctx context.Context) error {
	p := g.process
	var err error
	if g.conn, err = g.services.Connect(); err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	p.OnClose(g.conn.Close)
	config, err := g.access.Config()
	if err != nil {
		return err //nolint:wrapcheck // says it all
	}
	cfg := gateway.DefaultConfig()
	cfg.WebOrigins, cfg.OwnGroups = *g.origins, *g.ownGroups
	if err := g.aggregation.open(ctx, config); err != nil {
		return err
	}
	limits, err := g.limits.Open(p, "cluster")
	if err != nil {
		return err //nolint:wrapcheck // says it all
	}
	g.gateway, err = gateway.New(ctx, cfg, gateway.Deps{
		Limits: limits,
		Conn:   g.conn, Kinds: kinds.Versions(), Cluster: config, Clients: g.trust.Trust(), Health: p.Checks(), Debug: p.Debug(),
		Tracer: p.Tracer(), Log: p.Log(), Metrics: p.Metrics(),
	})
	return err //nolint:wrapcheck // says it all
}

// Start implements process.Part.
func (g *Part) Start(t *process.Tiers) {
	g.process.Checks().Add(g.services.Checks(g.conn)...)
	g.aggregation.start(t)
	t.Front.Run("gateway", func(ctx context.Context) error {
		doors := []gateway.Listener{{Listener: g.https.Listener(), TLS: g.process.DoorTLS()}}
		if l := g.aggregation.listen.Listener(); l != nil {
			doors = append(doors, gateway.Listener{Listener: l, TLS: g.process.DoorTLS()})
		}
		if l := g.http.Listener(); l != nil {
			doors = append(doors, gateway.Listener{Listener: l})
		}
		return g.gateway.Run(ctx, doors...) //nolint:wrapcheck // the tier names it
	})
}
