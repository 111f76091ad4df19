// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package autoscaler

import "github.com/prometheus/client_golang/prometheus"

func replicasDesc() *prometheus.Desc {
	return prometheus.NewDesc("fairlead_serving_revision_replicas", "Pods that a revision is meant to have; revisions at zero are left out.",
		[]string{"namespace", "revision"}, nil)
}

func readyDesc() *prometheus.Desc {
	return prometheus.NewDesc("fairlead_serving_revision_ready", "Pods of a revision that are ready; revisions at zero are left out.",
		[]string{"namespace", "revision"}, nil)
}

func routersDesc() *prometheus.Desc {
	return prometheus.NewDesc("fairlead_serving_routers", "Routers that are connected.", nil, nil)
}

// Describe tells what a Scaler's Collect gives.
func Describe(out chan<- *prometheus.Desc) {
	out <- replicasDesc()
	out <- readyDesc()
	out <- routersDesc()
}

// Describe tells what Collect gives.
func (s *Scaler) Describe(out chan<- *prometheus.Desc) { Describe(out) }

// Collect gives the numbers of pods and routers.
func (s *Scaler) Collect(out chan<- prometheus.Metric) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out <- prometheus.MustNewConstMetric(routersDesc(), prometheus.GaugeValue, float64(len(s.sessions)))
	for key, e := range s.revisions {
		if e.target.Replicas == 0 {
			continue
		}
		out <- prometheus.MustNewConstMetric(replicasDesc(), prometheus.GaugeValue, float64(e.target.Replicas), key.Namespace, key.Name)
		out <- prometheus.MustNewConstMetric(readyDesc(), prometheus.GaugeValue, float64(e.seen.Ready), key.Namespace, key.Name)
	}
}
