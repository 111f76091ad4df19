// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatcher

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	eventingv1 "fairlead.dev/gen/go/fairlead/eventing/v1"

	"fairlead.dev/services/eventing/cloudevent"
	"fairlead.dev/services/eventing/engine"
)

// What a trigger's configuration may leave out.
const (
	defaultTimeout = 30 * time.Second
	backoffLinear  = "linear"
)

// deliver brings one event to the subscriber, or to the dead letter sink, or puts it back for another try.
func (w *worker) deliver(d *engine.Delivery, e *cloudevent.Event, v envelope) {
	defer w.keep(d)()
	t := w.target.Load()
	if t.GetSubscriberUri() == "" { // it went while the event was on its way here
		w.putBack(d, 0)
		return
	}
	// A dead letter sink that failed is tried again without the subscriber, as long as this process remembers; a new
	// process tries the subscriber once more.
	fail := w.health.lost(d.Sequence)
	if fail == nil {
		var done bool
		if fail, done = w.trySubscriber(d, t, e, v); done {
			return
		}
	}
	if t.GetDeadLetterSinkUri() == "" {
		w.drop(d, e, fail.reason)
		return
	}
	w.bury(d, t, e, v, fail)
}

// trySubscriber sends the event once. It is done unless the event is given up, for the failure that it returns then.
func (w *worker) trySubscriber(d *engine.Delivery, t *eventingv1.TriggerConfig, e *cloudevent.Event, v envelope) (*failure, bool) {
	a := w.post(t, t.GetSubscriberUri(), e, v)
	fail := a.failure
	if fail == nil {
		err := w.publishReply(d, a, v)
		if err == nil {
			w.finish(d, outcomeDelivered)
			return nil, true
		}
		// The reply is part of the work: the subscriber gets the event again, and may reply again.
		fail = &failure{reason: fmt.Sprintf("the reply of %s: %v", t.GetSubscriberUri(), err), retry: true}
		if w.life.Err() == nil {
			w.retry(d, t, fail, nil)
			return nil, true
		}
	}
	if w.life.Err() != nil { // the dispatcher or the trigger ends: that is no failure of the subscriber's
		w.putBack(d, 0)
		return nil, true
	}
	if fail.retry && d.Attempt <= int(t.GetRetry()) {
		w.retry(d, t, fail, nil)
		return nil, true
	}
	return fail, false
}

// post sends an event and measures it.
func (w *worker) post(t *eventingv1.TriggerConfig, uri string, e *cloudevent.Event, v envelope) answer {
	timeout := time.Duration(t.GetTimeoutMs()) * time.Millisecond
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	start := time.Now()
	a := w.sender.send(w.life, uri, e, v, timeout)
	code := http.StatusOK
	if a.failure != nil {
		code = a.failure.code
	}
	w.metrics.try(w.namespace, w.name, code, time.Since(start))
	return a
}

// retry puts the event back, for a while by the trigger's policy or as the subscriber asked. lost is why the subscriber
// is not to be tried again, if so.
func (w *worker) retry(d *engine.Delivery, t *eventingv1.TriggerConfig, fail, lost *failure) {
	after := max(pause(t, d.Attempt, w.cfg.MaxBackoff), min(fail.after, w.cfg.MaxRetryAfter))
	w.log.Debug("delivery failed; trying again", "event", d.Sequence, "attempt", d.Attempt, "after", after, "error", fail.reason)
	if w.health.retrying(d.Sequence, try{due: time.Now().Add(after), lost: lost}, fail.reason) {
		w.log.Warn("deliveries fail", "error", fail.reason)
		w.changed()
	}
	w.putBack(d, after)
}

// pause is how long to wait after so many tries: the policy's delay times the number of tries, or doubled with each.
func pause(t *eventingv1.TriggerConfig, tries int, most time.Duration) time.Duration {
	factor := math.Exp2(float64(tries - 1))
	if t.GetBackoffPolicy() == backoffLinear {
		factor = float64(tries)
	}
	wait := float64(t.GetBackoffDelayMs()) * factor * float64(time.Millisecond)
	return time.Duration(min(wait, float64(most)))
}

