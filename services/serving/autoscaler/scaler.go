// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package autoscaler

import (
	"context"
	"fmt"
	"sync"
	"time"

	"fairlead.dev/services/internal/reconcile"
	"fairlead.dev/services/internal/store"
)

// Observation is what the reconciler of a revision sees.
type Observation struct {
	// UID tells revisions of one name apart.
	UID string
	// Settings are what its annotations say.
	Settings Settings
	// New is set until a pod of the revision has ever been ready.
	New bool
	// Failed is set when none ever will.
	Failed bool
	// Routed is set when a route sends it requests. min-scale holds for what is new or routed.
	Routed bool
	// Ready is how many pods are ready.
	Ready int32
	// Replicas is how many pods the cluster was told to run, as far as is known.
	Replicas int32
}

// Target is what the autoscaler wants of a revision.
type Target struct {
	// Replicas is how many pods are to run.
	Replicas int32
	// Serving tells whether routers may send requests to them. It is false while the last pods are about to go.
	Serving bool
	// Reason says why there are as many.
	Reason string
	// Decided is when that was decided.
	Decided time.Time
}

// entry is one revision.
type entry struct {
	key     store.Key
	seen    Observation
	decider *decider
	target  Target
	timer   *time.Timer
	// withdrawn is the version of the routing table from which on the revision has no pods; 0 while that is not known. It counts
	// while target.Serving is false and there are replicas.
	withdrawn int64
}

func (e *entry) draining() bool { return e.target.Replicas > 0 && !e.target.Serving }

// Scaler decides for all revisions of an installation. It acts on what it hears, and on timers where time alone matters:
// while a revision has pods that it may lose.
type Scaler struct {
	cfg Config

	mu        sync.Mutex
	revisions map[store.Key]*entry
	drainers  map[*entry]struct{} // those that drain
	sessions  map[*Session]struct{}
	// disturbed is when a router last came or went: for the length of a window after it, no revision loses pods.
	disturbed time.Time
	listeners map[int]func(store.Key)
	next      int
	closed    bool
}

// New makes a Scaler. It knows no router yet, so no revision loses pods.
func New(cfg Config) *Scaler {
	return &Scaler{
		cfg: cfg, disturbed: time.Now(),
		revisions: map[store.Key]*entry{}, drainers: map[*entry]struct{}{}, sessions: map[*Session]struct{}{},
		listeners: map[int]func(store.Key){},
	}
}

// Close stops all timers. Nothing is decided any more.
func (s *Scaler) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, e := range s.revisions {
		e.stop()
	}
}

// Source tells the keys of revisions whose Target has changed.
func (s *Scaler) Source() reconcile.Source {
	return reconcile.Source{Watch: func(ctx context.Context, add func(store.Key)) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		id := s.next
		s.next++
		s.listeners[id] = add
		context.AfterFunc(ctx, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.listeners, id)
		})
		return nil
	}}
}

// Observe takes in what is seen of a revision and returns what is wanted of it.
func (s *Scaler) Observe(key store.Key, o Observation) Target {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	e := s.revisions[key]
	if e == nil || e.seen.UID != o.UID {
		if e != nil {
			s.drop(e)
		}
		e = &entry{key: key, decider: newDecider(s.cfg, o.Settings, now)}
		e.target = Target{Replicas: o.Replicas, Serving: o.Replicas > 0, Decided: now}
		s.revisions[key] = e
	}
	if e.seen.Settings != o.Settings {
		e.decider = newDecider(s.cfg, o.Settings, now)
	}
	if e.seen.New {
		e.decider.touch(now)
	}
	e.seen = o
	e.decider.settings.Min = 0
	if o.New || o.Routed {
		e.decider.settings.Min = o.Settings.Min
	}
	s.evaluate(e, now)
	return e.target
}

// Target returns what is wanted of a revision, if it has been observed.
func (s *Scaler) Target(key store.Key) (Target, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.revisions[key]
	if e == nil {
		return Target{}, false
	}
	return e.target, true
}

// Forget drops a revision that is gone.
func (s *Scaler) Forget(key store.Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.revisions[key]; e != nil {
		s.drop(e)
	}
}

func (s *Scaler) drop(e *entry) {
	e.stop()
	delete(s.drainers, e)
	delete(s.revisions, e.key)
}

