// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatcher

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	eventingv1 "fairlead.dev/gen/go/fairlead/eventing/v1"

	"fairlead.dev/services/eventing/engine"
)

// worker delivers the events of one trigger: it pulls as many as it may have under way, so that a slow subscriber holds
// up nobody else.
type worker struct {
	cfg     Config
	engine  *engine.Engine
	sender  *sender
	metrics *metrics
	log     *slog.Logger
	// changed is called when what report returns has changed.
	changed func()
	// gone is called when the engine has no such stream or consumer; lost is set before.
	gone func()
	lost atomic.Bool

	broker    string // UID
	uid       string
	namespace string
	name      string
	target    atomic.Pointer[eventingv1.TriggerConfig]

	// life ends deliveries under way; it outlives pulling, by the dispatcher's grace.
	life context.Context //nolint:containedctx // a worker is a process of its own
	kill context.CancelFunc
	busy sync.WaitGroup
	// slots has an entry for each event under way.
	slots chan struct{}

	// pulling, and stopped when pulling has ended, are owned by the table's goroutine.
	stopPulling context.CancelFunc
	pulled      chan struct{}

	health health
}

// set gives the worker another configuration, and starts or ends its pulling. Events that wait for another try go by the
// new one.
func (w *worker) set(t *eventingv1.TriggerConfig) {
	old := w.target.Swap(t)
	if (old.GetSubscriberUri() != t.GetSubscriberUri() || old.GetDeadLetterSinkUri() != t.GetDeadLetterSinkUri()) && w.health.forget() {
		w.changed()
	}
	switch {
	case t.GetSubscriberUri() == "":
		w.pause()
	case w.stopPulling == nil:
		ctx, cancel := context.WithCancel(w.life)
		w.stopPulling, w.pulled = cancel, make(chan struct{})
		go func() {
			defer close(w.pulled)
			w.run(ctx)
		}()
	}
}

// pause ends pulling. Deliveries under way go on.
func (w *worker) pause() {
	if w.stopPulling != nil {
		w.stopPulling()
		<-w.pulled
		w.stopPulling = nil
	}
}

// stop ends the worker; deliveries under way may go on until grace ends.
func (w *worker) stop(grace context.Context) {
	w.pause()
	defer context.AfterFunc(grace, w.kill)()
	w.busy.Wait()
	w.kill()
}

// run pulls until ctx ends.
func (w *worker) run(ctx context.Context) {
	wait := backoff{least: 100 * time.Millisecond, most: 15 * time.Second}
	for ctx.Err() == nil {
		err := w.pull(ctx, wait.reset)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			continue
		}
		w.log.Warn("events cannot be read; trying again", "error", err)
		if w.health.failed(err.Error()) {
			w.changed()
		}
		w.missed(err)
		wait.sleep(ctx)
	}
}

// missed has the stream and the consumer looked after where err says that one of them is not there.
func (w *worker) missed(err error) {
	if errors.Is(err, engine.ErrNoStream) || errors.Is(err, engine.ErrNoConsumer) {
		w.lost.Store(true)
		w.gone()
	}
}

// pull takes events until something goes wrong, and calls well when something has gone right.
func (w *worker) pull(ctx context.Context, well func()) error {
	puller, err := w.engine.Puller(ctx, w.broker, w.uid)
	if err != nil {
		return err
	}
	for {
		free, ok := w.reserve(ctx)
		if !ok {
			return nil
		}
		err := puller.Pull(ctx, free, func(d *engine.Delivery) { //nolint:contextcheck // deliveries outlive pulling, by the grace
			well()
			if w.take(d) {
				free--
			}
		})
		for range free {
			<-w.slots
		}
		if err != nil {
			return err
		}
		well()
	}
}

// reserve waits for a free slot, and takes all that are free then.
func (w *worker) reserve(ctx context.Context) (int, bool) {
	select {
	case w.slots <- struct{}{}:
	case <-ctx.Done():
		return 0, false
	}
	for n := 1; ; n++ {
		select {
		case w.slots <- struct{}{}:
		default:
			return n, true
		}
	}
}

// take begins the delivery of an event, or acknowledges one that the filter leaves out. It tells whether the event uses
// a slot.
func (w *worker) take(d *engine.Delivery) bool {
	w.health.behind(d.Behind)
	w.health.took(d.Sequence)
	e, v := opened(d)
	if !e.Matches(w.target.Load().GetAttributes()) {
		w.finish(d, outcomeFiltered)
		return false
	}
	w.busy.Go(func() {
		defer func() { <-w.slots }()
		w.deliver(d, e, v)
	})
	return true
}

func (w *worker) acknowledge(d *engine.Delivery) {
	if err := d.Ack(); err != nil {
		w.log.Warn("an event that was dealt with will come again", "error", err)
	}
}

// backoff is a wait that doubles.
type backoff struct {
	least, most time.Duration
	next        time.Duration
}

// sleep waits, or returns when ctx ends.
func (b *backoff) sleep(ctx context.Context) {
	timer := time.NewTimer(b.grow())
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (b *backoff) grow() time.Duration {
	d := max(b.next, b.least)
	b.next = min(2*d, b.most)
	return d
}

func (b *backoff) reset() { b.next = 0 }
