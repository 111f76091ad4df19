// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package reconcile runs controllers: queues, back-off, workers, metrics and panics are controller-runtime's; sources are
// the store's caches and Kubernetes informers; a reconciler is a list of named steps.
package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	ctrl "sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"fairlead.dev/services/internal/lease"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/tracing"
)

// Result tells when to come back.
type Result struct {
	// RequeueAfter, above 0, asks for another run after that time, whatever happens.
	RequeueAfter time.Duration
}

// Reconciler brings what is for one key closer to what is wanted. An error means to try again with back-off; one made by
// Terminal means not to.
type Reconciler interface {
	Reconcile(ctx context.Context, key store.Key) (Result, error)
}

// Func is a function that is a Reconciler.
type Func func(ctx context.Context, key store.Key) (Result, error)

// Reconcile calls f.
func (f Func) Reconcile(ctx context.Context, key store.Key) (Result, error) { return f(ctx, key) }

// Terminal marks an error that trying again will not mend.
func Terminal(err error) error { return ctrl.TerminalError(err) }

// Metrics are the metrics of all controllers of the process, and of the process itself: controller-runtime has one
// registry for them.
func Metrics() prometheus.Gatherer { return metrics.Registry }

// Options configures a Controller.
type Options struct {
	// Workers is how many keys are reconciled at a time; 4 by default. A key is never reconciled by two of them.
	Workers int
	// Timeout bounds one run; a minute by default.
	Timeout time.Duration
	// Log gets what the controller says.
	Log *slog.Logger
	// Group shares the keys among processes: only those of shards that this one holds are reconciled. The keys of a shard
	// that it comes to hold are all looked at; runs of one that it loses end, and what they still write etcd refuses. Nil
	// means that all keys are ours.
	Group *lease.Group
	// Tracer makes a span of each run and of each of its steps; nil means none.
	Tracer trace.TracerProvider
}

func (o *Options) defaults() {
	o.Workers = cmp.Or(o.Workers, 4)
	o.Timeout = cmp.Or(o.Timeout, time.Minute)
	if o.Log == nil {
		o.Log = slog.Default()
	}
}

// Run runs a controller of that name until ctx ends. No key is reconciled before every source has been read once.
func Run(ctx context.Context, name string, r Reconciler, opts Options, sources ...Source) error {
	opts.defaults()
	steps, err := newStepMetrics(metrics.Registry)
	if err != nil {
		return err
	}
	log := opts.Log.With("controller", name)
	run := &runner{name: name, reconciler: r, keys: newShare(opts.Group, log), tracer: opts.Tracer, sources: sources, steps: steps, end: ctx}
	yes := true
	c, err := controller.NewTypedUnmanaged(name, controller.TypedOptions[store.Key]{
		MaxConcurrentReconciles: opts.Workers,
		ReconciliationTimeout:   opts.Timeout,
		RecoverPanic:            &yes,
		SkipNameValidation:      &yes,
		RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[store.Key](50*time.Millisecond, 30*time.Second),
		LogConstructor: func(key *store.Key) logr.Logger {
			l := log
			if key != nil {
				l = l.With("key", key.String())
			}
			return logr.FromSlogHandler(quiet{l.Handler()})
		},
		Reconciler: ctrl.TypedFunc[store.Key](run.reconcile),
	})
	if err != nil {
		return fmt.Errorf("reconcile: controller %s: %w", name, err)
	}
	queue := make(chan workqueue.TypedRateLimitingInterface[store.Key], 1)
	err = c.Watch(source.TypedFunc[store.Key](func(_ context.Context, q workqueue.TypedRateLimitingInterface[store.Key]) error {
		queue <- q
		return nil
	}))
	for _, s := range sources {
		err = errors.Join(err, c.Watch(source.TypedFunc[store.Key](func(ctx context.Context, q workqueue.TypedRateLimitingInterface[store.Key]) error {
			return s.Watch(ctx, func(key store.Key) {
				if run.keys.ours(key) {
					q.Add(key)
				}
			})
		})))
	}
	if err != nil {
		return fmt.Errorf("reconcile: sources of %s: %w", name, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	var sharing sync.WaitGroup
	defer sharing.Wait()
	defer cancel()
	sharing.Go(func() {
		select {
		case q := <-queue:
			run.keys.follow(ctx, sources, q.Add)
		case <-ctx.Done():
		}
	})
	if err := c.Start(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("reconcile: controller %s: %w", name, err)
	}
	return nil
}

// runner is what one controller does for each key.
type runner struct {
	name       string
	reconciler Reconciler
	keys       *share
	tracer     trace.TracerProvider
	sources    []Source
	steps      *stepMetrics
	end        context.Context //nolint:containedctx // what its end cuts short is no fault of a run
}

// reconcile is one run.
func (r *runner) reconcile(ctx context.Context, key store.Key) (_ ctrl.Result, err error) {
	ctx, leave, ours := r.keys.enter(ctx, key)
	if !ours {
		return ctrl.Result{}, nil // it was queued before its shard went
	}
	defer leave()
	if r.tracer != nil {
		var span trace.Span
		ctx, span = tracing.Begin(ctx, r.tracer, "reconcile "+r.name, tracing.Link(r.origin(key)),
			trace.WithAttributes(attribute.String("fairlead.key", key.String())))
		defer tracing.End(span, &err)
	}
	res, err := r.reconciler.Reconcile(withRun(ctx, r.name, r.steps), key)
	switch {
	case err == nil:
		return ctrl.Result{RequeueAfter: res.RequeueAfter}, nil
	case r.end.Err() != nil || !r.keys.ours(key):
		return ctrl.Result{}, nil // cut short: whoever comes to hold the key looks at it anew
	default:
		return ctrl.Result{}, err
	}
}

// origin is the traceparent of the write that a key's object comes from, if it was traced.
func (r *runner) origin(key store.Key) string {
	for _, s := range r.sources {
		if s.origin == nil {
			continue
		}
		if parent := s.origin(key); parent != "" {
			return parent
		}
	}
	return ""
}

// quiet leaves out what controller-runtime says at info level: starts, stops and the like.
type quiet struct{ slog.Handler }

func (h quiet) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && h.Handler.Enabled(ctx, l)
}

func (h quiet) WithAttrs(attrs []slog.Attr) slog.Handler { return quiet{h.Handler.WithAttrs(attrs)} }

func (h quiet) WithGroup(name string) slog.Handler { return quiet{h.Handler.WithGroup(name)} }
