// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package build runs Builds: sources are fetched and steps run, one after another, in one pod.
package build

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	buildv1 "fairlead.dev/gen/go/fairlead/build/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/build/entrypoint"
	"fairlead.dev/services/internal/kube"
	"fairlead.dev/services/internal/lease"
	"fairlead.dev/services/internal/nodepower"
	"fairlead.dev/services/internal/reconcile"
	"fairlead.dev/services/internal/resource"
	"fairlead.dev/services/internal/store"
)

// Deps are what the service works with.
type Deps struct {
	// Store keeps the Builds. Its Run must be running.
	Store *store.Store
	// Kube reaches the cluster in which pods run. Its Run must be running.
	Kube *kube.Client
	// Access is asked before pods get power over a node; nil means that none do, but those made within the process.
	Access nodepower.Access
	// Log gets what the service says.
	Log *slog.Logger
	// Metrics gets the service's metrics; nil means that none are kept.
	Metrics prometheus.Registerer
	// Lease shares the work with other processes that serve build; nil means that there are none. It has to run.
	Lease *lease.Member
	// Tracer makes spans of what controllers do; nil means none.
	Tracer trace.TracerProvider
}

const (
	// fieldManager is the name under which build writes to the cluster.
	fieldManager = "fairlead-build"
	// shards is into how many parts Builds are divided among processes.
	shards = 16
)

// Server is the build service.
type Server struct {
	cfg        Config
	deps       Deps
	kind       kinds.Kind
	reconciler *reconciler
}

// New makes the service. Nothing happens before Run.
func New(cfg Config, deps Deps) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Store == nil || deps.Kube == nil {
		return nil, errors.New("build: Deps.Store and Deps.Kube are needed")
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	kind, ok := kinds.ByMessage((&buildv1.Build{}).ProtoReflect().Descriptor().FullName())
	if !ok {
		return nil, errors.New("build: Build is not a kind")
	}
	m, err := newMetrics(deps.Metrics)
	if err != nil {
		return nil, err
	}
	deps.Kube = deps.Kube.As(fieldManager)
	c := &cluster{kube: deps.Kube}
	return &Server{cfg: cfg, deps: deps, kind: kind, reconciler: &reconciler{
		cfg: cfg, kind: kind, builds: store.For[*buildv1.Build](deps.Store, kind), pods: c, accounts: c, events: c,
		images:  entrypoint.New(entrypoint.Options{InsecureRegistries: cfg.InsecureRegistries, Timeout: cfg.RegistryTimeout}),
		metrics: m, now: time.Now,
	}}, nil
}

// Register registers the services that clients call.
func (s *Server) Register(reg grpc.ServiceRegistrar) error {
	hooks := hooks{cfg: s.cfg, kind: s.kind, access: s.deps.Access}
	err := resource.Register(reg, resource.Deps{Store: s.deps.Store, Namespaces: s.deps.Kube, Log: s.deps.Log},
		resource.Handler{Kind: s.kind, Hooks: resource.Hooks{
			Default: hooks.setDefaults, Validate: hooks.validate, Authorize: hooks.authorize,
		}})
	if err != nil {
		return fmt.Errorf("build: %w", err)
	}
	buildv1.RegisterLogServiceServer(reg, &logServer{kind: s.kind, store: s.deps.Store, kube: s.deps.Kube})
	return nil
}

// Run runs builds until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	pods, err := s.deps.Kube.Informer(kube.Pods)
	if err != nil {
		return fmt.Errorf("build: %w", err)
	}
	err = reconcile.Run(ctx, "builds", s.reconciler, reconcile.Options{
		Workers: s.cfg.Workers, Timeout: 2 * time.Minute, Log: s.deps.Log,
		Group: s.deps.Lease.Group("build-builds", shards), Tracer: s.deps.Tracer,
	},
		reconcile.FromCache(s.deps.Store.Cache(s.kind), nil),
		reconcile.FromInformer(pods, func(obj kmetav1.Object) []store.Key {
			namespace, name, ok := kube.OwnerKey(s.kind, obj)
			if !ok {
				return nil
			}
			return []store.Key{{Namespace: namespace, Name: name}}
		}))
	if err != nil {
		return fmt.Errorf("build: %w", err)
	}
	return nil
}
