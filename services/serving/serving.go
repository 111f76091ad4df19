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
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/kube"
	"fairlead.dev/services/internal/lease"
	"fairlead.dev/services/internal/nodepower"
	"fairlead.dev/services/internal/reconcile"
	"fairlead.dev/services/internal/relay"
	"fairlead.dev/services/internal/resource"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/serving/admission"
	"fairlead.dev/services/serving/autoscaler"
	"fairlead.dev/services/serving/configuration"
	"fairlead.dev/services/serving/older"
	"fairlead.dev/services/serving/route"
	"fairlead.dev/services/serving/routing"
	"fairlead.dev/services/serving/service"
)

const (
	// fieldManager is the name under which serving writes to the cluster.
	fieldManager = "fairlead-serving"
	// shards is into how many parts the objects of a kind are divided among processes.
	shards = 16
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
	// Lease shares the work with other processes that serve serving; nil means that there are none. It has to run.
	Lease *lease.Member
	// Dial leads to another of those processes; it may be nil where Lease is.
	Dial func(address string) (grpc.ClientConnInterface, error)
	// Tracer makes spans of what controllers do; nil means none.
	Tracer trace.TracerProvider
}

// Server is serving.
type Server struct {
	cfg     Config
	deps    Deps
	kinds   admission.Kinds
	leaders *lease.Group
	routers *routing.Server
	// scaler is that of the term in which this process leads, nil out of one.
	scaler atomic.Pointer[autoscaler.Scaler]

	configurations *configuration.Reconciler
	services       *service.Reconciler
	routes         *route.Reconciler
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
	deps.Kube = deps.Kube.As(fieldManager)
	s := &Server{cfg: cfg, deps: deps, kinds: ks, leaders: deps.Lease.Group("serving-leader", 1)}
	s.routers = routing.NewServer(relay.New[routing.Program]("serving", s.leaders, deps.Dial), deps.Log)
	s.configurations = configuration.New(deps.Store, ks.Configuration, ks.Revision)
	s.services = service.New(deps.Store, ks.Service, ks.Configuration, ks.Route)
	s.routes = route.New(route.Config{
		Route: ks.Route, Configuration: ks.Configuration, Revision: ks.Revision,
		Domain: cfg.Domain, Port: cfg.Port, RouterPodAddress: podAddress,
	}, deps.Store, deps.Kube)
	if deps.Metrics != nil {
		if err := deps.Metrics.Register(scaling{s}); err != nil {
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
	handlers, err := older.Handlers()
	if err != nil {
		return fmt.Errorf("serving: %w", err)
	}
	if err := resource.Register(reg, deps, append(handlers, rules.Handlers(s.kinds)...)...); err != nil {
		return fmt.Errorf("serving: %w", err)
	}
	servingv1.RegisterRouterServiceServer(reg, s.routers)
	return nil
}

// Run reconciles, scales and programs routers until ctx ends. Of several processes, one leads: it alone scales, keeps the
// routing table and runs revisions, for it alone hears the routers. The rest is shared.
func (s *Server) Run(ctx context.Context) error {
	routes, err := s.routes.Sources(s.deps.Store)
	if err != nil {
		return fmt.Errorf("serving: %w", err)
	}
	g, ctx := errgroup.WithContext(ctx)
	context.AfterFunc(ctx, s.routers.Stop)
	g.Go(func() error { return s.leaders.Lead(ctx, s.lead) })
	for _, c := range []struct {
		name       string
		reconciler reconcile.Reconciler
		sources    []reconcile.Source
	}{
		{"service", s.services, s.services.Sources(s.deps.Store)},
		{"configuration", s.configurations, s.configurations.Sources(s.deps.Store)},
		{"route", s.routes, routes},
	} {
		opts := s.options()
		opts.Group = s.deps.Lease.Group("serving-"+c.name, shards)
		g.Go(func() error { return reconcile.Run(ctx, "serving-"+c.name, c.reconciler, opts, c.sources...) })
	}
	return g.Wait() //nolint:wrapcheck // says what it is about
}

func (s *Server) options() reconcile.Options {
	return reconcile.Options{Workers: s.cfg.Workers, Log: s.deps.Log, Tracer: s.deps.Tracer}
}
