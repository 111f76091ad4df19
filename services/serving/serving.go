// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package serving is the service that turns images into revisions, routes and replicas, zero to many: the API of its kinds,
// their controllers, the autoscaler, and the routing table that routers go by.
package serving

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/kube"
	"fairlead.dev/services/internal/nodepower"
	"fairlead.dev/services/internal/reconcile"
	"fairlead.dev/services/internal/resource"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/serving/admission"
	"fairlead.dev/services/serving/autoscaler"
	"fairlead.dev/services/serving/configuration"
	"fairlead.dev/services/serving/revision"
	"fairlead.dev/services/serving/route"
	"fairlead.dev/services/serving/routing"
	"fairlead.dev/services/serving/service"
)

// Deps are what serving works with.
type Deps struct {
	// Store keeps the objects. It has to run.
	Store *store.Store
	// Kube reaches the cluster. It has to run.
	Kube *kube.Client
	// Namespaces is asked before an object is made; Kube by default.
	Namespaces resource.Namespaces
	// Access is asked before pods get power over a node; nil means that none do, but those made within the process.
	Access nodepower.Access
	// Log gets what happens.
	Log *slog.Logger
	// Metrics gets serving's metrics; nil means none.
	Metrics prometheus.Registerer
}

// Server is serving.
type Server struct {
	cfg     Config
	deps    Deps
	kinds   admission.Kinds
	scaler  *autoscaler.Scaler
	builder *routing.Builder
	routers *routing.Server

	revisions      *revision.Reconciler
	configurations *configuration.Reconciler
	services       *service.Reconciler
	routes         *route.Reconciler

	stopped chan struct{}
	stop    sync.Once
}

// New makes a Server.
func New(cfg Config, deps Deps) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Store == nil || deps.Kube == nil {
		return nil, errors.New("serving: Deps.Store and Deps.Kube are needed")
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.Namespaces == nil {
		deps.Namespaces = deps.Kube
	}
	ks, err := admission.ServingKinds()
	if err != nil {
		return nil, fmt.Errorf("serving: %w", err)
	}
	podAddress, err := cfg.routerPodAddress()
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, deps: deps, kinds: ks, scaler: autoscaler.New(cfg.Autoscaler), stopped: make(chan struct{})}
	s.builder = routing.NewBuilder(routing.Config{Route: ks.Route, Configuration: ks.Configuration, Revision: ks.Revision, Domain: cfg.Domain},
		deps.Store, deps.Kube, s.scaler, deps.Log)
	s.routers = routing.NewServer(s.builder, s.scaler, s.stopped, deps.Log)
	s.revisions = revision.New(revision.Config{
		Kind: ks.Revision, Autoscaler: cfg.Autoscaler, ProgressDeadline: cfg.ProgressDeadline, DrainSeconds: int64(cfg.DrainDelay.Seconds()),
	}, deps.Store, deps.Kube, s.scaler, s.builder.Routed, deps.Log)
	s.configurations = configuration.New(deps.Store, ks.Configuration, ks.Revision)
	s.services = service.New(deps.Store, ks.Service, ks.Configuration, ks.Route)
	s.routes = route.New(route.Config{
		Route: ks.Route, Configuration: ks.Configuration, Revision: ks.Revision,
		Domain: cfg.Domain, Port: cfg.Port, RouterPodAddress: podAddress,
	}, deps.Store, deps.Kube)
	if deps.Metrics != nil {
		if err := deps.Metrics.Register(s.scaler); err != nil {
			return nil, fmt.Errorf("serving: metrics: %w", err)
		}
	}
	return s, nil
}

// Register registers the services of serving's kinds, and the one that programs routers.
func (s *Server) Register(reg grpc.ServiceRegistrar) error {
	rules := admission.Rules{
		DefaultTimeoutSeconds: s.cfg.DefaultTimeoutSeconds, AllowNodePower: s.cfg.AllowNodePower, Access: s.deps.Access,
		Autoscaler: s.cfg.Autoscaler,
	}
	deps := resource.Deps{Store: s.deps.Store, Namespaces: s.deps.Namespaces, Log: s.deps.Log}
	if err := resource.Register(reg, deps, rules.Handlers(s.kinds)...); err != nil {
		return fmt.Errorf("serving: %w", err)
	}
	servingv1.RegisterRouterServiceServer(reg, s.routers)
	return nil
}

// Run reconciles, scales and programs routers until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	defer s.scaler.Close()
	defer s.stop.Do(func() { close(s.stopped) })
	revisions, err := s.revisions.Sources(s.deps.Store, s.scaler.Source(), s.builder.Source())
	if err != nil {
		return fmt.Errorf("serving: %w", err)
	}
	routes, err := s.routes.Sources(s.deps.Store)
	if err != nil {
		return fmt.Errorf("serving: %w", err)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.builder.Run(ctx) })
	for _, c := range []struct {
		name       string
		reconciler reconcile.Reconciler
		sources    []reconcile.Source
	}{
		{"service", s.services, s.services.Sources(s.deps.Store)},
		{"configuration", s.configurations, s.configurations.Sources(s.deps.Store)},
		{"revision", s.revisions, append(revisions, s.afterTable())},
		{"route", s.routes, routes},
	} {
		g.Go(func() error {
			return reconcile.Run(ctx, "serving-"+c.name, c.reconciler, reconcile.Options{Workers: s.cfg.Workers, Log: s.deps.Log}, c.sources...)
		})
	}
	context.AfterFunc(ctx, func() { s.stop.Do(func() { close(s.stopped) }) })
	return g.Wait() //nolint:wrapcheck // says what it is about
}

// afterTable holds the controller of revisions back until it is known which of them are routed.
func (s *Server) afterTable() reconcile.Source {
	return reconcile.Source{Watch: func(ctx context.Context, _ func(store.Key)) error {
		select {
		case <-s.builder.Ready():
			return nil
		case <-ctx.Done():
			return ctx.Err() //nolint:wrapcheck // the end is no fault
		}
	}}
}
