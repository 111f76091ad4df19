// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"crypto/x509"
	"time"

	"fairlead.dev/services/internal/apierror"
)

// ClusterPrefix is what our users and groups begin with where the cluster sees them.
const ClusterPrefix = "fairlead:"

// Source tells how a caller was known.
type Source string

// Sources of identities.
const (
	// SourceToken is a token of ours. The zero Source means the same.
	SourceToken Source = "token"
	// SourceCluster is a token of the cluster's: what it stands for and may do is the cluster's to say, and can change
	// without our being told.
	SourceCluster Source = "cluster"
	// SourceCertificate is a client certificate of our own authority, which only our services have.
	SourceCertificate Source = "certificate"
	// SourceOIDC is a token of an issuer that the operator named.
	SourceOIDC Source = "oidc"
	// SourceUserCertificate is a person's client certificate, by an authority that the operator named.
	SourceUserCertificate Source = "client certificate"
	// SourceClusterCertificate is a client certificate of the cluster's authority, of one of its own users.
	SourceClusterCertificate Source = "cluster certificate"
	// SourceFrontProxy is what a front proxy says, whose certificate was verified. It tells of users of the cluster's.
	SourceFrontProxy Source = "front proxy"
)

// OfCluster tells that whoever is known by the source is the cluster's own: it knows them by the same names, and what they
// may do is its to say as well.
func (s Source) OfCluster() bool {
	return s == SourceCluster || s == SourceClusterCertificate || s == SourceFrontProxy
}

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
	// Extra is what else the source of the identity says of it, such as the pod that a cluster's token is bound to.
	Extra map[string][]string
	// Expires is when the token or certificate ceases to hold; zero where that is not known.
	Expires time.Time
	// Source is how the caller was known.
	Source Source
	// Impersonator is who really calls, where the caller acts as somebody else; nil otherwise.
	Impersonator *Identity
}

// Real is who really calls.
func (id *Identity) Real() *Identity {
	if id.Impersonator != nil {
		return id.Impersonator
	}
	return id
}

// Authenticator tells who holds a token. An error that is no apierror.Error counts as a fault of the server.
type Authenticator interface {
	Authenticate(ctx context.Context, token string) (*Identity, error)
}

// Clients tells whom client certificates of people stand for. It is a Changing where that changes.
type Clients interface {
	// Client returns whom the first of the certificates stands for, which a client has sent; nil if it is none of a person's.
	Client(certs []*x509.Certificate, now time.Time) (*Identity, error)
	// ClientCAs returns the authorities that have signed them.
	ClientCAs() []*x509.Certificate
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
	// Path is the path of what is no resource (`nonResourceURLs` in roles); all but Verb are empty then.
	Path string
}

// Authorizer tells whether a caller may do something: nil means yes, an apierror of reason Forbidden no.
type Authorizer interface {
	Authorize(ctx context.Context, id *Identity, a Attributes) error
}

// Changing is implemented by Authenticators and Authorizers whose answers change: streams that are open are asked about
// again when they do, and end when the answer has become no.
type Changing interface {
	// Changed returns a channel that is closed once an answer given after this call may differ from one given before:
	// a token was revoked, a key has gone, a role or a binding was written. It is closed after the answers have changed.
	Changed() <-chan struct{}
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
		return apierror.Forbidden(apierror.Resource{}, "", "user %q may not create here; ask an administrator for the right", id.User)
	}
	return nil
}
