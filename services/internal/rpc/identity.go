// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"

	"fairlead.dev/services/internal/apierror"
)

// ClusterPrefix is what our users and groups begin with where the cluster sees them.
const ClusterPrefix = "fairlead:"

// Identity is who a caller is taken for.
type Identity struct {
	// User is the user's name.
	User string
	// Groups are the user's groups.
	Groups []string
	// UID tells users of the same name apart, where the source of the identity does.
	UID string
	// TokenID is the id by which the caller's token can be revoked.
	TokenID string
}

// Authenticator tells who holds a token. An error that is no apierror.Error counts as a fault of the server.
type Authenticator interface {
	Authenticate(ctx context.Context, token string) (*Identity, error)
}

// Attributes says what a call wants to do.
type Attributes struct {
	// Verb is get, list, watch, create, update, patch, delete, deletecollection, or a method's own.
	Verb string
	// Group is the API group.
	Group string
	// Resource is the plural of the kind.
	Resource string
	// Subresource is the part of the object that is meant; empty for the object itself.
	Subresource string
	// Namespace is the namespace; empty for all of them, and for what has none.
	Namespace string
	// Name is the object's name; empty for calls on many objects, and for creations.
	Name string
}

// Authorizer tells whether a caller may do something: nil means yes, an apierror of reason Forbidden no.
type Authorizer interface {
	Authorize(ctx context.Context, id *Identity, a Attributes) error
}

type identityKey struct{}

// WithIdentity returns a context of a caller who is taken for id.
func WithIdentity(ctx context.Context, id *Identity) context.Context {
	return context.WithValue(ctx, identityKey{}, id)
}

// IdentityFrom returns who the caller is, if a caller was authenticated.
func IdentityFrom(ctx context.Context) (*Identity, bool) {
	id, ok := ctx.Value(identityKey{}).(*Identity)
	return id, ok && id != nil
}

type createRightKey struct{}

// withCreateRight remembers whether the caller of a patch may create the object as well.
func withCreateRight(ctx context.Context, denied error) context.Context {
	return context.WithValue(ctx, createRightKey{}, &denied)
}

// MayCreate tells whether the caller of a patch that creates what does not exist has the right to create it. Calls that
// did not pass the server's interceptors are our own, and may.
func MayCreate(ctx context.Context) error {
	if denied, ok := ctx.Value(createRightKey{}).(*error); ok {
		return *denied
	}
	if id, ok := IdentityFrom(ctx); ok {
		return apierror.Forbidden(apierror.Resource{}, "", "user %q was not asked for the right to create", id.User)
	}
	return nil
}
