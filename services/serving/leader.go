// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package serving

import (
	"context"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"fairlead.dev/services/internal/reconcile"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/serving/autoscaler"
	"fairlead.dev/services/serving/revision"
	"fairlead.dev/services/serving/routing"
)

// lead is one term of the leader: it scales, keeps the routing table, programs routers and runs revisions until ctx ends.
// Each term begins as a restarted process does, knowing nothing of the load: no pod is taken away before routers have been
// heard for a while.
func (s *Server) lead(ctx context.Context) error {
	scaler := autoscaler.New(s.cfg.Autoscaler)
	defer scaler.Close()
	s.scaler.Store(scaler)
	defer s.scaler.Store(nil)
	builder := routing.NewBuilder(routing.Config{
		Route: s.kinds.Route, Configuration: s.kinds.Configuration, Revision: s.kinds.Revision, Domain: s.cfg.Domain,
	}, s.deps.Store, s.deps.Kube, scaler, s.deps.Log)
	revisions := revision.New(revision.Config{
		Kind: s.kinds.Revision, Autoscaler: s.cfg.Autoscaler, ProgressDeadline: s.cfg.ProgressDeadline,
		DrainSeconds: int64(s.cfg.DrainDelay.Seconds()),
	}, s.deps.Store, s.deps.Kube, scaler, builder.Routed, s.deps.Log)
	sources, err := revisions.Sources(s.deps.Store, scaler.Source(), builder.Source())
	if err != nil {
		return fmt.Errorf("serving: %w", err)
	}
	end := s.routers.Lead(routing.Program{Builder: builder, Scaler: scaler})
	defer end()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return builder.Run(ctx) })
	g.Go(func() error {
		return reconcile.Run(ctx, "serving-revision", revisions, s.options(), append(sources, afterTable(builder))...)
	})
	return g.Wait() //nolint:wrapcheck // says what it is about
}

// afterTable holds the controller of revisions back until it is known which of them are routed.
func afterTable(b *routing.Builder) reconcile.Source {
	return reconcile.Source{Watch: func(ctx context.Context, _ func(store.Key)) error {
		select {
		case <-b.Ready():
			return nil
		case <-ctx.Done():
			return ctx.Err() //nolint:wrapcheck // the end is no fault
		}
	}}
}

// scaling are the metrics of whichever scaler there is.
type scaling struct{ server *Server }

// Describe tells what Collect gives.
func (m scaling) Describe(out chan<- *prometheus.Desc) { autoscaler.Describe(out) }

// Collect gives the numbers of pods and routers, while this process leads.
func (m scaling) Collect(out chan<- prometheus.Metric) {
	if s := m.server.scaler.Load(); s != nil {
		s.Collect(out)
	}
}
