// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// stepMetrics are what is counted of the steps of all controllers. What is counted of runs is controller-runtime's.
type stepMetrics struct {
	seconds *prometheus.HistogramVec
	errors  *prometheus.CounterVec
}

// newStepMetrics returns the metrics that a registry has, and registers them first if it has none.
func newStepMetrics(reg prometheus.Registerer) (*stepMetrics, error) {
	labels := []string{"controller", "step"}
	seconds, err := registered(reg, prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "fairlead_reconcile_step_seconds",
		Help:    "Time that a step of a controller took.",
		Buckets: prometheus.ExponentialBuckets(0.0001, 4, 9),
	}, labels))
	if err != nil {
		return nil, err
	}
	failed, err := registered(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "fairlead_reconcile_step_errors_total",
		Help: "Times that a step of a controller failed.",
	}, labels))
	if err != nil {
		return nil, err
	}
	return &stepMetrics{seconds, failed}, nil
}

// registered registers a collector, or returns the one of its kind that is registered already.
func registered[C prometheus.Collector](reg prometheus.Registerer, c C) (C, error) {
	err := reg.Register(c)
	if there, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if other, ok := there.ExistingCollector.(C); ok {
			return other, nil
		}
	}
	if err != nil {
		return c, fmt.Errorf("reconcile: metrics: %w", err)
	}
	return c, nil
}

// runKey is where a context says which controller's run it is.
type runKey struct{}

type runInfo struct {
	controller string
	metrics    *stepMetrics
}

func withRun(ctx context.Context, controller string, m *stepMetrics) context.Context {
	return context.WithValue(ctx, runKey{}, runInfo{controller, m})
}

// observe measures a step until the function that it returns is called.
func observe(ctx context.Context, step string, err *error) func() {
	run, ok := ctx.Value(runKey{}).(runInfo)
	if !ok {
		return func() {}
	}
	begin := time.Now()
	return func() {
		run.metrics.seconds.WithLabelValues(run.controller, step).Observe(time.Since(begin).Seconds())
		if *err != nil {
			run.metrics.errors.WithLabelValues(run.controller, step).Inc()
		}
	}
}
