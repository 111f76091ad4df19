// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package reconcile runs controllers: queues, back-off, workers, metrics and panics are controller-runtime's; sources are
// the store's caches and Kubernetes informers; a reconciler is a list of named steps.
package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	ctrl "sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"fairlead.dev/services/internal/store"
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

// Source tells a controller which keys to look at. It is called once, begins to call add when ctx begins and ceases
// when ctx ends, and returns when the keys of all that exist have been added.
type Source func(ctx context.Context, add func(store.Key)) error

// FromCache is the source of the changes in a cache of the store. keys maps a changed object to what is to be
// reconciled; nil means the object itself.
func FromCache(c *store.Cache, keys func(store.Object) []store.Key) Source {
	if keys == nil {
		keys = func(o store.Object) []store.Key { return []store.Key{store.KeyOf(o)} }
	}
	return func(ctx context.Context, add func(store.Key)) error {
		unsubscribe := c.Subscribe(func(e store.Event) {
			if e.Object == nil {
				return
			}
			for _, k := range keys(e.Object) {
				add(k)
			}
		})
		context.AfterFunc(ctx, unsubscribe)
		if err := c.WaitSynced(ctx); err != nil {
			return fmt.Errorf("reconcile: read the store: %w", err)
		}
		return nil
	}
}

// FromInformer is the source of the changes that a Kubernetes informer sees.
func FromInformer(informer cache.SharedIndexInformer, keys func(kmetav1.Object) []store.Key) Source {
	return func(ctx context.Context, add func(store.Key)) error {
		each := func(obj any) {
			if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				obj = gone.Obj
			}
			acc, err := meta.Accessor(obj)
			if err != nil {
				return
			}
			for _, k := range keys(acc) {
				add(k)
			}
		}
		registration, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    each,
			UpdateFunc: func(_, obj any) { each(obj) },
			DeleteFunc: each,
		})
		if err != nil {
			return fmt.Errorf("reconcile: informer: %w", err)
		}
		context.AfterFunc(ctx, func() { _ = informer.RemoveEventHandler(registration) })
		if !cache.WaitForCacheSync(ctx.Done(), registration.HasSynced) {
			return fmt.Errorf("reconcile: read the cluster: %w", context.Cause(ctx))
		}
		return nil
	}
}

// FromChannel is the source of keys that come over a channel, until it is closed.
func FromChannel(keys <-chan store.Key) Source {
	return func(ctx context.Context, add func(store.Key)) error {
		go func() {
			for {
				select {
				case k, ok := <-keys:
					if !ok {
						return
					}
					add(k)
				case <-ctx.Done():
					return
				}
			}
		}()
		return nil
	}
}

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
}

// Run runs a controller of that name until ctx ends. No key is reconciled before every source has been read once.
func Run(ctx context.Context, name string, r Reconciler, opts Options, sources ...Source) error {
	if opts.Workers == 0 {
		opts.Workers = 4
	}
	if opts.Timeout == 0 {
		opts.Timeout = time.Minute
	}
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	log := opts.Log.With("controller", name)
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
		Reconciler: ctrl.TypedFunc[store.Key](func(run context.Context, key store.Key) (ctrl.Result, error) {
			res, err := r.Reconcile(run, key)
			if err != nil && ctx.Err() == nil { // what the end of the process cuts short is no fault of the run
				return ctrl.Result{}, err
			}
			return ctrl.Result{RequeueAfter: res.RequeueAfter}, nil
		}),
	})
	if err != nil {
		return fmt.Errorf("reconcile: controller %s: %w", name, err)
	}
	for _, s := range sources {
		err := c.Watch(source.TypedFunc[store.Key](func(ctx context.Context, q workqueue.TypedRateLimitingInterface[store.Key]) error {
			return s(ctx, q.Add)
		}))
		if err != nil {
			return fmt.Errorf("reconcile: source of %s: %w", name, err)
		}
	}
	if err := c.Start(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("reconcile: controller %s: %w", name, err)
	}
	return nil
}

// quiet leaves out what controller-runtime says at info level: starts, stops and the like.
type quiet struct{ slog.Handler }

func (h quiet) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && h.Handler.Enabled(ctx, l)
}

func (h quiet) WithAttrs(attrs []slog.Attr) slog.Handler { return quiet{h.Handler.WithAttrs(attrs)} }

func (h quiet) WithGroup(name string) slog.Handler { return quiet{h.Handler.WithGroup(name)} }