// Withdrawn says that the revision has no pods in the routing table of that version and in later ones.
func (s *Scaler) Withdrawn(key store.Key, version int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.revisions[key]; e != nil && e.draining() && e.withdrawn == 0 {
		e.withdrawn = version
		s.evaluate(e, time.Now())
	}
}

// evaluate decides anew. The caller holds the lock.
func (s *Scaler) evaluate(e *entry, now time.Time) {
	if s.closed {
		return
	}
	sit := situation{current: e.target.Replicas, ready: e.seen.Ready}
	for c := range s.sessions {
		sit.inFlight += c.inFlight[e.key]
		sit.waiting += c.waiting[e.key]
	}
	sit.held, sit.heldUntil = s.held(e, now)
	var want decision
	switch {
	case e.seen.Failed:
	case e.seen.New:
		want = e.decider.decide(now, sit)
		want.pods = max(want.pods, e.decider.bound(e.seen.Settings.Initial), e.target.Replicas)
	default:
		want = e.decider.decide(now, sit)
	}
	s.settle(e, now, want.pods, reason(e, now, sit, want.pods))
	e.wakeAt(now, want.again, func() { s.fire(e) })
}

// held tells whether too little is known of the load for pods to be taken away, and until when.
func (s *Scaler) held(e *entry, now time.Time) (held bool, until time.Time) {
	if len(s.sessions) == 0 {
		return true, time.Time{}
	}
	until = s.disturbed.Add(e.decider.settings.Window)
	return now.Before(until), until
}

func reason(e *entry, now time.Time, sit situation, want int32) string {
	switch {
	case e.seen.Failed:
		return "it has failed"
	case e.seen.New && want == e.decider.bound(e.seen.Settings.Initial):
		return "it is new and has to show that it answers"
	case want == 0:
		return fmt.Sprintf("no request for %s", now.Sub(e.decider.lastLoad).Round(time.Second))
	case sit.cold():
		return fmt.Sprintf("requests that wait for a pod: %d", sit.waiting)
	case want == e.decider.settings.Min:
		return "min-scale"
	case want == e.decider.settings.Max:
		return "max-scale"
	}
	load := e.decider.load.average(now, e.decider.settings.Window)
	return fmt.Sprintf("%s is %.1f on average, and %.1f for each pod is meant", e.decider.settings.Metric, load, e.decider.settings.Target)
}

// settle makes a decision the target, and lets the last pods go only when no router uses them any more.
func (s *Scaler) settle(e *entry, now time.Time, want int32, why string) {
	was := e.target
	switch {
	case want > 0:
		e.target.Replicas, e.target.Serving, e.withdrawn = want, true, 0
	case e.target.Replicas == 0:
		e.target.Serving = false
	case e.seen.Failed || e.draining() && s.drained(e):
		e.target.Replicas, e.target.Serving, e.withdrawn = 0, false, 0
		settings := e.decider.settings
		e.decider = newDecider(s.cfg, settings, now)
	case !e.draining():
		e.target.Serving, e.withdrawn = false, 0
	}
	delete(s.drainers, e)
	if e.draining() {
		s.drainers[e] = struct{}{}
	}
	if e.target.Replicas != was.Replicas || e.target.Reason == "" {
		e.target.Reason, e.target.Decided = why, now
	}
	if e.target.Replicas != was.Replicas || e.target.Serving != was.Serving {
		for _, tell := range s.listeners {
			tell(e.key)
		}
	}
}

// drained tells whether every router goes by a table without the revision's pods and has no request of it in flight.
func (s *Scaler) drained(e *entry) bool {
	if e.withdrawn == 0 || len(s.sessions) == 0 {
		return false
	}
	for c := range s.sessions {
		if c.version < e.withdrawn || c.inFlight[e.key] > 0 {
			return false
		}
	}
	return true
}

func (s *Scaler) fire(e *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.revisions[e.key] == e {
		s.evaluate(e, time.Now())
	}
}

// wakeAt sets the timer; a zero time stops it.
func (e *entry) wakeAt(now, at time.Time, fire func()) {
	e.stop()
	if !at.IsZero() {
		e.timer = time.AfterFunc(max(at.Sub(now), time.Millisecond), fire)
	}
}

func (e *entry) stop() {
	if e.timer != nil {
		e.timer.Stop()
		e.timer = nil
	}
}
