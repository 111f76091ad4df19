// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package tracing follows a request from REST through gRPC to the store, and on to the reconcile runs that it causes.
// Nothing here is global: who starts spans out of nothing is given a provider, and all others find it in their context.
package tracing

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// instrumentation names who makes our spans.
const instrumentation = "fairlead.dev"

// traceparent is W3C's header.
const traceparent = "traceparent"

// Config says where spans go. The zero value keeps none.
type Config struct {
	// Endpoint is the host:port of a collector that takes OTLP over gRPC. Outside loopback it is spoken to with TLS.
	Endpoint string
	// CAFile holds the authorities of the collector's certificate, in PEM; the system's by default.
	CAFile string
	// File is a file to which spans are appended, a line of JSON each; `-` is the standard output.
	File string
	// SampleRatio is which part of the traces that begin here is kept, from 0 to 1. Traces that callers began are kept as
	// they say.
	SampleRatio float64
	// Service and Version name the process.
	Service, Version string
	// Log gets what goes wrong with the export; slog.Default by default.
	Log *slog.Logger
}

// DefaultConfig keeps no spans, and all of them once it is told where to.
func DefaultConfig() Config { return Config{SampleRatio: 1, Service: "fairlead"} }

// Validate tells every fault of the configuration.
func (c Config) Validate() error {
	var errs []error
	if c.SampleRatio < 0 || c.SampleRatio > 1 {
		errs = append(errs, fmt.Errorf("tracing: sampleRatio is %g; it must be between 0 and 1", c.SampleRatio))
	}
	if c.Endpoint != "" {
		if err := checkEndpoint(c.Endpoint); err != nil {
			errs = append(errs, err)
		}
	}
	if c.Endpoint == "" && c.CAFile != "" {
		errs = append(errs, errors.New("tracing: caFile is of no use without endpoint"))
	}
	return errors.Join(errs...)
}

// Provider makes spans and sends them out.
type Provider struct {
	trace.TracerProvider

	shutdown func(context.Context) error
}

// Shutdown sends what is left and ends the exporters. The provider is of no use afterwards.
func (p *Provider) Shutdown(ctx context.Context) error {
	if p == nil || p.shutdown == nil {
		return nil
	}
	if err := p.shutdown(ctx); err != nil {
		return fmt.Errorf("tracing: the last spans may be lost: %w", err)
	}
	return nil
}

// New makes a provider. It is nil where the configuration keeps no spans; a nil Provider may be shut down. A collector
// that does not answer delays nothing: spans that it does not take in time are dropped, and the log says so.
func New(ctx context.Context, c Config) (*Provider, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	var opts []sdktrace.TracerProviderOption
	var file io.Closer
	if c.File != "" {
		exporter, closer, err := openFile(c.File)
		if err != nil {
			return nil, err
		}
		file = closer
		opts = append(opts, sdktrace.WithBatcher(&logged{SpanExporter: exporter, log: c.Log}, sdktrace.WithBatchTimeout(200*time.Millisecond)))
	}
	var otlp sdktrace.SpanExporter
	if c.Endpoint != "" {
		var err error
		if otlp, err = openOTLP(ctx, c); err != nil {
			return nil, errors.Join(err, closeFile(file))
		}
		opts = append(opts, sdktrace.WithBatcher(&logged{SpanExporter: otlp, log: c.Log}))
	}
	if len(opts) == 0 {
		return nil, nil //nolint:nilnil // nothing is kept, and that is no fault
	}
	opts = append(opts,
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(c.SampleRatio))),
		sdktrace.WithResource(resource.NewSchemaless(
			attribute.String("service.name", c.Service), attribute.String("service.version", c.Version),
			attribute.Int("process.pid", os.Getpid()))))
	provider := sdktrace.NewTracerProvider(opts...)
	return &Provider{TracerProvider: provider, shutdown: func(ctx context.Context) error {
		err := provider.Shutdown(ctx)
		if otlp != nil && err != nil { // time is up: what is still being sent is given up
			_ = otlp.Shutdown(ctx)
		}
		return errors.Join(err, closeFile(file))
	}}, nil
}

func closeFile(c io.Closer) error {
	if c == nil {
		return nil
	}
	return c.Close() //nolint:wrapcheck // the caller says what it is about
}

// Tracing returns p as others take it: an interface that is nil where p is.
func (p *Provider) Tracing() trace.TracerProvider {
	if p == nil {
		return nil
	}
	return p
}

// Start starts a span below the one in ctx, by its provider; without one, or with one that is not kept, nothing is made.
// The function that it returns ends the span, with the error that err then points to; err may be nil.
func Start(ctx context.Context, name string, attrs ...attribute.KeyValue) (context.Context, func(err *error)) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, func(*error) {}
	}
	ctx, span := parent.TracerProvider().Tracer(instrumentation).Start(ctx, name, trace.WithAttributes(attrs...)) //nolint:spancheck // the function that is returned ends it
	return ctx, func(err *error) { End(span, err) }                                                               //nolint:spancheck // the function that is returned ends it
}

// Begin starts a span by a provider, which may be nil: then the span is one that keeps nothing. It is below the one in
// ctx, if there is one. End ends it.
func Begin(ctx context.Context, p trace.TracerProvider, name string, opts ...trace.SpanStartOption) (context.Context, trace.Span) {
	if p == nil {
		return ctx, trace.SpanFromContext(context.Background())
	}
	return p.Tracer(instrumentation).Start(ctx, name, opts...) //nolint:spancheck // the caller ends it
}

// End ends a span with the error that err points to, if any.
func End(span trace.Span, err *error) {
	if err != nil && *err != nil && !errors.Is(*err, context.Canceled) {
		span.RecordError(*err)
		span.SetStatus(codes.Error, (*err).Error())
	}
	span.End()
}

// Parent returns the W3C traceparent of ctx's span, or nothing where there is none that is kept.
func Parent(ctx context.Context) string {
	if !trace.SpanContextFromContext(ctx).IsSampled() {
		return ""
	}
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier.Get(traceparent)
}

// Link links a new span to the one of a traceparent, as Parent returned it; to nothing where it is none.
func Link(parent string) trace.SpanStartOption {
	ctx := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{traceparent: strings.TrimSpace(parent)})
	sc := trace.SpanContextFromContext(ctx)
	if !sc.IsValid() {
		return trace.WithLinks()
	}
	return trace.WithLinks(trace.Link{SpanContext: sc})
}

// TraceID returns the id of the trace that ctx belongs to, or nothing.
func TraceID(ctx context.Context) string {
	if sc := trace.SpanContextFromContext(ctx); sc.HasTraceID() {
		return sc.TraceID().String()
	}
	return ""
}
