// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"fmt"
	"runtime/debug"

	"google.golang.org/grpc"

	"fairlead.dev/services/internal/apierror"
)

// recovery is where errors become gRPC statuses, panics among them. What the caller must not see is left to the log.
func recovery() interceptor {
	return interceptor{
		name: InterceptorRecovery,
		unary: func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (resp any, err error) {
			defer func() {
				if err = asStatus(ctx, recover(), err); err != nil {
					resp = nil
				}
			}()
			return next(ctx, req)
		},
		stream: func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
			defer func() { err = asStatus(ss.Context(), recover(), err) }()
			return next(srv, ss)
		},
	}
}

func asStatus(ctx context.Context, panicked any, err error) error {
	if panicked != nil {
		err = fmt.Errorf("panic: %v\n%s", panicked, debug.Stack())
	}
	if err == nil {
		return nil
	}
	callFrom(ctx).err = err
	return apierror.ToStatus(err).Err()
}
