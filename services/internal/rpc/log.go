// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// logCalls writes one line for each call, without anything that the request or the response holds.
func logCalls(log *slog.Logger) interceptor {
	line := func(ctx context.Context, method string, began time.Time, err error) {
		c := callFrom(ctx)
		code := status.Code(err)
		attrs := []slog.Attr{
			slog.String("method", method),
			slog.String("code", code.String()),
			slog.Duration("duration", time.Since(began)),
			slog.String("request_id", c.id),
		}
		if c.user != "" {
			attrs = append(attrs, slog.String("user", c.user))
		}
		if p, ok := peer.FromContext(ctx); ok {
			attrs = append(attrs, slog.String("peer", p.Addr.String()))
		}
		if c.err != nil {
			attrs = append(attrs, slog.String("error", wholeError(c.err)))
		}
		log.LogAttrs(ctx, level(code, c.open), "call done", attrs...)
	}
	return interceptor{
		name: InterceptorLog,
		unary: func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			began := time.Now()
			resp, err := next(ctx, req)
			line(ctx, info.FullMethod, began, err)
			return resp, err
		},
		stream: func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			began := time.Now()
			err := next(srv, ss)
			line(ss.Context(), info.FullMethod, began, err)
			return err
		},
	}
}

// level is Error for faults of our own, Debug for health probes and the like, and else Info.
func level(code codes.Code, open bool) slog.Level {
	switch {
	case code == codes.Internal, code == codes.Unknown, code == codes.DataLoss:
		return slog.LevelError
	case open && code == codes.OK:
		return slog.LevelDebug
	default:
		return slog.LevelInfo
	}
}

// wholeError returns an error's text with that of what led to it, which users do not see.
func wholeError(err error) string {
	text := err.Error()
	type wrapper interface{ Unwrap() error }
	for {
		w, ok := err.(wrapper)
		if !ok || w.Unwrap() == nil {
			return text
		}
		err = w.Unwrap()
		if inner := err.Error(); !strings.Contains(text, inner) {
			text += ": " + inner
		}
	}
}
