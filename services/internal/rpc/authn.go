// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"crypto/x509"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/wire"
)

// AuthorizationKey is the metadata key under which a token comes in, as `Bearer TOKEN`.
const AuthorizationKey = "authorization"

const howToSend = "send a token in the `authorization` header, as `Bearer TOKEN`; " +
	"the administrator's token is in the file that the server names when it starts, others are issued by fairlead.auth.v1.TokenService"

// authentication finds out who callers are.
type authentication struct {
	authn Authenticator
	authz Authorizer
	// clients tell whom client certificates of people stand for; nil where they stand for nobody.
	clients Clients
	methods *methods
	// ours are the authorities of our own services; nil where certificates do not tell which of them calls.
	ours     func() *x509.CertPool
	now      func() time.Time
	auditing *auditing
}

// authn finds out who the caller is. Only calls of health, of reflection and of methods with `access: {open: true}` need none.
func authn(a *authentication) interceptor {
	return interceptor{
		name: InterceptorAuthn,
		unary: func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			ctx, err := a.begin(ctx, info.FullMethod, false)
			if err != nil {
				a.auditing.refused(ctx, info.FullMethod, req, err)
				return nil, err
			}
			return next(ctx, req)
		},
		stream: func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			ctx, err := a.begin(ss.Context(), info.FullMethod, true)
			if err != nil {
				a.auditing.refused(ctx, info.FullMethod, nil, err)
				return err
			}
			return next(srv, &contextStream{ss, ctx})
		},
	}
}

func (a *authentication) begin(ctx context.Context, fullMethod string, stream bool) (context.Context, error) {
	c := callFrom(ctx)
	if a.methods.lookup(fullMethod).open {
		c.open = true
		return ctx, nil
	}
	md, _ := metadata.FromIncomingContext(ctx)
	as, err := impersonationOf(md)
	if err != nil {
		return ctx, err
	}
	who, err := a.caller(ctx, md, stream)
	if err != nil {
		return ctx, err
	}
	c.caller = who
	who.as = as
	id := who.id
	c.user = id.User
	if as != nil {
		if id, err = impersonated(ctx, a.authz, who.id, as); err != nil {
			return WithIdentity(ctx, who.id), err
		}
		c.user = id.User + " by " + who.id.User
	}
	return WithIdentity(ctx, id), nil
}

// caller is who really makes a call, and how that is known.
type caller struct {
	id *Identity
	// token and certificates are what the caller was known by, if it was by that. The token must never be logged.
	token        string
	certificates []*x509.Certificate
	// since is closed when what the caller was known by may stand for somebody else.
	since <-chan struct{}
	// as is whom the caller acts as; nil for itself.
	as *Impersonation
}

// caller finds out who makes a call: whom a service says that it calls for, one of our own services, whom a person's
// certificate stands for, or who holds a token.
func (a *authentication) caller(ctx context.Context, md metadata.MD, stream bool) (caller, error) {
	now := a.now()
	certs, chains := shown(ctx)
	service, cert := serviceOf(chains, a.ours, now)
	if hasRemote(md) {
		if !mayForward(ctx, service) {
			return caller{}, apierror.Unauthorized("the call says by %s metadata for whom it is made, which is believed of the gateway alone; %s", remoteUser, howToSend)
		}
		if len(md.Get(AuthorizationKey)) > 0 {
			return caller{}, apierror.Unauthorized("the call says twice for whom it is made: by %s metadata, and by a token; send one", remoteUser)
		}
		id, err := remoteIdentity(md)
		if err != nil {
			return caller{}, err
		}
		callFrom(ctx).remote = true
		return caller{id: id}, expiredOr(id, now)
	}
	if service == "" && len(certs) > 0 && a.clients != nil {
		who := caller{certificates: certs, since: changes(a.clients)} // before it is asked
		var err error
		if who.id, err = a.clients.Client(certs, now); who.id != nil || err != nil {
			callFrom(ctx).remote = true
			return who, err //nolint:wrapcheck // an error of ours
		}
	}
	if service != "" && service != wire.ServiceGateway && ownCall(md) {
		return caller{id: serviceIdentity(service, cert)}, nil
	}
	token, err := bearer(md.Get(AuthorizationKey))
	if err != nil {
		return caller{}, err
	}
	who := caller{}
	if stream {
		who.token, who.since = token, changes(a.authn) // before it is asked
	}
	who.id, err = a.authn.Authenticate(ctx, token)
	if err != nil {
		return caller{}, err
	}
	if who.id == nil || who.id.User == "" {
		return caller{}, apierror.Unauthorized("the token names no user; %s", howToSend)
	}
	return who, nil
}

func expiredOr(id *Identity, now time.Time) error {
	if !id.Expires.IsZero() && !now.Before(id.Expires) {
		return apierror.Unauthorized("the %s that the caller was known by has expired; sign in again", id.Source)
	}
	return nil
}

// bearer returns the token among the headers that the caller sent. No part of what was sent is in the error.
func bearer(sent []string) (string, error) {
	switch len(sent) {
	case 0:
		return "", apierror.Unauthorized("no token came with the call; %s", howToSend)
	case 1:
	default:
		return "", apierror.Unauthorized("%d tokens came with the call, send one", len(sent))
	}
	token, ok := Bearer(sent[0])
	if !ok {
		return "", apierror.Unauthorized("the `authorization` header holds no bearer token; %s", howToSend)
	}
	return token, nil
}
