// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package mirror keeps in the cluster what holds there as well: service accounts, and roles and bindings that ask for it.
// It goes one way. A write of a role or binding is first tried in the cluster in the caller's name, so that nobody gives
// there what they could not give there themselves; what drifts afterwards goes back to what was so accepted.
package mirror

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"
	rbacv1 "k8s.io/api/rbac/v1"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/kube"
	"fairlead.dev/services/internal/lease"
	"fairlead.dev/services/internal/reconcile"
	"fairlead.dev/services/internal/store"
)

// Annotation is what, while it is `true`, has a role or binding hold in the cluster as well.
const Annotation = "auth.fairlead.dev/mirror"

// fieldManager is who writes mirrored objects in the cluster.
const fieldManager = "fairlead-auth"

// Kinds are the kinds that are mirrored.
type Kinds struct {
	Role, ClusterRole, RoleBinding, ClusterRoleBinding, ServiceAccount kinds.Kind
}

// Deps are what a Mirror works with.
type Deps struct {
	// Store keeps what is mirrored. It has to run.
	Store *store.Store
	// Kube reaches the cluster. It has to run.
	Kube *kube.Client
	// Log gets what happens.
	Log *slog.Logger
	// Lease shares the work with other processes; nil means that there are none.
	Lease *lease.Member
	// Tracer makes spans of what controllers do; nil means none.
	Tracer trace.TracerProvider
}

// Mirror keeps in the cluster what holds there as well.
type Mirror struct {
	kinds Kinds
	deps  Deps
}

// New makes a Mirror. It asks nothing of store or cluster yet.
func New(k Kinds, deps Deps) *Mirror {
	deps.Kube = deps.Kube.As(fieldManager)
	return &Mirror{kinds: k, deps: deps}
}

// Kube reaches the cluster that is mirrored to.
func (m *Mirror) Kube() *kube.Client { return m.deps.Kube }

// resource returns the resource of the cluster that mirrors a kind.
func (m *Mirror) resource(k kinds.Kind) schema.GroupVersionResource {
	if k.Kind == m.kinds.ServiceAccount.Kind {
		return serviceAccounts
	}
	return rbacv1.SchemeGroupVersion.WithResource(k.Plural) // the names are the same
}

// Run mirrors until ctx ends.
func (m *Mirror) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, k := range []kinds.Kind{m.kinds.Role, m.kinds.ClusterRole, m.kinds.RoleBinding, m.kinds.ClusterRoleBinding} {
		r := &rights{mirror: m, kind: k}
		g.Go(func() error { return m.control(ctx, k, r) })
	}
	accounts := &accounts{mirror: m, kind: m.kinds.ServiceAccount, objects: accountsOf(m)}
	g.Go(func() error { return m.control(ctx, m.kinds.ServiceAccount, accounts) })
	if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("auth: mirror: %w", err)
	}
	return nil
}

// control runs the controller of a kind.
func (m *Mirror) control(ctx context.Context, k kinds.Kind, r reconcile.Reconciler) error {
	informer, err := m.deps.Kube.Informer(m.resource(k))
	if err != nil {
		return err //nolint:wrapcheck // wrapped by the caller
	}
	options := reconcile.Options{
		Workers: 2, Log: m.deps.Log, Tracer: m.deps.Tracer, Group: m.deps.Lease.Group("auth-"+k.Plural, 1),
	}
	return reconcile.Run(ctx, "auth-"+k.Plural, r, options, //nolint:wrapcheck // wrapped by the caller
		reconcile.FromCache(m.deps.Store.Cache(k), nil),
		reconcile.FromInformer(informer, func(obj kmetav1.Object) []store.Key {
			namespace, name, ok := kube.OwnerKey(k, obj)
			if !ok {
				return nil
			}
			return []store.Key{{Namespace: namespace, Name: name}}
		}))
}

// prune deletes what the cluster has of an object that does not hold there any more, as a cache says. Caches are behind, and
// what is deleted there takes rights and tokens with it: the store itself is asked first. What holds by its word stays; the
// cache will tell.
func (m *Mirror) prune(ctx context.Context, k kinds.Kind, key store.Key, holds func(store.Object) bool) error {
	owner := kube.Owner{Group: k.Group, Version: k.Version, Kind: k.Kind, Namespace: key.Namespace, Name: key.Name}
	there, err := m.deps.Kube.Owned(m.resource(k), owner)
	if err != nil || len(there) == 0 {
		return err //nolint:wrapcheck // the step is named
	}
	obj, err := m.deps.Store.Get(ctx, k, key)
	switch {
	case err != nil && !apierror.IsNotFound(err):
		return err //nolint:wrapcheck // the step is named
	case err == nil && holds(obj):
		return nil
	}
	return m.deps.Kube.Prune(ctx, m.resource(k), owner) //nolint:wrapcheck // the step is named
}

// stays tells whether an object is there to stay.
func stays(obj store.Object) bool { return obj.GetMetadata().GetDeletionTimestamp() == nil }
