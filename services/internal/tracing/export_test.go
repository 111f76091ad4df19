// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package tracing_test

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"

	"fairlead.dev/services/internal/tracing"
)

// collected is a collector that notes the names of spans, and of who sent them.
type collected struct {
	collector.UnimplementedTraceServiceServer

	names chan string
}

func (c *collected) Export(_ context.Context, r *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	for _, resource := range r.GetResourceSpans() {
		service := ""
		for _, a := range resource.GetResource().GetAttributes() {
			if a.GetKey() == "service.name" {
				service = a.GetValue().GetStringValue()
			}
		}
		for _, scope := range resource.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				c.names <- service + " " + s.GetName()
			}
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

func TestSpansReachACollector(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	got := &collected{names: make(chan string, 10)}
	server := grpc.NewServer()
	collector.RegisterTraceServiceServer(server, got)
	go func() { _ = server.Serve(l) }()
	defer server.Stop()
	c := tracing.DefaultConfig()
	c.Endpoint, c.Service = l.Addr().String(), "fairlead-test"
	p, err := tracing.New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	_, span := tracing.Begin(t.Context(), p, "work")
	tracing.End(span, nil)
	if err := p.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	select {
	case name := <-got.names:
		if name != "fairlead-test work" {
			t.Errorf("got %q", name)
		}
	default:
		t.Error("nothing was sent before the end")
	}
}

// TestACollectorThatIsAwayHoldsNothingUp ends when it has to, and says that spans are lost.
func TestACollectorThatIsAwayHoldsNothingUp(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // taken, and nobody answers there
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := tracing.DefaultConfig()
	c.Endpoint, c.Log = l.Addr().String(), slog.New(slog.DiscardHandler)
	p, err := tracing.New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	_, span := tracing.Begin(t.Context(), p, "work")
	tracing.End(span, nil)
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	if err := p.Shutdown(ctx); err == nil || !strings.Contains(err.Error(), "may be lost") {
		t.Errorf("got %v, want the loss to be told", err)
	}
}

// TestOutsideLoopbackThereIsTLS refuses authorities that are none, which shows that they are read.
func TestOutsideLoopbackThereIsTLS(t *testing.T) {
	c := tracing.DefaultConfig()
	c.Endpoint, c.CAFile = "collector.invalid:4317", "export_test.go"
	if _, err := tracing.New(t.Context(), c); err == nil || !strings.Contains(err.Error(), "no certificate") {
		t.Errorf("got %v, want the authorities to be refused", err)
	}
}
