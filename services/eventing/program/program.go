// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package program programs dispatchers: it makes their configuration of the brokers and triggers in the store, and keeps
// what they report.
package program

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	eventingv1 "fairlead.dev/gen/go/fairlead/eventing/v1"
	"fairlead.dev/services/internal/store"

	"fairlead.dev/services/eventing/delivery"
)

// Program makes configurations for dispatchers and keeps their reports, for one term of the leader.
type Program struct {
	brokers  store.Client[*eventingv1.Broker]
	triggers store.Client[*eventingv1.Trigger]
	store    *store.Store
	log      *slog.Logger
	now      func() time.Time
	mu       sync.Mutex
	// revision is the newest of the store's that the caches are known to have, and changed is closed and replaced when it
	// moves.
	revision int64
	changed  chan struct{}
	made     *eventingv1.DispatcherServiceSyncResponse // of that revision, or nil
	sessions map[*session]struct{}
	lastSeen time.Time
	notify   map[kindOf]func(store.Key)
}

// kindOf tells the kinds apart that dispatchers report on.
type kindOf int

const (
	ofBroker kindOf = iota
	ofTrigger
)

// New makes a Program.
func New(s *store.Store, brokers store.Client[*eventingv1.Broker], triggers store.Client[*eventingv1.Trigger], log *slog.Logger) *Program {
	return &Program{
		store: s, brokers: brokers, triggers: triggers, log: log, now: time.Now,
		changed:  make(chan struct{}),
		sessions: map[*session]struct{}{}, lastSeen: time.Now(), notify: map[kindOf]func(store.Key){},
	}
}

// Run follows the store until ctx ends.
func (p *Program) Run(ctx context.Context) error {
	b, t := p.store.Cache(p.brokers.Kind()), p.store.Cache(p.triggers.Kind())
	defer b.Subscribe(p.moved)()
	defer t.Subscribe(p.moved)()
	<-ctx.Done()
	return nil
}

// moved notes a change in the store.
func (p *Program) moved(e store.Event) {
	if e.Object == nil {
		return
	}
	revision, err := strconv.ParseInt(e.Object.GetMetadata().GetResourceVersion(), 10, 64)
	if err != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.advance(revision)
}

// advance notes that the caches have what the store had at a revision. p.mu must be held.
func (p *Program) advance(revision int64) {
	p.revision = max(p.revision, revision)
	p.made = nil
	close(p.changed)
	p.changed = make(chan struct{})
}

// catchUp returns when the caches have everything that the store has now: a configuration made before could lack brokers
// that exist, and a dispatcher would take them for deleted.
func (p *Program) catchUp(ctx context.Context) error {
	list, err := p.brokers.List(ctx, store.ListOptions{Limit: 1})
	if err != nil {
		return err //nolint:wrapcheck // apierror
	}
	for _, c := range []*store.Cache{p.store.Cache(p.brokers.Kind()), p.store.Cache(p.triggers.Kind())} {
		if err := c.WaitVersion(ctx, list.ResourceVersion); err != nil {
			return fmt.Errorf("program: read the store: %w", err)
		}
	}
	revision, err := strconv.ParseInt(list.ResourceVersion, 10, 64)
	if err != nil {
		return fmt.Errorf("program: version %q of the store: %w", list.ResourceVersion, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.advance(revision)
	return nil
}

// config returns the configuration as of now, which is shared and not to be changed, and a channel that is closed when
// there is another.
func (p *Program) config() (*eventingv1.DispatcherServiceSyncResponse, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.made == nil {
		p.made = &eventingv1.DispatcherServiceSyncResponse{Version: p.revision, Brokers: p.make()}
	}
	return p.made, p.changed
}

func (p *Program) make() []*eventingv1.BrokerConfig {
	brokers := p.brokers.ListCached("", nil)
	out := make([]*eventingv1.BrokerConfig, 0, len(brokers))
	byName := make(map[store.Key]*eventingv1.BrokerConfig, len(brokers))
	specs := make(map[store.Key]*eventingv1.DeliverySpec, len(brokers))
	for _, b := range brokers {
		m := b.GetMetadata()
		c := &eventingv1.BrokerConfig{Uid: m.GetUid(), Namespace: m.GetNamespace(), Name: m.GetName()}
		out = append(out, c)
		byName[store.KeyOf(b)], specs[store.KeyOf(b)] = c, b.GetSpec().GetDelivery()
	}
	for _, t := range p.triggers.ListCached("", nil) {
		key := store.Key{Namespace: t.GetMetadata().GetNamespace(), Name: t.GetSpec().GetBroker()}
		if c := byName[key]; c != nil {
			c.Triggers = append(c.Triggers, triggerConfig(t, specs[key]))
		}
	}
	slices.SortFunc(out, func(a, b *eventingv1.BrokerConfig) int { return cmp.Compare(a.GetUid(), b.GetUid()) })
	return out
}

func triggerConfig(t *eventingv1.Trigger, broker *eventingv1.DeliverySpec) *eventingv1.TriggerConfig {
	spec, status := t.GetSpec(), t.GetStatus()
	policy := delivery.Of(spec.GetDelivery(), broker)
	c := &eventingv1.TriggerConfig{
		Uid: t.GetMetadata().GetUid(), Name: t.GetMetadata().GetName(), Attributes: spec.GetFilter().GetAttributes(),
		SubscriberUri: status.GetSubscriberUri(), DeadLetterSinkUri: status.GetDeadLetterSinkUri(),
		Retry: policy.Retry, BackoffPolicy: policy.BackoffPolicy,
		BackoffDelayMs: policy.BackoffDelay.Milliseconds(), TimeoutMs: max(1, policy.Timeout.Milliseconds()),
	}
	// Without its dead letter sink an event that fails would be lost: the trigger waits until the sink is known.
	if DeadLetterSink(t, broker) != nil && c.DeadLetterSinkUri == "" {
		c.SubscriberUri = ""
	}
	return c
}

// DeadLetterSink returns where a trigger's failed events go: where its own spec says, or its broker's, or nil.
func DeadLetterSink(t *eventingv1.Trigger, broker *eventingv1.DeliverySpec) *eventingv1.Destination {
	if d := t.GetSpec().GetDelivery().GetDeadLetterSink(); d != nil {
		return d
	}
	return broker.GetDeadLetterSink()
}
