// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"fairlead.dev/services/internal/apierror"
)

// AuthorizationKey is the metadata key under which a token comes in, as `Bearer TOKEN`.
const AuthorizationKey = "authorization"

const howToSend = "send a token in the `authorization` header, as `Bearer TOKEN`; " +
	"the administrator's token is in the file that the server names when it starts, others are issued by fairlead.auth.v1.TokenService"

// authn finds out who the caller is. Only calls of health and reflection need no token.
func authn(authenticator Authenticator, methods *methods) interceptor {
	begin := func(ctx context.Context, fullMethod string) (context.Context, error) {
		if methods.lookup(fullMethod).open {
			callFrom(ctx).open = true
			return ctx, nil
		}
		token, err := bearer(ctx)
		if err != nil {
			return ctx, err
		}
		id, err := authenticator.Authenticate(ctx, token)
		if err != nil {
			return ctx, err
		}
		if id == nil || id.User == "" {
			return ctx, apierror.Unauthorized("the token names no user; %s", howToSend)
		}
		callFrom(ctx).user = id.User
		return WithIdentity(ctx, id), nil
	}
	return interceptor{
		name: InterceptorAuthn,
		unary: func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			ctx, err := begin(ctx, info.FullMethod)
			if err != nil {
				return nil, err
			}
			return next(ctx, req)
		},
		stream: func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			ctx, err := begin(ss.Context(), info.FullMethod)
			if err != nil {
				return err
			}
			return next(srv, &contextStream{ss, ctx})
		},
	}
}

// bearer returns the token that the caller sent. No part of what was sent is in the error.
func bearer(ctx context.Context) (string, error) {
	sent := metadata.ValueFromIncomingContext(ctx, AuthorizationKey)
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
