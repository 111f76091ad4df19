// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package controller writes the status of Brokers and Triggers: from their specs, from the objects they name, and from
// what dispatchers report.
package controller

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"

	eventingv1 "fairlead.dev/gen/go/fairlead/eventing/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/condition"
	"fairlead.dev/services/internal/kube"
	"fairlead.dev/services/internal/reconcile"
	"fairlead.dev/services/internal/store"

	"fairlead.dev/services/eventing/program"
)

// Config configures the controllers.
type Config struct {
	// Address is where pods post events, and LocalAddress where the machine does, each without a path. LocalAddress is
	// empty where it is no other.
	Address, LocalAddress string
	// ClusterDomain ends the names of Kubernetes Services.
	ClusterDomain string
	// Grace is how long status stays as it is when no dispatcher is connected.
	Grace time.Duration
	// Workers is how many objects of a kind are looked at at a time.
	Workers int
}

// Events tells people what happened to an object.
type Events interface {
	Event(owner kube.Owner, kind, reason, message string)
}

// Reports are what dispatchers say.
type Reports interface {
	// State returns what they say about the Broker or Trigger with that UID.
	State(uid string) program.State
	// Brokers and Triggers are the sources of news.
	Brokers() reconcile.Source
	Triggers() reconcile.Source
}

// Deps are what the controllers work with.
type Deps struct {
	Store    *store.Store
	Brokers  store.Client[*eventingv1.Broker]
	Triggers store.Client[*eventingv1.Trigger]
	Reports  Reports
	// Services is nil without a cluster; then all Services are taken to exist.
	Services Services
	// Events is nil where nobody reads them.
	Events Events
	Log    *slog.Logger
	// Tracer is nil where nothing is traced.
	Tracer trace.TracerProvider
}

// Run runs the controllers until ctx ends.
func Run(ctx context.Context, cfg Config, deps Deps) error {
	opts := reconcile.Options{Workers: cfg.Workers, Log: deps.Log, Tracer: deps.Tracer}
	brokerCache, triggerCache := deps.Store.Cache(deps.Brokers.Kind()), deps.Store.Cache(deps.Triggers.Kind())
	b := &brokers{cfg: cfg, deps: deps, resolver: newResolver(deps.Store, deps.Services, cfg.ClusterDomain), now: time.Now}
	t := &triggers{cfg: cfg, deps: deps, resolver: newResolver(deps.Store, deps.Services, cfg.ClusterDomain), now: time.Now}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		sources := append(b.resolver.sources(), reconcile.FromCache(brokerCache, nil), deps.Reports.Brokers())
		return reconcile.Run(ctx, "brokers", b, opts, sources...)
	})
	group.Go(func() error {
		sources := append(t.resolver.sources(), reconcile.FromCache(triggerCache, nil), reconcile.FromCache(brokerCache, t.ofBroker), deps.Reports.Triggers())
		return reconcile.Run(ctx, "triggers", t, opts, sources...)
	})
	if err := group.Wait(); err != nil {
		return fmt.Errorf("eventing: %w", err)
	}
	return nil
}

// verdict is a condition without its time.
type verdict struct {
	status, reason, message string
}

func yes() verdict { return verdict{status: condition.True} }

// judge words what dispatchers say about an object as a condition. keep means that the condition should stay as it is:
// after a restart nothing is known for a moment, and nothing has happened.
func judge(s program.State, grace time.Duration, failed string) (v verdict, keep bool) {
	switch {
	case s.Ready:
		return yes(), false
	case s.Known:
		return verdict{condition.False, failed, s.Error}, false
	case !s.Connected && s.Away >= grace:
		return verdict{condition.False, ReasonDispatcherAway, "no dispatcher is connected: events are neither taken in nor delivered until one is; look at its log"}, false
	default:
		return verdict{condition.Unknown, ReasonDispatcherPending, "a dispatcher is about to set it up"}, true
	}
}

// set sets a condition. With keep, one that is there already stays.
func set(conditions []*metav1.Condition, now time.Time, conditionType string, v verdict, keep bool) []*metav1.Condition {
	if keep && condition.Get(conditions, conditionType) != nil {
		return conditions
	}
	return condition.Set(conditions, now, conditionType, v.status, v.reason, v.message)
}

// without returns the conditions but for one.
func without(conditions []*metav1.Condition, conditionType string) []*metav1.Condition {
	var out []*metav1.Condition
	for _, c := range conditions {
		if c.GetType() != conditionType {
			out = append(out, c)
		}
	}
	return out
}

// again is when an object is to be looked at again for the sake of an absent dispatcher.
func again(s program.State, grace time.Duration) reconcile.Result {
	if s.Connected || s.Away >= grace {
		return reconcile.Result{}
	}
	return reconcile.Result{RequeueAfter: grace - s.Away}
}

// tellReady makes an event of a change of Ready.
func tellReady(events Events, k kinds.Kind, m *metav1.ObjectMeta, old, next []*metav1.Condition) {
	was, is := condition.Get(old, condition.Ready), condition.Get(next, condition.Ready)
	if events == nil || was.GetStatus() == is.GetStatus() {
		return
	}
	switch is.GetStatus() {
	case condition.True:
		events.Event(kube.OwnerOf(k, m), "Normal", condition.Ready, k.Kind+" is ready")
	case condition.False:
		events.Event(kube.OwnerOf(k, m), "Warning", is.GetReason(), is.GetMessage())
	}
}
