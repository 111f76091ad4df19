// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"

	"google.golang.org/grpc"
)

// Names of the interceptors.
const (
	// InterceptorRequestID gives the call an id.
	InterceptorRequestID = "requestid"
	// InterceptorLog writes a line when the call is done.
	InterceptorLog = "log"
	// InterceptorMetrics counts and times the call.
	InterceptorMetrics = "metrics"
	// InterceptorRecovery turns panics into errors and every error into a gRPC status.
	InterceptorRecovery = "recovery"
	// InterceptorDeadline gives unary calls without one a deadline.
	InterceptorDeadline = "deadline"
	// InterceptorAuthn finds out who the caller is.
	InterceptorAuthn = "authn"
	// InterceptorAudit notes who did what.
	InterceptorAudit = "audit"
	// InterceptorLimits has the call wait for the turn of its user.
	InterceptorLimits = "limits"
	// InterceptorAuthz finds out whether the caller may.
	InterceptorAuthz = "authz"
	// InterceptorValidate checks the shape of requests.
	InterceptorValidate = "validate"
)

// Interceptors returns the names of the interceptors, in the order in which a call passes them.
func Interceptors() []string {
	return []string{
		InterceptorRequestID,
		InterceptorLog,
		InterceptorMetrics,
		InterceptorRecovery,
		InterceptorDeadline,
		InterceptorAuthn,
		InterceptorAudit,
		InterceptorLimits,
		InterceptorAuthz,
		InterceptorValidate,
	}
}

// interceptor is one step that every call passes. A nil function lets the call pass.
type interceptor struct {
	name   string
	unary  grpc.UnaryServerInterceptor
	stream grpc.StreamServerInterceptor
}

// chain holds interceptors, the outermost first.
type chain []interceptor

func (c chain) unary() []grpc.UnaryServerInterceptor {
	var out []grpc.UnaryServerInterceptor
	for _, i := range c {
		if i.unary != nil {
			out = append(out, i.unary)
		}
	}
	return out
}

func (c chain) stream() []grpc.StreamServerInterceptor {
	var out []grpc.StreamServerInterceptor
	for _, i := range c {
		if i.stream != nil {
			out = append(out, i.stream)
		}
	}
	return out
}

// contextStream is a stream with another context.
type contextStream struct {
	grpc.ServerStream

	ctx context.Context //nolint:containedctx // grpc.ServerStream hands its context out by a method
}

func (s *contextStream) Context() context.Context { return s.ctx }
