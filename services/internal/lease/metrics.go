// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what a member counts.
type metrics struct {
	held      *prometheus.GaugeVec
	takeovers *prometheus.CounterVec
	lost      prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		held: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "fairlead_lease_shards_held",
			Help: "Shards of a group that this process works on.",
		}, []string{"group"}),
		takeovers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "fairlead_lease_takeovers_total",
			Help: "Times that this process took a shard of a group.",
		}, []string{"group"}),
		lost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "fairlead_lease_lost_total",
			Help: "Times that this process lost its lease, and with it all shards.",
		}),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.held, m.takeovers, m.lost} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("lease: metrics: %w", err)
		}
	}
	return m, nil
}
