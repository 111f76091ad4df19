// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"errors"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"fairlead.dev/services/internal/apierror"
)

// authz finds out whether the caller may make the call. A method that says nothing about the right it needs is refused.
func authz(authorizer Authorizer, methods *methods) interceptor {
	a := &authorization{authorizer}
	return interceptor{
		name: InterceptorAuthz,
		unary: func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			msg, _ := req.(proto.Message)
			ctx, err := a.check(ctx, info.FullMethod, methods.lookup(info.FullMethod), msg)
			if err != nil {
				return nil, err
			}
			return next(ctx, req)
		},
		stream: func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			m := methods.lookup(info.FullMethod)
			if !m.readsRequest() {
				if _, err := a.check(ss.Context(), info.FullMethod, m, nil); err != nil {
					return err
				}
				return next(srv, ss)
			}
			return next(srv, &authorizedStream{ServerStream: ss, check: func(msg proto.Message) error {
				_, err := a.check(ss.Context(), info.FullMethod, m, msg)
				return err
			}})
		},
	}
}

type authorization struct{ authorizer Authorizer }

func (a *authorization) check(ctx context.Context, fullMethod string, m method, msg proto.Message) (context.Context, error) {
	if m.open {
		return ctx, nil
	}
	id, ok := IdentityFrom(ctx)
	if !ok {
		return ctx, apierror.Unauthorized("no caller is known; %s", howToSend)
	}
	if m.authenticated {
		return ctx, nil
	}
	attrs, ok := m.attributes(msg)
	if !ok {
		return ctx, apierror.Forbidden(apierror.Resource{}, "", "%s is closed: it does not say which right it needs", fullMethod)
	}
	if err := a.authorizer.Authorize(ctx, id, attrs); err != nil {
		return ctx, err
	}
	if m.mayCreate(msg) {
		create := attrs
		create.Verb, create.Subresource = verbCreate, ""
		ctx = withCreateRight(ctx, a.authorizer.Authorize(ctx, id, create))
	}
	return ctx, nil
}

// authorizedStream authorises a stream by its first message, before the handler sees it. Until then nothing is sent.
type authorizedStream struct {
	grpc.ServerStream

	check func(proto.Message) error
	done  bool
}

var errSentTooEarly = errors.New("rpc: the handler answered before it had read a request, so that nothing is authorised")

func (s *authorizedStream) RecvMsg(m any) error {
	if err := s.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	if s.done {
		return nil
	}
	msg, _ := m.(proto.Message)
	if err := s.check(msg); err != nil {
		return err
	}
	s.done = true
	return nil
}

func (s *authorizedStream) SendMsg(m any) error {
	if !s.done {
		return errSentTooEarly
	}
	return s.ServerStream.SendMsg(m)
}
