// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package router

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The labels of metrics.
const (
	labelNamespace = "namespace"
	labelRevision  = "revision"
)

// metrics are what a router tells about itself.
type metrics struct {
	requests   *prometheus.CounterVec
	latency    *prometheus.HistogramVec
	coldStarts *prometheus.HistogramVec
	retries    *prometheus.CounterVec
	synced     prometheus.Gauge
}

func waitingDesc() *prometheus.Desc {
	return prometheus.NewDesc("fairlead_router_waiting_requests", "Requests that wait for a pod now; revisions without any are left out.",
		[]string{labelNamespace, labelRevision}, nil)
}

// Describe tells what Collect gives.
func (r *Router) Describe(out chan<- *prometheus.Desc) { out <- waitingDesc() }

// Collect gives the numbers of requests that wait.
func (r *Router) Collect(out chan<- prometheus.Metric) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, b := range r.backends {
		if n := b.waiting(); n > 0 {
			out <- prometheus.MustNewConstMetric(waitingDesc(), prometheus.GaugeValue, float64(n), key.namespace, key.name)
		}
	}
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	revision := []string{labelNamespace, labelRevision}
	codes := []string{labelNamespace, labelRevision, "code"}
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "fairlead_router_requests_total", Help: "Requests answered, by status code.",
		}, codes),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "fairlead_router_request_duration_seconds", Help: "Time from a request's arrival to the end of its answer.",
			Buckets: []float64{.001, .002, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300},
		}, revision),
		coldStarts: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "fairlead_router_cold_start_seconds", Help: "Time from the arrival of a request that found no pod to the first byte of its answer.",
			Buckets: []float64{.05, .1, .25, .5, .75, 1, 1.5, 2, 3, 5, 10, 30, 60, 300},
		}, revision),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "fairlead_router_retries_total", Help: "Requests sent to another pod because one could not be reached.",
		}, revision),
		synced: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "fairlead_router_connected", Help: "Whether the stream from serving is up.",
		}),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.requests, m.latency, m.coldStarts, m.retries, m.synced} {
		if err := reg.Register(c); err != nil {
			return nil, err //nolint:wrapcheck // named by the caller
		}
	}
	return m, nil
}

func (m *metrics) answered(key revisionKey, code int, took time.Duration) {
	m.requests.WithLabelValues(key.namespace, key.name, strconv.Itoa(code)).Inc()
	m.latency.WithLabelValues(key.namespace, key.name).Observe(took.Seconds())
}

func (m *metrics) coldStarted(key revisionKey, took time.Duration) {
	m.coldStarts.WithLabelValues(key.namespace, key.name).Observe(took.Seconds())
}

func (m *metrics) retried(key revisionKey) { m.retries.WithLabelValues(key.namespace, key.name).Inc() }

// forget drops what was told about a revision that is gone.
func (m *metrics) forget(key revisionKey) {
	labels := prometheus.Labels{labelNamespace: key.namespace, labelRevision: key.name}
	m.requests.DeletePartialMatch(labels)
	m.latency.DeletePartialMatch(labels)
	m.coldStarts.DeletePartialMatch(labels)
	m.retries.DeletePartialMatch(labels)
}
