// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package tracing

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc/credentials"
)

// complainEvery is how often it is logged that spans are lost.
const complainEvery = time.Minute

func checkEndpoint(endpoint string) error {
	if host, port, err := net.SplitHostPort(endpoint); err != nil || host == "" || port == "" {
		return fmt.Errorf("tracing: endpoint is %q; write host:port, such as 127.0.0.1:4317", endpoint)
	}
	return nil
}

func openFile(name string) (sdktrace.SpanExporter, io.Closer, error) {
	var w io.Writer = os.Stdout
	var closer io.Closer
	if name != "-" {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			return nil, nil, fmt.Errorf("tracing: %w", err)
		}
		f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, nil, fmt.Errorf("tracing: %w", err)
		}
		w, closer = f, f
	}
	exporter, err := stdouttrace.New(stdouttrace.WithWriter(w))
	if err != nil {
		return nil, nil, fmt.Errorf("tracing: %w", err)
	}
	return exporter, closer, nil
}

func openOTLP(ctx context.Context, c Config) (sdktrace.SpanExporter, error) {
	opts := []otlptracegrpc.Option{otlptracegrpc.WithEndpoint(c.Endpoint), otlptracegrpc.WithTimeout(10 * time.Second)}
	if loopback(c.Endpoint) && c.CAFile == "" {
		opts = append(opts, otlptracegrpc.WithInsecure())
	} else {
		cfg := &tls.Config{MinVersion: tls.VersionTLS12}
		if c.CAFile != "" {
			pem, err := os.ReadFile(c.CAFile)
			if err != nil {
				return nil, fmt.Errorf("tracing: authorities of the collector: %w", err)
			}
			cfg.RootCAs = x509.NewCertPool()
			if !cfg.RootCAs.AppendCertsFromPEM(pem) {
				return nil, fmt.Errorf("tracing: %s holds no certificate in PEM", c.CAFile)
			}
		}
		opts = append(opts, otlptracegrpc.WithTLSCredentials(credentials.NewTLS(cfg)))
	}
	exporter, err := otlptracegrpc.New(ctx, opts...)
	if err != nil {
		return nil, fmt.Errorf("tracing: collector at %s: %w", c.Endpoint, err)
	}
	return exporter, nil
}

func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// logged logs what an exporter fails at, now and then. OpenTelemetry itself would hand it to a global handler.
type logged struct {
	sdktrace.SpanExporter

	log  *slog.Logger
	lost atomic.Int64
	last atomic.Int64
}

// ExportSpans implements sdktrace.SpanExporter.
func (l *logged) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := l.SpanExporter.ExportSpans(ctx, spans)
	if err == nil {
		return nil
	}
	lost := l.lost.Add(int64(len(spans)))
	now, last := time.Now().UnixNano(), l.last.Load()
	if now-last > int64(complainEvery) && l.last.CompareAndSwap(last, now) {
		l.lost.Add(-lost)
		l.log.WarnContext(ctx, "traces cannot be sent", "spans", lost, "error", err)
	}
	return nil
}
