// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatcher

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	eventingv1 "fairlead.dev/gen/go/fairlead/eventing/v1"

	"fairlead.dev/services/eventing/engine"
)

// table brings the engine and the workers to what the configuration says. Its apply and stop are called by one goroutine.
type table struct {
	cfg     Config
	engine  *engine.Engine
	sender  *sender
	metrics *metrics
	log     *slog.Logger
	// changed is called when what states returns has changed.
	changed func()

	// repair has an entry when a stream or a consumer is gone that was set up, and apply is to be called again.
	repair chan struct{}

	// swept is whether what was left in the engine by brokers and triggers that went in the meantime has been looked through;
	// orphans of then are deleted in the sweep at nextSweep, which is zero where there are none.
	swept     bool
	nextSweep time.Time
	// deleted are the brokers that were seen to go and whose streams could not be deleted yet, by UID.
	deleted map[string]bool

	mu      sync.RWMutex
	known   bool               // a whole configuration has been applied
	brokers map[string]*broker // by UID
	names   map[string]*broker // by NAMESPACE/NAME
}

// broker is a broker of the configuration.
type broker struct {
	owner engine.Owner
	// made is when its stream was made; zero at first.
	made time.Time
	// lost is set when the stream, or a consumer on it, is gone.
	lost atomic.Bool
	// err is why its stream is not set up; errNotYet at first.
	err      error
	triggers map[string]*trigger // by UID
}

// trigger is a trigger of the configuration.
type trigger struct {
	// worker is nil until the consumer is set up.
	worker *worker
	err    error
}

func newTable(cfg Config, e *engine.Engine, s *sender, m *metrics, log *slog.Logger, changed func()) *table {
	return &table{cfg: cfg, engine: e, sender: s, metrics: m, log: log, changed: changed, repair: make(chan struct{}, 1), deleted: map[string]bool{}, brokers: map[string]*broker{}, names: map[string]*broker{}}
}

// find is of directory.
func (t *table) find(namespace, name string) (string, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	b := t.names[namespace+"/"+name]
	switch {
	case b != nil:
		return b.owner.UID, b.err
	case t.known:
		return "", errUnknown
	default:
		return "", errNotYet
	}
}

// lost is of directory.
func (t *table) lost(uid string) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	b := t.brokers[uid]
	if b == nil {
		return
	}
	b.lost.Store(true)
	select {
	case t.repair <- struct{}{}:
	default:
	}
}

