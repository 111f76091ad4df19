// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/tracing"
)

// resourceLabel is the label that names a kind.
const resourceLabel = "resource"

// metrics are what the store counts.
type metrics struct {
	operations *prometheus.HistogramVec
	conflicts  *prometheus.CounterVec
	watchers   *prometheus.GaugeVec
	objects    *prometheus.GaugeVec
	relists    *prometheus.CounterVec
	evicted    *prometheus.CounterVec
	fallbacks  *prometheus.CounterVec
	compacted  prometheus.Gauge
	database   *prometheus.GaugeVec
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		operations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "fairlead_store_operation_seconds",
			Help:    "Time that operations on stored objects took.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2.5, 10),
		}, []string{"verb", resourceLabel, "result"}),
		conflicts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "fairlead_store_conflicts_total",
			Help: "Writes that were tried again because another write came between.",
		}, []string{resourceLabel}),
		watchers: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "fairlead_store_watchers",
			Help: "Watches that are open.",
		}, []string{resourceLabel}),
		objects: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "fairlead_store_cache_objects",
			Help: "Objects in the watch cache.",
		}, []string{resourceLabel}),
		relists: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "fairlead_store_cache_lists_total",
			Help: "Times a watch cache read all of its objects: once at its start, and after each gap in its watch.",
		}, []string{resourceLabel}),
		evicted: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "fairlead_store_watchers_evicted_total",
			Help: "Watches that were ended because their readers fell behind.",
		}, []string{resourceLabel}),
		fallbacks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "fairlead_store_reads_from_etcd_total",
			Help: "Reads that the watch cache could not answer, and etcd did: the cache was not filled, was behind, or no longer has the revision.",
		}, []string{resourceLabel, "reason"}),
		compacted: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "fairlead_store_compacted_revision",
			Help: "The etcd revision up to which this process last compacted.",
		}),
		database: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "fairlead_store_etcd_database_bytes",
			Help: "Size of the database of a member of etcd: what it takes on disk, and what of it is in use.",
		}, []string{"endpoint", "state"}),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.operations, m.conflicts, m.watchers, m.objects, m.relists, m.evicted, m.fallbacks, m.compacted, m.database} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register the store's metrics: %w", err)
		}
	}
	return m, nil
}

// observe starts the clock of an operation, and its span; the function it returns stops both, and reads the result from err.
func (m *metrics) observe(ctx context.Context, verb string, k kinds.Kind, err *error) func() {
	start, resource := time.Now(), ResourceOf(k).String()
	end := func(*error) {}
	if trace.SpanFromContext(ctx).IsRecording() { // most are not, and reads are too quick to make attributes for nothing
		_, end = tracing.Start(ctx, "store "+verb, attribute.String(resourceLabel, resource))
	}
	return func() {
		end(err)
		m.operations.WithLabelValues(verb, resource, result(*err)).Observe(time.Since(start).Seconds())
	}
}

// observeCommit is observe for a transaction over several kinds.
func (m *metrics) observeCommit(ctx context.Context, err *error) func() {
	start := time.Now()
	_, end := tracing.Start(ctx, "store commit")
	return func() {
		end(err)
		m.operations.WithLabelValues("commit", "", result(*err)).Observe(time.Since(start).Seconds())
	}
}

func result(err error) string {
	var e *apierror.Error
	switch {
	case err == nil:
		return "OK"
	case errors.As(err, &e):
		return string(e.Reason)
	case errors.Is(err, context.Canceled):
		return "Canceled"
	default:
		return "Error"
	}
}
