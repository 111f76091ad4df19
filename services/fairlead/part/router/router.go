// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package router is the part of a process that routes requests to services. It links neither etcd nor informers.
package router

import (
	"context"
	"fmt"
	"net"
	"time"

	"google.golang.org/grpc"

	"fairlead.dev/services/fairlead/part/address"
	"fairlead.dev/services/fairlead/process"
	"fairlead.dev/services/fairlead/upstream"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/serving/router"
)

// Part routes requests.
type Part struct {
	process   *process.Process
	source    upstream.Source
	addresses address.Pair
	conn      *grpc.ClientConn
	router    *router.Router
}

// New adds the part to a process.
func New(p *process.Process, source upstream.Source) {
	p.Add(&Part{process: p, source: source, addresses: address.Router(p.Flags()).Open()})
}

// Validate implements process.Part.
func (r *Part) Validate(f *process.Faults) { r.source.Validate(f) }

// Open implements process.Part.
func (r *Part) Open(context.Context) error {
	var err error
	if r.conn, err = r.source.Connect(); err != nil {
		return fmt.Errorf("router: %w", err)
	}
	r.process.OnClose(r.conn.Close)
	cfg := router.DefaultConfig()
	cfg.DrainTimeout = drain
	r.router, err = router.New(cfg, r.conn, r.process.Log(), r.process.Metrics())
	return err //nolint:wrapcheck // says it all
}

// drain is how long requests in flight may go on at the end. What comes after it must fit into the 30 s that Kubernetes
// gives a pod.
const drain = 20 * time.Second

// Start implements process.Part.
func (r *Part) Start(t *process.Tiers) {
	r.process.Checks().Add(r.source.Checks(r.conn)...)
	r.process.Checks().Add(process.Check{
		Name: "routing-table", Probe: r.hasTable, Services: []string{"fairlead.serving.v1.RouterService"},
	})
	r.process.Once("its first routing table", func(ctx context.Context) error {
		select {
		case <-r.router.Ready():
			return nil
		case <-ctx.Done():
			return fmt.Errorf("the router got no routing table: %w", context.Cause(ctx))
		}
	})
	t.Front.Run("router", func(ctx context.Context) error {
		listeners := []net.Listener{r.addresses.Listen.Listener()}
		if l := r.addresses.PodListen.Listener(); l != nil {
			listeners = append(listeners, l)
		}
		return r.router.Run(ctx, listeners...) //nolint:wrapcheck // the tier names it
	})
}

// hasTable tells whether the router has ever had a table. Without the stream it goes on by its last one.
func (r *Part) hasTable(context.Context) error {
	select {
	case <-r.router.Ready():
		return nil
	default:
		return apierror.Unavailable(time.Second, "serving has sent none yet")
	}
}
