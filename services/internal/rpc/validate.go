// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/rpc/shape"
)

// newValidation checks requests against the constraints in their protos. The objects of kinds are left to package
// resource, which checks them once defaults are set, and tells all of their faults together.
func newValidation() (interceptor, error) {
	checker, err := shape.New()
	if err != nil {
		return interceptor{}, err
	}
	check := func(m any) error {
		msg, ok := m.(proto.Message)
		if !ok {
			return nil
		}
		causes, err := checker.Check(msg, isKind)
		if err != nil {
			return err
		}
		return invalidRequest(causes)
	}
	return interceptor{
		name: InterceptorValidate,
		unary: func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			if err := check(req); err != nil {
				return nil, err
			}
			return next(ctx, req)
		},
		stream: func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			return next(srv, &validatedStream{ss, check})
		},
	}, nil
}

func isKind(field protoreflect.FieldDescriptor) bool {
	if field.Message() == nil {
		return false
	}
	_, ok := kinds.ByMessage(field.Message().FullName())
	return ok
}

func invalidRequest(causes []apierror.Cause) error {
	if len(causes) == 0 {
		return nil
	}
	texts := make([]string, len(causes))
	for i, c := range causes {
		texts[i] = c.Field + ": " + c.Message
	}
	e := apierror.New(apierror.ReasonInvalid, "the request is invalid: %s", strings.Join(texts, ", "))
	e.Causes = causes
	return e
}

type validatedStream struct {
	grpc.ServerStream

	check func(any) error
}

func (s *validatedStream) RecvMsg(m any) error {
	if err := s.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	return s.check(m)
}