func (w *worker) putBack(d *engine.Delivery, after time.Duration) {
	if err := d.Retry(after); err != nil {
		w.log.Warn("an event comes again sooner than it should", "error", err)
	}
}

// finish takes an event off the trigger's list.
func (w *worker) finish(d *engine.Delivery, outcome string) {
	w.acknowledge(d)
	w.metrics.events.WithLabelValues(w.namespace, w.name, outcome).Inc()
	if w.health.settled(d.Sequence, outcome == outcomeDelivered) {
		w.log.Info("deliveries succeed again")
		w.changed()
	}
}

// drop gives an event up for good.
func (w *worker) drop(d *engine.Delivery, e *cloudevent.Event, reason string) {
	w.log.Warn("event dropped", "event", e.String(), "attempts", d.Attempt, "error", reason)
	if w.health.failed("an event was dropped: " + reason) {
		w.changed()
	}
	w.finish(d, outcomeDropped)
}

// bury sends an event that was given up to the dead letter sink. A sink that may yet take it is tried again for as long
// as the engine keeps the event.
func (w *worker) bury(d *engine.Delivery, t *eventingv1.TriggerConfig, e *cloudevent.Event, v envelope, fail *failure) {
	dead := e.Clone()
	code, data := fail.code, fail.data
	if code == 0 { // as Knative tells that no answer came
		code, data = http.StatusInternalServerError, fail.reason
	}
	dead.Set("knativeerrordest", t.GetSubscriberUri())
	dead.Set("knativeerrorcode", strconv.Itoa(code))
	if data = printable(data); data != "" {
		dead.Set("knativeerrordata", data)
	}
	a := w.post(t, t.GetDeadLetterSinkUri(), dead, v)
	switch {
	case a.failure == nil:
		w.log.Info("event sent to the dead letter sink", "event", e.String(), "attempts", d.Attempt, "error", fail.reason)
		if w.health.failed("an event went to the dead letter sink: " + fail.reason) {
			w.changed()
		}
		w.finish(d, outcomeDeadLettered)
	case w.life.Err() != nil:
		w.putBack(d, 0)
	case a.failure.retry:
		a.failure.reason = "dead letter sink " + a.failure.reason
		w.retry(d, t, a.failure, fail)
	default:
		w.drop(d, e, fail.reason+"; dead letter sink "+a.failure.reason)
	}
}

// printable makes a body fit for an attribute: one line of text, cut at a character.
func printable(s string) string {
	s = strings.ToValidUTF8(s, "")
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s))
}

// publishReply adds the events of an answer to the broker. Doing it twice for the same event adds them once.
func (w *worker) publishReply(d *engine.Delivery, a answer, v envelope) error {
	if a.badReply != nil {
		w.log.Warn("reply dropped", "event", d.Sequence, "error", a.badReply)
		w.metrics.replies.WithLabelValues(w.namespace, w.name, "invalid").Inc()
		return nil
	}
	if len(a.reply) == 0 {
		return nil
	}
	if v.hops--; v.hops <= 0 {
		w.log.Warn("reply dropped: it comes from a loop of replies", "event", d.Sequence)
		w.metrics.replies.WithLabelValues(w.namespace, w.name, "looping").Inc()
		return nil
	}
	messages := make([]engine.Message, 0, len(a.reply))
	for i, r := range a.reply {
		r.Remove(extensionHops)
		m := v.message(r)
		m.ID = fmt.Sprintf("%s/%d/%d", w.uid, d.Sequence, i)
		messages = append(messages, m)
	}
	ctx, cancel := context.WithTimeout(w.life, w.cfg.PublishTimeout)
	defer cancel()
	if err := w.engine.Publish(ctx, w.broker, messages...); err != nil {
		w.missed(err)
		return err
	}
	w.metrics.replies.WithLabelValues(w.namespace, w.name, "published").Add(float64(len(messages)))
	return nil
}

// keep tells the engine now and then that the event is being worked on, until the returned function is called.
func (w *worker) keep(d *engine.Delivery) (stop func() bool) {
	every := w.engine.AckWait() / 3
	var timer *time.Timer
	ready := make(chan struct{})
	timer = time.AfterFunc(every, func() {
		<-ready
		if d.Working() == nil {
			timer.Reset(every)
		}
	})
	close(ready)
	return timer.Stop
}
