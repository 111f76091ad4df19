// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"strings"

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
	if errors.Is(err, io.EOF) {
		err = apierror.BadRequest("the call ended before its request was whole").Wrap(err)
	}
	return apierror.ToStatus(bounded(apierror.From(err))).Err()
}

// Bounds of an error, which travels in HTTP/2 headers and may repeat what the caller sent.
const (
	maxCauses       = 100
	maxMessageBytes = 8 << 10
	maxCauseBytes   = 1 << 10
	maxErrorName    = 253
)

// bounded cuts an error to what a header can carry.
func bounded(e *apierror.Error) *apierror.Error {
	out := *e
	out.Message, out.Name = cut(e.Message, maxMessageBytes), cut(e.Name, maxErrorName)
	more := len(e.Causes) - maxCauses
	if more > 0 {
		out.Causes = append(slices.Clone(e.Causes[:maxCauses]), apierror.Invalid("", fmt.Sprintf("and %d more faults", more)))
	}
	for i, c := range out.Causes {
		if len(c.Message) > maxCauseBytes || len(c.Field) > maxCauseBytes {
			out.Causes = slices.Clone(out.Causes)
			out.Causes[i].Message, out.Causes[i].Field = cut(c.Message, maxCauseBytes), cut(c.Field, maxCauseBytes)
		}
	}
	return &out
}

func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}
