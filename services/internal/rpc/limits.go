// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"

	"google.golang.org/grpc"
)

// Limits shares the server among its users.
type Limits interface {
	// Do calls serve when it is the user's turn, or returns why not.
	Do(ctx context.Context, user string, serve func()) error
	// Open counts a stream of the user until done is called, or returns why it may not begin.
	Open(user string) (done func(), err error)
}

// limit has calls wait for the turn of their user. Calls that any authenticated caller may make are not held up: they
// answer from memory, or make calls in the caller's name that are.
func limit(limits Limits, methods *methods) interceptor {
	if limits == nil {
		return interceptor{name: InterceptorLimits}
	}
	limited := func(ctx context.Context, fullMethod string) (string, bool) {
		m := methods.lookup(fullMethod)
		id, ok := IdentityFrom(ctx)
		if !ok || m.open || m.authenticated {
			return "", false
		}
		return id.User, true
	}
	return interceptor{
		name: InterceptorLimits,
		unary: func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (res any, err error) {
			user, ok := limited(ctx, info.FullMethod)
			if !ok {
				return next(ctx, req)
			}
			if refused := limits.Do(ctx, user, func() { res, err = next(ctx, req) }); refused != nil {
				return nil, refused
			}
			return res, err
		},
		stream: func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			user, ok := limited(ss.Context(), info.FullMethod)
			if !ok {
				return next(srv, ss)
			}
			done, err := limits.Open(user)
			if err != nil {
				return err
			}
			defer done()
			return next(srv, ss)
		},
	}
}
