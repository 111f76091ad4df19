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
// Streams end when the caller may no longer.
func authz(authorizer Authorizer, methods *methods, streams *streams) interceptor {
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
			if m.open {
				return next(srv, ss)
			}
			if _, ok := IdentityFrom(ss.Context()); !ok {
				return nobody()
			}
			open := streams.begin(ss, info.IsClientStream)
			return open.close(a.stream(srv, open, info.FullMethod, m, next))
		},
	}
}

type authorization struct{ authorizer Authorizer }

// stream authorises a stream, by its first message where that tells which right it needs.
func (a *authorization) stream(srv any, open *openStream, fullMethod string, m method, next grpc.StreamHandler) error {
	check := func(msg proto.Message) error {
		since := changes(a.authorizer) // before it is asked
		if _, err := a.check(open.ctx, fullMethod, m, msg); err != nil {
			return err
		}
		if attrs, ok := m.attributes(msg); ok {
			open.allowed(attrs, since)
		}
		return nil
	}
	if m.readsRequest() {
		return next(srv, &authorizedStream{ServerStream: open, check: check})
	}
	if err := check(nil); err != nil {
		return err
	}
	return next(srv, open)
}

func nobody() error { return apierror.Unauthorized("no caller is known; %s", howToSend) }

func (a *authorization) check(ctx context.Context, fullMethod string, m method, msg proto.Message) (context.Context, error) {
	if m.open {
		return ctx, nil
	}
	id, ok := IdentityFrom(ctx)
	if !ok {
		return ctx, nobody()
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
