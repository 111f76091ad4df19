// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package dispatcher is eventing's data plane: it takes CloudEvents over HTTP, keeps them in the engine, and delivers
// those that a trigger's filter lets through. It is programmed over gRPC and knows neither etcd nor Kubernetes.
package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	eventingv1 "fairlead.dev/gen/go/fairlead/eventing/v1"

	"fairlead.dev/services/eventing/engine"
)

// Deps are what a Dispatcher works with.
type Deps struct {
	// Conn leads to DispatcherService.
	Conn grpc.ClientConnInterface
	// Engine keeps the events. It is closed by who opened it, after Run.
	Engine *engine.Engine
	// Listeners are where the ingress listens. Run closes them.
	Listeners []net.Listener
	// Log gets what happens.
	Log *slog.Logger
	// Metrics gets the dispatcher's metrics.
	Metrics prometheus.Registerer
}

// Dispatcher takes events in and delivers them.
type Dispatcher struct {
	cfg     Config
	deps    Deps
	sender  *sender
	table   *table
	session *session
	ingress *ingress
}

// New makes a Dispatcher.
func New(cfg Config, deps Deps) (*Dispatcher, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	m, err := newMetrics(deps.Metrics)
	if err != nil {
		return nil, err
	}
	d := &Dispatcher{cfg: cfg, deps: deps, sender: newSender(cfg)}
	d.session = newSession(cfg.Name, deps.Conn, deps.Log)
	d.table = newTable(cfg, deps.Engine, d.sender, m, deps.Log, d.session.report)
	d.session.states = d.table.states
	d.ingress = &ingress{cfg: cfg, brokers: d.table, engine: deps.Engine, metrics: m, log: deps.Log}
	return d, nil
}

// Run takes in and delivers events until its context ends. Then it answers the requests it has, and gives deliveries under way
// the grace; what they do not finish is delivered by the next Run.
func (d *Dispatcher) Run(parent context.Context) error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	server := &http.Server{
		Handler:           d.ingress,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		Protocols:         new(http.Protocols),
		ErrorLog:          slog.NewLogLogger(d.deps.Log.Handler(), slog.LevelDebug),
	}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	var wg sync.WaitGroup
	for _, l := range d.deps.Listeners {
		wg.Go(func() {
			if err := server.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
				cancel(fmt.Errorf("dispatcher: ingress at %s: %w", l.Addr(), err))
			}
		})
	}
	wg.Go(func() { d.session.run(ctx) })
	wg.Go(func() { d.applyAll(ctx) })

	<-ctx.Done()
	grace, stop := context.WithTimeout(context.WithoutCancel(ctx), d.cfg.Grace)
	defer stop()
	if err := server.Shutdown(grace); err != nil {
		_ = server.Close()
	}
	wg.Wait()
	d.table.stop(grace)
	d.sender.close()
	if parent.Err() == nil {
		return context.Cause(ctx)
	}
	return nil
}

// Ready tells why events would not be taken in, if so.
func (d *Dispatcher) Ready(ctx context.Context) error { return d.deps.Engine.Ready(ctx) }

// applyAll applies each configuration, and tries again what failed.
func (d *Dispatcher) applyAll(ctx context.Context) {
	var config *eventingv1.DispatcherServiceSyncResponse
	wait := backoff{least: 200 * time.Millisecond, most: 15 * time.Second}
	again := time.NewTimer(0)
	<-again.C
	defer again.Stop()
	repair := d.table.repair
	for {
		select {
		case config = <-d.session.configs:
			wait.reset()
		case <-again.C:
		case <-repair:
			repair = nil // once a try, however many miss something
			again.Reset(wait.grow())
			continue
		case <-ctx.Done():
			return
		}
		again.Stop()
		repair = d.table.repair
		err := d.table.apply(ctx, config)
		if err != nil && ctx.Err() == nil {
			d.deps.Log.Warn("the configuration is not in place; trying again", "error", err)
			again.Reset(wait.grow())
		} else {
			wait.reset()
			if next := d.table.nextSweep; !next.IsZero() {
				again.Reset(time.Until(next))
			}
		}
		d.session.applied.Store(config.GetVersion())
		d.session.report()
	}
}
