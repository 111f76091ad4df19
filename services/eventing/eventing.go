// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package eventing is the service that owns Brokers and Triggers: their API, their status, and the programming of the
// dispatchers that take events in and deliver them.
package eventing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	eventingv1 "fairlead.dev/gen/go/fairlead/eventing/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/kube"
	"fairlead.dev/services/internal/lease"
	"fairlead.dev/services/internal/relay"
	"fairlead.dev/services/internal/resource"
	"fairlead.dev/services/internal/store"

	"fairlead.dev/services/eventing/controller"
	"fairlead.dev/services/eventing/kubeservice"
	"fairlead.dev/services/eventing/older"
	"fairlead.dev/services/eventing/program"
)

// Deps are what the service works with.
type Deps struct {
	// Store keeps the Brokers and Triggers. Its Run must be running.
	Store *store.Store
	// Kube reaches the cluster; nil where there is none: then every namespace and every Kubernetes Service is taken to
	// exist, and nobody is told of events.
	Kube *kube.Client
	// Log gets what the service says.
	Log *slog.Logger
	// Lease shares the work with other processes that serve eventing; nil means that there are none. It has to run.
	Lease *lease.Member
	// Dial leads to another of those processes; it may be nil where Lease is.
	Dial func(address string) (grpc.ClientConnInterface, error)
	// Tracer makes spans of what controllers do; nil means none.
	Tracer trace.TracerProvider
}

// fieldManager is the name under which eventing writes to the cluster.
const fieldManager = "fairlead-eventing"

// Server is the eventing service.
type Server struct {
	cfg      Config
	deps     Deps
	brokers  store.Client[*eventingv1.Broker]
	triggers store.Client[*eventingv1.Trigger]
	leaders  *lease.Group
	server   *program.Server
}

// New makes the service. Nothing happens before Run.
func New(cfg Config, deps Deps) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Store == nil {
		return nil, errors.New("eventing: Deps.Store is needed")
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	broker, ok := kinds.ByMessage((&eventingv1.Broker{}).ProtoReflect().Descriptor().FullName())
	trigger, ok2 := kinds.ByMessage((&eventingv1.Trigger{}).ProtoReflect().Descriptor().FullName())
	if !ok || !ok2 {
		return nil, errors.New("eventing: Broker or Trigger is not a kind")
	}
	s := &Server{
		cfg: cfg, deps: deps,
		brokers:  store.For[*eventingv1.Broker](deps.Store, broker),
		triggers: store.For[*eventingv1.Trigger](deps.Store, trigger),
	}
	if deps.Kube != nil {
		s.deps.Kube = deps.Kube.As(fieldManager)
	}
	s.leaders = deps.Lease.Group("eventing-leader", 1)
	s.server = program.NewServer(relay.New[*program.Program]("eventing", s.leaders, deps.Dial))
	return s, nil
}

// Register registers the services that clients and dispatchers call.
func (s *Server) Register(reg grpc.ServiceRegistrar) error {
	deps := resource.Deps{Store: s.deps.Store, Log: s.deps.Log}
	if s.deps.Kube != nil {
		deps.Namespaces = s.deps.Kube
	}
	handlers, err := older.Handlers()
	if err != nil {
		return fmt.Errorf("eventing: %w", err)
	}
	handlers = append(handlers,
		resource.Handler{Kind: s.brokers.Kind(), Hooks: brokerHooks()},
		resource.Handler{Kind: s.triggers.Kind(), Hooks: triggerHooks()})
	if err := resource.Register(reg, deps, handlers...); err != nil {
		return fmt.Errorf("eventing: %w", err)
	}
	eventingv1.RegisterDispatcherServiceServer(reg, s.server)
	return nil
}

// Run programs dispatchers and keeps the status of Brokers and Triggers until ctx ends. Of several processes, one does: it
// alone hears the dispatchers, and what they report is what the status says.
func (s *Server) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, s.server.Stop)
	defer stop()
	if err := s.leaders.Lead(ctx, s.lead); err != nil {
		return fmt.Errorf("eventing: %w", err)
	}
	return nil
}

// lead is one term of the leader.
func (s *Server) lead(ctx context.Context) error {
	cfg := controller.Config{
		Address: strings.TrimSuffix(s.cfg.IngressURL, "/"), ClusterDomain: s.cfg.ClusterDomain,
		Grace: s.cfg.DispatcherGrace, Workers: s.cfg.Workers,
	}
	if s.cfg.ClusterIngressURL != "" && s.cfg.ClusterIngressURL != s.cfg.IngressURL {
		cfg.Address, cfg.LocalAddress = strings.TrimSuffix(s.cfg.ClusterIngressURL, "/"), cfg.Address
	}
	p := program.New(s.deps.Store, s.brokers, s.triggers, s.deps.Log)
	deps := controller.Deps{
		Store: s.deps.Store, Brokers: s.brokers, Triggers: s.triggers, Reports: p, Log: s.deps.Log, Tracer: s.deps.Tracer,
	}
	if s.deps.Kube != nil {
		services := kubeservice.New(s.deps.Kube)
		defer services.Close()
		deps.Services, deps.Events = services, s.deps.Kube
	}
	end := s.server.Lead(p)
	defer end()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return p.Run(ctx) })
	group.Go(func() error { return controller.Run(ctx, cfg, deps) })
	return group.Wait() //nolint:wrapcheck // says what it is about
}
