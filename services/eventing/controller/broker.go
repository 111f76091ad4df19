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

// brokers reconciles Brokers.
type brokers struct {
	cfg      Config
	deps     Deps
	resolver *resolver
	now      func() time.Time
}

// brokerRun is one look at a Broker.
type brokerRun struct {
	broker *eventingv1.Broker
	state  program.State
	sink   string
	noSink *problem
}

// Reconcile is of reconcile.Reconciler.
func (r *brokers) Reconcile(ctx context.Context, key store.Key) (reconcile.Result, error) {
	b, ok := r.deps.Brokers.Cached(key)
	if !ok {
		r.resolver.ask(key)
		return reconcile.Result{}, nil
	}
	return reconcile.Steps(ctx, &brokerRun{broker: b},
		reconcile.Step[*brokerRun]{Name: "resolve the dead letter sink", Run: r.resolveSink},
		reconcile.Step[*brokerRun]{Name: "read the dispatchers' reports", Run: r.readReports},
		reconcile.Step[*brokerRun]{Name: "write status", Run: r.writeStatus},
	)
}

func (r *brokers) resolveSink(ctx context.Context, s *brokerRun) (_ reconcile.Outcome, err error) {
	key, sink := store.KeyOf(s.broker), s.broker.GetSpec().GetDelivery().GetDeadLetterSink()
	r.resolver.ask(key, sink)
	if sink != nil {
		s.sink, s.noSink, err = r.resolver.resolve(ctx, key, sink)
	}
	return reconcile.Go, err
}

func (r *brokers) readReports(_ context.Context, s *brokerRun) (reconcile.Outcome, error) {
	s.state = r.deps.Reports.State(s.broker.GetMetadata().GetUid())
	return reconcile.After(again(s.state, r.cfg.Grace).RequeueAfter), nil
}

func (r *brokers) writeStatus(ctx context.Context, s *brokerRun) (reconcile.Outcome, error) {
	m := s.broker.GetMetadata()
	var old, next []*metav1.Condition
	_, err := r.deps.Brokers.Update(ctx, store.KeyOf(s.broker), "", func(b *eventingv1.Broker) (*eventingv1.Broker, error) {
		if b.GetMetadata().GetUid() != m.GetUid() || b.GetMetadata().GetGeneration() != m.GetGeneration() {
			next = old
			return b, nil // the cache brings the newer one
		}
		old = b.GetStatus().GetConditions()
		b.Status = r.status(b, s)
		next = b.Status.Conditions
		return b, nil
	})
	if apierror.IsNotFound(err) {
		return reconcile.Done, nil
	}
	if err == nil {
		tellReady(r.deps.Events, r.deps.Brokers.Kind(), m, old, next)
	}
	return reconcile.Done, err
}

// status is a function of the Broker, its last status and what is known about it.
func (r *brokers) status(b *eventingv1.Broker, s *brokerRun) *eventingv1.BrokerStatus {
	m, now := b.GetMetadata(), r.now()
	path := "/" + m.GetNamespace() + "/" + m.GetName()
	st := &eventingv1.BrokerStatus{
		ObservedGeneration: m.GetGeneration(),
		Address:            &eventingv1.Addressable{Url: r.cfg.Address + path},
		DeadLetterSinkUri:  s.sink,
	}
	if r.cfg.LocalAddress != "" {
		st.Annotations = map[string]string{AnnotationLocalURL: r.cfg.LocalAddress + path}
	}
	parts := []string{ConditionAddressable, ConditionStreamReady, ConditionIngressReady}
	c := set(b.GetStatus().GetConditions(), now, ConditionAddressable, yes(), false)
	v, keep := judge(s.state, r.cfg.Grace, ReasonStreamFailed)
	c = set(c, now, ConditionStreamReady, v, keep)
	c = set(c, now, ConditionIngressReady, v, keep)
	c, parts = setSink(c, parts, now, b.GetSpec().GetDelivery().GetDeadLetterSink(), s.noSink)
	st.Conditions = condition.Summarize(c, now, condition.Ready, parts...)
	return st
}

// setSink sets the condition of the dead letter sink, where there is one.
func setSink(c []*metav1.Condition, parts []string, now time.Time, sink *eventingv1.Destination, no *problem) ([]*metav1.Condition, []string) {
	switch {
	case sink == nil:
		return without(c, ConditionDeadLetterSinkResolved), parts
	case no != nil:
		c = condition.Set(c, now, ConditionDeadLetterSinkResolved, condition.False, no.reason, no.message)
	default:
		c = set(c, now, ConditionDeadLetterSinkResolved, yes(), false)
	}
	return c, append(parts, ConditionDeadLetterSinkResolved)
}