// apply sets up what the configuration has and takes away what it has not. It goes on past errors, which the states tell,
// and returns them for another try.
func (t *table) apply(ctx context.Context, c *eventingv1.DispatcherServiceSyncResponse) error {
	var errs []error
	wanted := map[string]*eventingv1.BrokerConfig{}
	for _, b := range c.GetBrokers() {
		wanted[b.GetUid()] = b
		errs = append(errs, t.applyBroker(ctx, b))
	}
	for uid, b := range t.brokers {
		errs = append(errs, t.removeTriggers(ctx, b, wanted[uid]))
		if wanted[uid] == nil {
			errs = append(errs, t.removeBroker(ctx, b))
		}
	}
	t.mu.Lock()
	t.known = true
	t.mu.Unlock()
	if !t.swept || !t.nextSweep.IsZero() && !time.Now().Before(t.nextSweep) {
		err := t.sweep(ctx, wanted)
		t.swept = err == nil
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (t *table) applyBroker(ctx context.Context, c *eventingv1.BrokerConfig) error {
	b := t.brokers[c.GetUid()]
	if b == nil {
		b = &broker{
			owner: engine.Owner{UID: c.GetUid(), Namespace: c.GetNamespace(), Name: c.GetName()},
			err:   errNotYet, triggers: map[string]*trigger{},
		}
		t.mu.Lock()
		t.brokers[c.GetUid()] = b
		t.names[c.GetNamespace()+"/"+c.GetName()] = b
		t.mu.Unlock()
	}
	if b.lost.Swap(false) || b.err != nil {
		if err := t.ensureStream(ctx, b); err != nil {
			t.open(b, err)
			return err
		}
	}
	// The consumers of a new broker come before its first event, so that its triggers miss none.
	var errs []error
	for _, tc := range c.GetTriggers() {
		errs = append(errs, t.applyTrigger(ctx, b, tc))
	}
	t.open(b, nil)
	return errors.Join(errs...)
}

// ensureStream sets up a broker's stream. With one that was lost, all of its consumers are.
func (t *table) ensureStream(ctx context.Context, b *broker) error {
	made, err := t.engine.EnsureStream(ctx, b.owner)
	if err != nil {
		return err
	}
	if !b.made.IsZero() && !b.made.Equal(made) {
		t.log.Error("the stream of a broker was lost, with the events in it; it is made anew", "namespace", b.owner.Namespace, "broker", b.owner.Name)
		t.open(b, errNotYet) // until the consumers are there
		for _, tr := range b.triggers {
			if tr.worker != nil {
				tr.worker.health.begin(0)
				tr.worker.lost.Store(true)
			}
		}
	}
	b.made = made
	return nil
}

// open has the ingress take events for a broker, or tell why it does not.
func (t *table) open(b *broker, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b.err = err
}

func (t *table) applyTrigger(ctx context.Context, b *broker, c *eventingv1.TriggerConfig) error {
	tr := b.triggers[c.GetUid()]
	if tr == nil {
		tr = &trigger{}
	}
	if tr.worker == nil || tr.worker.lost.Load() {
		w, err := t.ensureConsumer(ctx, b, c, tr.worker)
		if errors.Is(err, engine.ErrNoStream) {
			b.lost.Store(true) // the next try makes it
		}
		t.mu.Lock()
		tr.worker, tr.err = w, err
		b.triggers[c.GetUid()] = tr
		t.mu.Unlock()
	}
	if tr.worker != nil {
		tr.worker.set(c) //nolint:contextcheck // a worker outlives the configuration that made it
	}
	return tr.err
}

// ensureConsumer sets up a trigger's consumer and returns its worker: the one that it has had, if any. A consumer that was
// lost goes on where the worker was, so that nothing is left out.
func (t *table) ensureConsumer(ctx context.Context, b *broker, c *eventingv1.TriggerConfig, w *worker) (*worker, error) {
	owner := engine.Owner{UID: c.GetUid(), Namespace: b.owner.Namespace, Name: c.GetName()}
	if w == nil {
		had, err := t.engine.EnsureConsumer(ctx, b.owner.UID, owner, engine.Newest)
		if err != nil {
			return nil, err
		}
		w = t.newWorker(b.owner.UID, owner)
		w.health.begin(had)
		return w, nil
	}
	if _, err := t.engine.EnsureConsumer(ctx, b.owner.UID, owner, w.health.next()); err != nil {
		return w, err
	}
	w.lost.Store(false)
	if w.health.forget() {
		t.changed()
	}
	return w, nil
}

func (t *table) newWorker(broker string, owner engine.Owner) *worker {
	life, kill := context.WithCancel(context.Background())
	return &worker{
		cfg: t.cfg, engine: t.engine, sender: t.sender, metrics: t.metrics, changed: t.changed, gone: func() { t.lost(broker) },
		log:    t.log.With("namespace", owner.Namespace, "trigger", owner.Name),
		broker: broker, uid: owner.UID, namespace: owner.Namespace, name: owner.Name,
		life: life, kill: kill, slots: make(chan struct{}, t.cfg.Concurrency),
	}
}

// removeTriggers takes away the triggers that the broker has no longer; c is nil for a broker that is gone.
func (t *table) removeTriggers(ctx context.Context, b *broker, c *eventingv1.BrokerConfig) error {
	kept := map[string]bool{}
	for _, tc := range c.GetTriggers() {
		kept[tc.GetUid()] = true
	}
	var errs []error
	for uid, tr := range b.triggers {
		if kept[uid] {
			continue
		}
		if tr.worker != nil {
			tr.worker.kill()
			tr.worker.stop(ctx)
			t.metrics.forgetTrigger(tr.worker.namespace, tr.worker.name)
		}
		if err := t.engine.DeleteConsumer(ctx, b.owner.UID, uid); err != nil {
			errs = append(errs, err)
			t.swept = false // the next sweep tries again
		}
		t.mu.Lock()
		delete(b.triggers, uid)
		t.mu.Unlock()
	}
	return errors.Join(errs...)
}

// removeBroker deletes a broker's stream, with the events in it.
func (t *table) removeBroker(ctx context.Context, b *broker) error {
	t.mu.Lock()
	delete(t.brokers, b.owner.UID)
	if name := b.owner.Namespace + "/" + b.owner.Name; t.names[name] == b {
		delete(t.names, name)
		t.metrics.forgetBroker(b.owner.Namespace, b.owner.Name)
	}
	t.mu.Unlock()
	t.log.Info("broker deleted; its events go", "namespace", b.owner.Namespace, "broker", b.owner.Name)
	if err := t.engine.DeleteStream(ctx, b.owner.UID); err != nil {
		t.swept, t.deleted[b.owner.UID] = false, true
		return err
	}
	return nil
}

// sweep deletes the consumers for which the configuration has no trigger, and the streams for which it has no broker. That
// alone does not mean that a broker was deleted: etcd may have lost it, and get it back from a backup. So a stream whose
// broker was not seen to go is kept for a while.
func (t *table) sweep(ctx context.Context, wanted map[string]*eventingv1.BrokerConfig) error {
	streams, err := t.engine.Streams(ctx)
	if err != nil {
		return err
	}
	t.nextSweep = time.Time{}
	var errs []error
	for _, uid := range streams {
		b := wanted[uid]
		if b == nil {
			errs = append(errs, t.sweepStream(ctx, uid))
			continue
		}
		consumers, err := t.engine.Consumers(ctx, uid)
		errs = append(errs, err)
		for _, trigger := range consumers {
			if !slices.ContainsFunc(b.GetTriggers(), func(tc *eventingv1.TriggerConfig) bool { return tc.GetUid() == trigger }) {
				errs = append(errs, t.engine.DeleteConsumer(ctx, uid, trigger))
			}
		}
	}
	return errors.Join(errs...)
}

// sweepStream deletes a stream whose broker is not there, or notes when it is to be.
func (t *table) sweepStream(ctx context.Context, uid string) error {
	if now := time.Now(); !t.deleted[uid] && t.cfg.OrphanGrace > 0 {
		since, err := t.engine.Orphan(ctx, uid, now)
		if err != nil {
			return err
		}
		if due := since.Add(t.cfg.OrphanGrace); now.Before(due) {
			t.log.Warn("events of a broker that does not exist are kept for now", "uid", uid, "until", due)
			if t.nextSweep.IsZero() || due.Before(t.nextSweep) {
				t.nextSweep = due
			}
			return nil
		}
	}
	t.log.Info("deleting the events of a broker that is gone", "uid", uid)
	if err := t.engine.DeleteStream(ctx, uid); err != nil {
		return err
	}
	delete(t.deleted, uid)
	return nil
}

// stop ends all workers; deliveries under way may go on until grace ends.
func (t *table) stop(grace context.Context) {
	var wg sync.WaitGroup
	for _, b := range t.brokers {
		for _, tr := range b.triggers {
			if tr.worker != nil {
				wg.Go(func() { tr.worker.stop(grace) })
			}
		}
	}
	wg.Wait()
}

// states reports on every broker and trigger, sorted by UID.
func (t *table) states() []*eventingv1.DispatchState {
	t.mu.RLock()
	defer t.mu.RUnlock()
	var out []*eventingv1.DispatchState
	for uid, b := range t.brokers {
		out = append(out, &eventingv1.DispatchState{Uid: uid, Ready: b.err == nil, Error: text(b.err)})
		for uid, tr := range b.triggers {
			s := &eventingv1.DispatchState{Uid: uid, Ready: tr.err == nil, Error: text(tr.err)}
			if tr.worker != nil {
				s.DeliveryError, s.Pending = tr.worker.health.report()
			}
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b *eventingv1.DispatchState) int { return cmp.Compare(a.GetUid(), b.GetUid()) })
	return out
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
