// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"time"

	eventingv1 "fairlead.dev/gen/go/fairlead/eventing/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/condition"
	"fairlead.dev/services/internal/reconcile"
	"fairlead.dev/services/internal/store"

	"fairlead.dev/services/eventing/program"
)

// triggers reconciles Triggers.
type triggers struct {
	cfg      Config
	deps     Deps
	resolver *resolver
	now      func() time.Time
}

// triggerRun is one look at a Trigger.
type triggerRun struct {
	trigger      *eventingv1.Trigger
	broker       *eventingv1.Broker // nil if there is none
	state        program.State
	subscriber   string
	noSubscriber *problem
	sinkSpec     *eventingv1.Destination
	sink         string
	noSink       *problem
}

// ofBroker returns the Triggers of a Broker.
func (r *triggers) ofBroker(o store.Object) []store.Key {
	m := o.GetMetadata()
	var keys []store.Key
	for _, t := range r.deps.Triggers.ListCached(m.GetNamespace(), nil) {
		if t.GetSpec().GetBroker() == m.GetName() {
			keys = append(keys, store.KeyOf(t))
		}
	}
	return keys
}

// Reconcile is of reconcile.Reconciler.
func (r *triggers) Reconcile(ctx context.Context, key store.Key) (reconcile.Result, error) {
	t, ok := r.deps.Triggers.Cached(key)
	if !ok {
		r.resolver.ask(key)
		return reconcile.Result{}, nil
	}
	return reconcile.Steps(ctx, &triggerRun{trigger: t},
		reconcile.Step[*triggerRun]{Name: "find the broker", Run: r.findBroker},
		reconcile.Step[*triggerRun]{Name: "resolve the subscriber", Run: r.resolve},
		reconcile.Step[*triggerRun]{Name: "read the dispatchers' reports", Run: r.readReports},
		reconcile.Step[*triggerRun]{Name: "write status", Run: r.writeStatus},
	)
}

func (r *triggers) findBroker(_ context.Context, s *triggerRun) (reconcile.Outcome, error) {
	key := store.Key{Namespace: s.trigger.GetMetadata().GetNamespace(), Name: s.trigger.GetSpec().GetBroker()}
	if b, ok := r.deps.Brokers.Cached(key); ok {
		s.broker = b
	}
	s.sinkSpec = program.DeadLetterSink(s.trigger, s.broker.GetSpec().GetDelivery())
	return reconcile.Go, nil
}

func (r *triggers) resolve(ctx context.Context, s *triggerRun) (_ reconcile.Outcome, err error) {
	key := store.KeyOf(s.trigger)
	r.resolver.ask(key, s.trigger.GetSpec().GetSubscriber(), s.sinkSpec)
	if s.subscriber, s.noSubscriber, err = r.resolver.resolve(ctx, key, s.trigger.GetSpec().GetSubscriber()); err != nil {
		return reconcile.Go, err
	}
	if s.sinkSpec != nil {
		s.sink, s.noSink, err = r.resolver.resolve(ctx, key, s.sinkSpec)
	}
	return reconcile.Go, err
}

func (r *triggers) readReports(_ context.Context, s *triggerRun) (reconcile.Outcome, error) {
	s.state = r.deps.Reports.State(s.trigger.GetMetadata().GetUid())
	return reconcile.After(again(s.state, r.cfg.Grace).RequeueAfter), nil
}

func (r *triggers) writeStatus(ctx context.Context, s *triggerRun) (reconcile.Outcome, error) {
	m := s.trigger.GetMetadata()
	var old, next []*metav1.Condition
	_, err := r.deps.Triggers.Update(ctx, store.KeyOf(s.trigger), "", func(t *eventingv1.Trigger) (*eventingv1.Trigger, error) {
		if t.GetMetadata().GetUid() != m.GetUid() || t.GetMetadata().GetGeneration() != m.GetGeneration() {
			next = old
			return t, nil // the cache brings the newer one
		}
		old = t.GetStatus().GetConditions()
		t.Status = r.status(t, s)
		next = t.Status.Conditions
		return t, nil
	})
	if apierror.IsNotFound(err) {
		return reconcile.Done, nil
	}
	if err == nil {
		tellReady(r.deps.Events, r.deps.Triggers.Kind(), m, old, next)
	}
	return reconcile.Done, err
}

// status is a function of the Trigger, its last status and what is known about it.
func (r *triggers) status(t *eventingv1.Trigger, s *triggerRun) *eventingv1.TriggerStatus {
	now := r.now()
	parts := []string{ConditionBrokerReady, ConditionSubscriberResolved, ConditionSubscriptionReady}
	c := set(t.GetStatus().GetConditions(), now, ConditionBrokerReady, brokerReady(t, s.broker), false)
	resolved := yes()
	if s.noSubscriber != nil {
		resolved = verdict{condition.False, s.noSubscriber.reason, s.noSubscriber.message}
	}
	c = set(c, now, ConditionSubscriberResolved, resolved, false)
	if s.broker == nil {
		c = set(c, now, ConditionSubscriptionReady, verdict{condition.Unknown, ReasonBrokerDoesNotExist, "waits for the broker"}, false)
	} else {
		v, keep := judge(s.state, r.cfg.Grace, ReasonConsumerFailed)
		c = set(c, now, ConditionSubscriptionReady, v, keep && condition.Get(c, ConditionSubscriptionReady).GetReason() != ReasonBrokerDoesNotExist)
	}
	c, parts = setSink(c, parts, now, s.sinkSpec, s.noSink)
	c = condition.Summarize(c, now, condition.Ready, parts...)
	return &eventingv1.TriggerStatus{
		ObservedGeneration: t.GetMetadata().GetGeneration(),
		Conditions:         setDelivering(c, now, s.state),
		SubscriberUri:      s.subscriber,
		DeadLetterSinkUri:  s.sink,
	}
}

func brokerReady(t *eventingv1.Trigger, b *eventingv1.Broker) verdict {
	if b == nil {
		return verdict{condition.False, ReasonBrokerDoesNotExist, "broker " + t.GetMetadata().GetNamespace() + "/" + t.GetSpec().GetBroker() +
			" does not exist; create it"}
	}
	ready := condition.Get(b.GetStatus().GetConditions(), condition.Ready)
	if ready == nil {
		return verdict{condition.Unknown, ReasonBrokerPending, "the broker is not set up yet"}
	}
	return verdict{ready.GetStatus(), ready.GetReason(), ready.GetMessage()}
}

// setDelivering tells whether the subscriber takes events, once a dispatcher knows.
func setDelivering(c []*metav1.Condition, now time.Time, s program.State) []*metav1.Condition {
	switch {
	case !s.Known:
		return c
	case s.DeliveryError == "":
		return set(c, now, ConditionDelivering, yes(), false)
	}
	c = condition.Set(c, now, ConditionDelivering, condition.False, ReasonDeliveryFailing, s.DeliveryError)
	condition.Get(c, ConditionDelivering).Severity = severityWarning
	return c
}
