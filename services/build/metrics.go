// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	ended    *prometheus.CounterVec
	duration *prometheus.HistogramVec
	steps    *prometheus.CounterVec
	lookups  *prometheus.HistogramVec
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "fairlead_builds_ended_total", Help: "Builds that ended, by the reason of their condition Succeeded.",
		}, []string{"reason"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "fairlead_build_duration_seconds", Help: "Time from the start of builds to their end.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 14),
		}, []string{"succeeded"}),
		steps: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "fairlead_build_steps_completed_total", Help: "Steps that ended well.",
		}, nil),
		lookups: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "fairlead_build_image_lookup_duration_seconds", Help: "Time to ask a registry what an image runs.",
			Buckets: prometheus.ExponentialBuckets(0.005, 2, 13),
		}, []string{"result"}),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.ended, m.duration, m.steps, m.lookups} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("build: metrics: %w", err)
		}
	}
	return m, nil
}
