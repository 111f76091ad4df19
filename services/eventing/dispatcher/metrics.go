// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatcher

import (
	"fmt"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// What became of an event at a trigger.
const (
	outcomeDelivered    = "delivered"
	outcomeFiltered     = "filtered"
	outcomeDeadLettered = "dead_lettered"
	outcomeDropped      = "dropped"
)

// metricsNamespace and metricsSubsystem begin the names of the metrics.
const (
	metricsNamespace = "fairlead"
	metricsSubsystem = "eventing"
)

type metrics struct {
	requests       *prometheus.CounterVec
	requestSeconds prometheus.Histogram
	accepted       *prometheus.CounterVec
	tries          *prometheus.CounterVec
	trySeconds     *prometheus.HistogramVec
	events         *prometheus.CounterVec
	replies        *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: metricsNamespace, Subsystem: metricsSubsystem, Name: name, Help: help}, labels)
	}
	m := &metrics{
		requests: counter("ingress_requests_total", "Requests to the ingress by HTTP status.", "code"),
		requestSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: metricsNamespace, Subsystem: metricsSubsystem, Name: "ingress_request_seconds",
			Help: "How long senders waited for their events to be kept.", Buckets: prometheus.ExponentialBuckets(0.0002, 2, 16),
		}),
		accepted: counter("events_accepted_total", "Events that a broker took.", "namespace", "broker"),
		tries:    counter("deliveries_total", "Tries to deliver an event, by HTTP status; 0 means that no answer came.", "namespace", "trigger", "code"),
		trySeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: metricsNamespace, Subsystem: metricsSubsystem, Name: "delivery_seconds",
			Help: "How long subscribers took.", Buckets: prometheus.ExponentialBuckets(0.0005, 2.5, 14),
		}, []string{"namespace", "trigger"}),
		events:  counter("events_total", "Events that left a trigger's list: delivered, filtered, dead_lettered or dropped.", "namespace", "trigger", "outcome"),
		replies: counter("replies_total", "Events that subscribers replied: published, looping or invalid.", "namespace", "trigger", "outcome"),
	}
	for _, c := range []prometheus.Collector{m.requests, m.requestSeconds, m.accepted, m.tries, m.trySeconds, m.events, m.replies} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("dispatcher: metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) request(code int, took time.Duration) {
	m.requests.WithLabelValues(strconv.Itoa(code)).Inc()
	m.requestSeconds.Observe(took.Seconds())
}

func (m *metrics) try(namespace, trigger string, code int, took time.Duration) {
	m.tries.WithLabelValues(namespace, trigger, strconv.Itoa(code)).Inc()
	m.trySeconds.WithLabelValues(namespace, trigger).Observe(took.Seconds())
}

// forgetTrigger drops the series of a trigger that is gone.
func (m *metrics) forgetTrigger(namespace, trigger string) {
	labels := prometheus.Labels{"namespace": namespace, "trigger": trigger}
	for _, v := range []interface {
		DeletePartialMatch(labels prometheus.Labels) int
	}{m.tries, m.trySeconds, m.events, m.replies} {
		v.DeletePartialMatch(labels)
	}
}

// forgetBroker drops the series of a broker that is gone.
func (m *metrics) forgetBroker(namespace, broker string) {
	m.accepted.DeleteLabelValues(namespace, broker)
}
