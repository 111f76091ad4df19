// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package auth answers who callers are and what they may do. It owns roles and bindings, issues and revokes tokens, and
// makes kubeconfigs.
//
// Tokens are JWTs signed by keys that lie in a Kubernetes Secret. Revocations lie in etcd and are watched by every
// process. Rights are evaluated from the store's caches; what no rule allows is denied.
package auth

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"k8s.io/client-go/kubernetes"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	"fairlead.dev/services/auth/mirror"
	"fairlead.dev/services/internal/kube"
	"fairlead.dev/services/internal/lease"
	"fairlead.dev/services/internal/resource"
	"fairlead.dev/services/internal/store"
)

// Cluster is the Kubernetes that holds signing keys and gives administrators their rights.
type Cluster interface {
	Clientset() kubernetes.Interface
	Installation() string
	SystemNamespace() string
}

// Deps are what auth works with.
type Deps struct {
	// Store keeps roles and bindings.
	Store *store.Store
	// Etcd keeps revocations. It is the store's client.
	Etcd *clientv3.Client
	// Kube is the cluster.
	Kube Cluster
	// Objects reaches the cluster to mirror service accounts, roles and bindings there; nil means that none are, and that
	// writes that ask for it are refused. It has to run.
	Objects *kube.Client
	// Lease shares the work with other processes that serve auth; nil means that there are none. It has to run.
	Lease *lease.Member
	// Tracer makes spans of what controllers do; nil means none.
	Tracer trace.TracerProvider
	// Namespaces is asked before roles and bindings are made in a namespace; nil means that every namespace exists.
	Namespaces resource.Namespaces
	// Log gets what happens in the background; nil means that nothing is logged.
	Log *slog.Logger
}

// Server is the auth service.
type Server struct {
	*Verifier

	mirror *mirror.Mirror // nil where nothing is mirrored

	mu     sync.RWMutex
	target kubeconfigTarget
	// clusterURL is empty where it is that by which the cluster is reached.
	clusterURL string
}

// New makes the service. It asks nothing of store or cluster yet.
func New(cfg Config, deps Deps) (*Server, error) {
	v, err := NewVerifier(cfg, deps)
	if err != nil {
		return nil, err
	}
	s := &Server{Verifier: v}
	if deps.Objects != nil {
		s.mirror = mirror.New(mirror.Kinds{
			Role: v.kinds.role, ClusterRole: v.kinds.clusterRole, RoleBinding: v.kinds.roleBinding,
			ClusterRoleBinding: v.kinds.clusterRoleBinding, ServiceAccount: v.kinds.serviceAccount,
		}, mirror.Deps{Store: deps.Store, Kube: deps.Objects, Log: v.deps.Log, Lease: deps.Lease, Tracer: deps.Tracer})
	}
	return s, nil
}

// Register registers the services of auth's kinds, and of tokens.
func (s *Server) Register(reg grpc.ServiceRegistrar) error {
	deps := resource.Deps{Store: s.deps.Store, Namespaces: s.deps.Namespaces, Log: s.deps.Log}
	if err := resource.Register(reg, deps, s.handlers()...); err != nil {
		return fmt.Errorf("auth: %w", err)
	}
	authv1.RegisterTokenServiceServer(reg, &tokenService{server: s})
	authv1.RegisterAccessServiceServer(reg, &accessService{server: s})
	return nil
}

// Run makes what must exist, changes keys when they are old, and does what a Verifier does, until ctx ends. Until it has
// begun, calls wait.
func (s *Server) Run(ctx context.Context) error {
	var failed error
	s.run(ctx,
		func() { s.keys.rotateByTime(ctx) },
		func() { s.retry(ctx, "make administrators known to the cluster", s.bindAdministrators) },
		func() {
			s.retry(ctx, "make built-in roles", s.makeBuiltIn)
			s.policy.follow(ctx, s.builtInKnown)
		},
		func() { s.writeAggregated(ctx) },
		func() {
			if s.mirror != nil {
				failed = s.mirror.Run(ctx)
			}
		},
	)
	return failed
}

// retry does a piece of work until it is done or ctx ends.
func (s *Server) retry(ctx context.Context, what string, work func(context.Context) error) {
	retry(ctx, s.deps.Log, what, work)
}

// Longest and shortest wait between tries.
const (
	minBackoff = 100 * time.Millisecond
	maxBackoff = 10 * time.Second
)

func retry(ctx context.Context, log *slog.Logger, what string, work func(context.Context) error) {
	wait := minBackoff
	for {
		err := work(ctx)
		if err == nil || ctx.Err() != nil {
			return
		}
		log.WarnContext(ctx, "auth: trying again", "work", what, "error", err, "after", wait)
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		wait = min(2*wait, maxBackoff)
	}
}
