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
	"google.golang.org/protobuf/reflect/protoreflect"
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
	// Convert is needed for older forms of a kind, and for them only. Hooks of an older form see objects of that form, and
	// then those of the stored form see what came of them.
	Convert *Conversion
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
	servers, err := newServers(d, checker, hs)
	if err != nil {
		return err
	}
	for _, s := range servers {
		desc, err := s.describe()
		if err != nil {
			return err
		}
		reg.RegisterService(desc, s)
	}
	return nil
}

// newServers makes the server of each handler's kind; those of older forms know that of their stored form.
func newServers(d Deps, checker *shape.Checker, hs []Handler) ([]*server, error) {
	servers := make([]*server, len(hs))
	byMessage := map[protoreflect.FullName]*server{}
	for i, h := range hs {
		s, err := newServer(h, d, checker)
		if err != nil {
			return nil, err
		}
		servers[i], byMessage[h.Kind.Message] = s, s
	}
	for _, s := range servers {
		isOlder := s.Kind.StoredVersion != ""
		if isOlder != (s.Convert != nil) {
			return nil, fmt.Errorf("resource: %s of %s: an older form needs a Conversion, and no other kind may have one", s.Kind.Kind, s.Kind.APIVersion())
		}
		if !isOlder {
			continue
		}
		stored := byMessage[s.stored.Message]
		if stored == nil {
			return nil, fmt.Errorf("resource: %s of %s is stored as %s: register both together", s.Kind.Kind, s.Kind.APIVersion(), s.stored.APIVersion())
		}
		var err error
		if s.older, err = newOlder(s, stored); err != nil {
			return nil, err
		}
	}
	return servers, track(servers)
}
