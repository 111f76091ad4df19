// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package tracing

import (
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// HTTP begins the span of an HTTP request, below its caller's where the request brings one. The function that it returns
// ends it, under a name of few values, such as the method and the route: no ids belong in it.
func HTTP(p trace.TracerProvider, r *http.Request) (_ *http.Request, end func(name string, code int)) {
	if p == nil {
		return r, func(string, int) {}
	}
	ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	ctx, span := Begin(ctx, p, r.Method, trace.WithSpanKind(trace.SpanKindServer))
	return r.WithContext(ctx), func(name string, code int) {
		span.SetName(name)
		span.SetAttributes(
			attribute.String("http.request.method", r.Method),
			attribute.String("url.path", r.URL.Path),
			attribute.Int("http.response.status_code", code))
		if code >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, http.StatusText(code))
		}
		span.End()
	}
}
