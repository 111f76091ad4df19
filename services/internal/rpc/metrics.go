// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"errors"
	"fmt"

	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/prometheus/client_golang/prometheus"
)

// newMetrics counts and times calls. Servers that share a registry share the metrics.
func newMetrics(registry prometheus.Registerer) (interceptor, error) {
	if registry == nil {
		return interceptor{name: InterceptorMetrics}, nil
	}
	m := grpcprom.NewServerMetrics(grpcprom.WithServerHandlingTimeHistogram(
		grpcprom.WithHistogramBuckets([]float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60}),
	))
	if err := registry.Register(m); err != nil {
		var taken prometheus.AlreadyRegisteredError
		if !errors.As(err, &taken) {
			return interceptor{}, fmt.Errorf("rpc: register metrics: %w", err)
		}
		existing, ok := taken.ExistingCollector.(*grpcprom.ServerMetrics)
		if !ok {
			return interceptor{}, fmt.Errorf("rpc: register metrics: the names are taken by a %T", taken.ExistingCollector)
		}
		m = existing
	}
	return interceptor{InterceptorMetrics, m.UnaryServerInterceptor(), m.StreamServerInterceptor()}, nil
}
