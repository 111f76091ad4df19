// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"fairlead.dev/services/internal/reconcile"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/store/storetest"
	"fairlead.dev/services/internal/wire"
)

// TestTracesAndMetrics has a run traced, linked to the write that it follows, and its steps measured.
func TestTracesAndMetrics(t *testing.T) {
	s := storetest.Start(t)
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	obj := storetest.Service("a", "traced")
	obj.GetMetadata().Annotations = map[string]string{wire.AnnotationTraceParent: parent}
	if _, err := s.Create(t.Context(), storetest.Services(t), obj); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	runs := 0
	r := reconcile.Func(func(ctx context.Context, _ store.Key) (reconcile.Result, error) {
		return reconcile.Steps(ctx, 0,
			reconcile.Step[int]{Name: "look", Run: func(context.Context, int) (reconcile.Outcome, error) { return reconcile.Go, nil }},
			reconcile.Step[int]{Name: "act", Run: func(context.Context, int) (reconcile.Outcome, error) {
				if runs++; runs == 1 {
					return reconcile.Done, errors.New("not yet")
				}
				close(done)
				return reconcile.Done, nil
			}})
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- reconcile.Run(ctx, "traced", r, reconcile.Options{Tracer: provider}, reconcile.FromCache(s.Cache(storetest.Services(t)), nil))
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("the steps never came to their end")
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, span := range spans.Ended() {
		names = append(names, span.Name())
		if span.Name() != "reconcile traced" {
			continue
		}
		if links := span.Links(); len(links) != 1 || links[0].SpanContext.TraceID().String() != parent[3:35] {
			t.Errorf("links of the run: %v, want the trace of the write", links)
		}
	}
	want := []string{"look", "act", "reconcile traced", "look", "act", "reconcile traced"}
	if !slices.Equal(names, want) {
		t.Errorf("spans: got %q, want %q", names, want)
	}
	families, err := reconcile.Metrics().Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			if !slices.Contains(labels, "traced") {
				continue
			}
			name := f.GetName() + "/" + strings.Join(labels, "/")
			got[name] = m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	for name, want := range map[string]float64{
		"fairlead_reconcile_step_seconds/traced/look":       2,
		"fairlead_reconcile_step_seconds/traced/act":        2,
		"fairlead_reconcile_step_errors_total/traced/act":   1,
		"controller_runtime_reconcile_total/traced/error":   1,
		"controller_runtime_reconcile_total/traced/success": 1,
		"controller_runtime_reconcile_time_seconds/traced":  2,
	} {
		if got[name] != want {
			t.Errorf("%s: got %v, want %v", name, got[name], want)
		}
	}
}
