// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"fairlead.dev/services/internal/apierror"
)

// AuthorizationKey is the metadata key under which a token comes in, as `Bearer TOKEN`.
const AuthorizationKey = "authorization"

const howToSend = "send a token in the `authorization` header, as `Bearer TOKEN`; " +
	"the administrator's token is in the file that the server names when it starts, others are issued by fairlead.auth.v1.TokenService"

// authentication finds out who callers are.
type authentication struct {
	authn   Authenticator
	methods *methods
	// certificates tells that a client certificate stands for one of our services.
	certificates bool
	now          func() time.Time
	auditing     *auditing
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
	if a.certificates {
		if id := ofCertificate(ctx, a.now()); id != nil {
			c.user = id.User
			return WithIdentity(ctx, id), nil
		}
	}
	token, err := bearer(metadata.ValueFromIncomingContext(ctx, AuthorizationKey))
	if err != nil {
		return ctx, err
	}
	if stream {
		c.token, c.sinceAuthn = token, changes(a.authn) // before it is asked
	}
	id, err := a.authn.Authenticate(ctx, token)
	if err != nil {
		return ctx, err
	}
	if id == nil || id.User == "" {
		return ctx, apierror.Unauthorized("the token names no user; %s", howToSend)
	}
	c.user = id.User
	return WithIdentity(ctx, id), nil
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
	scheme, token, _ := strings.Cut(sent[0], " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(scheme, "bearer") || token == "" {
		return "", apierror.Unauthorized("the `authorization` header holds no bearer token; %s", howToSend)
	}
	return token, nil
}
