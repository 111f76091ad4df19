// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"crypto/rand"
	"encoding/hex"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// RequestIDKey is the metadata key under which a request's id comes in and goes out.
const RequestIDKey = "x-request-id"

const maxRequestIDBytes = 128

// call is what the outer interceptors learn of a call from the inner ones.
type call struct {
	id   string
	user string
	err  error // before it became a status
	open bool
	// caller is who really calls. Its token is kept of streams only, and must never be logged.
	caller caller
	// remote tells that the caller is known by no token.
	remote bool
}

type callKey struct{}

// callFrom returns the call's notes; a context that did not pass requestid has notes that nobody reads.
func callFrom(ctx context.Context) *call {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return c
	}
	return &call{}
}

// RequestIDFrom returns the id of the request, empty where there is none.
func RequestIDFrom(ctx context.Context) string { return callFrom(ctx).id }

func requestID() interceptor {
	begin := func(ctx context.Context) (context.Context, metadata.MD) {
		id := incomingRequestID(ctx)
		return context.WithValue(ctx, callKey{}, &call{id: id}), metadata.Pairs(RequestIDKey, id)
	}
	return interceptor{
		name: InterceptorRequestID,
		unary: func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			ctx, header := begin(ctx)
			_ = grpc.SetHeader(ctx, header) // fails only where there is no transport to tell
			return next(ctx, req)
		},
		stream: func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			ctx, header := begin(ss.Context())
			_ = ss.SetHeader(header) // fails only once headers are sent
			return next(srv, &contextStream{ss, ctx})
		},
	}
}

// incomingRequestID returns the caller's id for the request if it can be logged as it is, else a new one.
func incomingRequestID(ctx context.Context) string {
	if given := metadata.ValueFromIncomingContext(ctx, RequestIDKey); len(given) == 1 && loggable(given[0]) {
		return given[0]
	}
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

func loggable(id string) bool {
	if id == "" || len(id) > maxRequestIDBytes {
		return false
	}
	for _, r := range id {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_', r == '.', r == ':':
		default:
			return false
		}
	}
	return true
}
