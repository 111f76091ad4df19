// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package tracing

import (
	"context"
	"log/slog"
)

// Keys of the attributes that LogHandler adds.
const (
	logTraceID   = "trace_id"
	logRequestID = "request_id"
)

// LogHandler adds to each line the trace and the request that it is about, as the context of the line knows them.
// requestID tells the request's id of a context; it may be nil.
func LogHandler(h slog.Handler, requestID func(context.Context) string) slog.Handler {
	return &logHandler{Handler: h, requestID: requestID}
}

type logHandler struct {
	slog.Handler

	requestID func(context.Context) string
}

// Handle implements slog.Handler.
func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	trace, request := TraceID(ctx), ""
	if h.requestID != nil {
		request = h.requestID(ctx)
	}
	if trace == "" && request == "" {
		return h.Handler.Handle(ctx, r) //nolint:wrapcheck // a pass-through
	}
	r.Attrs(func(a slog.Attr) bool { // what the line says itself stands once
		switch a.Key {
		case logTraceID:
			trace = ""
		case logRequestID:
			request = ""
		}
		return true
	})
	r = r.Clone()
	if request != "" {
		r.AddAttrs(slog.String(logRequestID, request))
	}
	if trace != "" {
		r.AddAttrs(slog.String(logTraceID, trace))
	}
	return h.Handler.Handle(ctx, r) //nolint:wrapcheck // a pass-through
}

// WithAttrs implements slog.Handler.
func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &logHandler{Handler: h.Handler.WithAttrs(attrs), requestID: h.requestID}
}

// WithGroup implements slog.Handler.
func (h *logHandler) WithGroup(name string) slog.Handler {
	return &logHandler{Handler: h.Handler.WithGroup(name), requestID: h.requestID}
}
