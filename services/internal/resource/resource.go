// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package resource serves the kinds of objects: every verb of every kind from one implementation, driven by
// descriptors, with the manners of a Kubernetes API server. A service adds what only it knows by Hooks.
package resource

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"google.golang.org/grpc"
	"k8s.io/apimachinery/pkg/api/validation"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/kube"
	"fairlead.dev/services/internal/rpc/shape"
	"fairlead.dev/services/internal/store"
)

// Hooks are what a service knows of a kind beyond its descriptor. Each is optional. They may run more than once for one
// call, when others write at the same time, and they run for dry runs too. Objects are the hook's to change only where
// that is said.
type Hooks struct {
	// Default fills in what obj leaves open; it may change obj but not old. old is nil on creation.
	Default func(ctx context.Context, obj, old store.Object)
	// Validate returns every fault of obj that its proto's constraints cannot tell. old is nil on creation.
	Validate func(ctx context.Context, obj, old store.Object) []apierror.Cause
	// Authorize refuses writes that need more than the verb's right. It sees objects without faults. old is nil on creation.
	Authorize func(ctx context.Context, obj, old store.Object) error
}

// Handler says how a kind is served.
type Handler struct {
	Hooks

	// Kind is the kind.
	Kind kinds.Kind
	// ValidName tells what is wrong with a name, or with the prefix of one; nil means that names are DNS subdomains.
	ValidName validation.ValidateNameFunc
}

// Namespaces tells whether objects can be made in a namespace.
type Namespaces interface {
	State(ctx context.Context, name string) (kube.NamespaceState, error)
}

// Deps are what handlers work with.
type Deps struct {
	// Store keeps the objects.
	Store *store.Store
	// Namespaces is asked before an object is made; nil means that every namespace exists.
	Namespaces Namespaces
	// Log gets what goes wrong in the background; nil means that nothing is logged.
	Log *slog.Logger
}

// Register registers the service of each handler's kind.
func Register(reg grpc.ServiceRegistrar, d Deps, hs ...Handler) error {
	if d.Store == nil {
		return errors.New("resource: Deps.Store is missing")
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	checker, err := shape.New()
	if err != nil {
		return fmt.Errorf("resource: %w", err)
	}
	for _, h := range hs {
		s, err := newServer(h, d, checker)
		if err != nil {
			return err
		}
		desc, err := s.describe()
		if err != nil {
			return err
		}
		reg.RegisterService(desc, s)
	}
	return nil
}
