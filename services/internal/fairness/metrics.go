// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package fairness

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	apfmetrics "k8s.io/apiserver/pkg/util/flowcontrol/metrics"
)

// metrics are what Limits counts.
type metrics struct {
	refused          *prometheus.CounterVec
	waited           prometheus.Histogram
	waiting, serving prometheus.Gauge
}

func newMetrics(name string, reg prometheus.Registerer) (*metrics, error) {
	of := prometheus.Labels{"limits": name}
	m := &metrics{
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name:        "fairlead_fairness_refused_total",
			Help:        "Requests refused since their user, or the server, had too many, by reason.",
			ConstLabels: of,
		}, []string{"reason"}),
		waited: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "fairlead_fairness_wait_seconds",
			Help:    "How long requests that were served by turns waited, in seconds.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 4, 9), ConstLabels: of,
		}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name:        "fairlead_fairness_waiting",
			Help:        "Requests that wait for their turn.",
			ConstLabels: of,
		}),
		serving: prometheus.NewGauge(prometheus.GaugeOpts{
			Name:        "fairlead_fairness_serving",
			Help:        "Requests that are being served by turns; those that come when nobody waits are not among them.",
			ConstLabels: of,
		}),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.refused, m.waited, m.waiting, m.serving} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("fairness: metrics: %w", err)
		}
	}
	return m, nil
}

// gauge is a gauge in the form that the queues set.
type gauge struct{ prometheus.Gauge }

// SetDenominator does nothing: the limit is in the configuration.
func (gauge) SetDenominator(float64) {}

func (m *metrics) pair() apfmetrics.RatioedGaugePair {
	return apfmetrics.RatioedGaugePair{RequestsWaiting: gauge{m.waiting}, RequestsExecuting: gauge{m.serving}}
}

// seats and demand are what the queues tell beside: for requests of one seat each, the same again.
func (m *metrics) seats() apfmetrics.RatioedGauge {
	return gauge{prometheus.NewGauge(prometheus.GaugeOpts{})}
}
func (m *metrics) demand() apfmetrics.Gauge {
	return gauge{prometheus.NewGauge(prometheus.GaugeOpts{})}
}
