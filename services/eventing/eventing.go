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

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	eventingv1 "fairlead.dev/gen/go/fairlead/eventing/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/kube"
	"fairlead.dev/services/internal/resource"
	"fairlead.dev/services/internal/store"

	"fairlead.dev/services/eventing/controller"
	"fairlead.dev/services/eventing/kubeservice"
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
}

// Server is the eventing service.
type Server struct {
	cfg      Config
	deps     Deps
	brokers  store.Client[*eventingv1.Broker]
	triggers store.Client[*eventingv1.Trigger]
	program  *program.Program
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
	s.program = program.New(deps.Store, s.brokers, s.triggers, deps.Log)
	return s, nil
}

// Register registers the services that clients and dispatchers call.
func (s *Server) Register(reg grpc.ServiceRegistrar) error {
	deps := resource.Deps{Store: s.deps.Store, Log: s.deps.Log}
	if s.deps.Kube != nil {
		deps.Namespaces = s.deps.Kube
	}
	err := resource.Register(reg, deps,
		resource.Handler{Kind: s.brokers.Kind(), Hooks: brokerHooks()},
		resource.Handler{Kind: s.triggers.Kind(), Hooks: triggerHooks()})
	if err != nil {
		return fmt.Errorf("eventing: %w", err)
	}
	eventingv1.RegisterDispatcherServiceServer(reg, s.program)
	return nil
}

// Run programs dispatchers and keeps the status of Brokers and Triggers until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	cfg := controller.Config{
		Address: strings.TrimSuffix(s.cfg.IngressURL, "/"), ClusterDomain: s.cfg.ClusterDomain,
		Grace: s.cfg.DispatcherGrace, Workers: s.cfg.Workers,
	}
	if s.cfg.ClusterIngressURL != "" && s.cfg.ClusterIngressURL != s.cfg.IngressURL {
		cfg.Address, cfg.LocalAddress = strings.TrimSuffix(s.cfg.ClusterIngressURL, "/"), cfg.Address
	}
	deps := controller.Deps{Store: s.deps.Store, Brokers: s.brokers, Triggers: s.triggers, Reports: s.program, Log: s.deps.Log}
	group, ctx := errgroup.WithContext(ctx)
	if s.deps.Kube != nil {
		services := kubeservice.New(s.deps.Kube.Config())
		deps.Services, deps.Events = services, s.deps.Kube
		group.Go(func() error { return services.Run(ctx) })
	}
	group.Go(func() error { return s.program.Run(ctx) })
	group.Go(func() error { return controller.Run(ctx, cfg, deps) })
	if err := group.Wait(); err != nil {
		return fmt.Errorf("eventing: %w", err)
	}
	return nil
}
