// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package namespaces has our objects go when their Kubernetes namespace goes.
package namespaces

import (
	"context"
	"fmt"
	"log/slog"

	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/kube"
	"fairlead.dev/services/internal/reconcile"
	"fairlead.dev/services/internal/store"
)

// States tells the state of namespaces, asking the cluster where it is not sure.
type States interface {
	State(ctx context.Context, name string) (kube.NamespaceState, error)
}

// Run deletes the objects of all kinds in namespaces that are ending or gone, until ctx ends. Finalizers are honoured.
func Run(ctx context.Context, s *store.Store, c *kube.Client, all []kinds.Kind, log *slog.Logger) error {
	informer, err := c.Informer(kube.Namespaces)
	if err != nil {
		return fmt.Errorf("namespaces: %w", err)
	}
	sources := []reconcile.Source{reconcile.FromInformer(informer, func(ns kmetav1.Object) []store.Key {
		return []store.Key{{Name: ns.GetName()}}
	})}
	for _, k := range all {
		if k.Namespaced {
			// What is there already when we start may be in a namespace that went while we were away.
			sources = append(sources, reconcile.FromCache(s.Cache(k), func(o store.Object) []store.Key {
				return []store.Key{{Name: o.GetMetadata().GetNamespace()}}
			}))
		}
	}
	r := &reaper{store: s, states: c, kinds: all}
	return reconcile.Run(ctx, "namespaces", r, reconcile.Options{Workers: 2, Log: log}, sources...) //nolint:wrapcheck // says it all
}

type reaper struct {
	store  *store.Store
	states States
	kinds  []kinds.Kind
}

// Reconcile deletes what is in a namespace, unless objects may live in it.
func (r *reaper) Reconcile(ctx context.Context, key store.Key) (reconcile.Result, error) {
	state, err := r.states.State(ctx, key.Name)
	if err != nil || state == kube.NamespaceActive {
		return reconcile.Result{}, err //nolint:wrapcheck // says it all
	}
	for _, k := range r.kinds {
		if !k.Namespaced {
			continue
		}
		for _, obj := range r.store.Cache(k).List(key.Name, nil) {
			if obj.GetMetadata().GetDeletionTimestamp() != nil {
				continue
			}
			uid := obj.GetMetadata().GetUid()
			_, err := r.store.Delete(ctx, k, store.KeyOf(obj), store.DeleteOptions{UID: &uid})
			if err != nil && !apierror.IsNotFound(err) && !apierror.IsConflict(err) {
				return reconcile.Result{}, fmt.Errorf("delete %s %s: %w", k.Plural, store.KeyOf(obj), err)
			}
		}
	}
	return reconcile.Result{}, nil
}
