// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package autoscaler

import (
	"math"
	"time"
)

// decider decides how many pods one revision should have. It has no clock and no timer of its own.
type decider struct {
	cfg      Config
	settings Settings

	load     *window   // concurrency or requests a second
	lastLoad time.Time // when there was any
	delayed  highest

	panicUntil time.Time
	panicPeak  int32
}

// situation is what a decision goes by.
type situation struct {
	current  int32 // how many pods were decided on last
	ready    int32
	inFlight int64 // as last reported
	waiting  int64
	// held forbids fewer pods than there are: what is known of the load is not enough. heldUntil is when that ends by itself,
	// zero if it does not.
	held      bool
	heldUntil time.Time
}

// cold tells whether requests wait because no pod is there for them. Pods that are ready while none are wanted are on their
// way out.
func (s situation) cold() bool { return s.waiting > 0 && (s.ready == 0 || s.current == 0) }

// decision is how many pods there should be, and when to decide again if nothing is heard; zero means never.
type decision struct {
	pods  int32
	again time.Time
}

// newDecider makes a decider. A revision counts as loaded until begin.
func newDecider(cfg Config, s Settings, begin time.Time) *decider {
	return &decider{cfg: cfg, settings: s, load: newWindow(s.Window), lastLoad: begin, delayed: highest{span: s.ScaleDownDelay}}
}

// record takes in what a router measured over a span of time.
func (d *decider) record(now time.Time, concurrency float64, requests int64, span time.Duration) {
	v := concurrency * span.Seconds()
	if d.settings.Metric == MetricRPS {
		v = float64(requests)
	}
	d.load.add(now, v)
	if concurrency > 0 || requests > 0 {
		d.lastLoad = now
	}
}

// touch says that the revision had load, however little.
func (d *decider) touch(now time.Time) {
	if now.After(d.lastLoad) {
		d.lastLoad = now
	}
}

// decide decides.
func (d *decider) decide(now time.Time, s situation) decision {
	if s.inFlight > 0 {
		d.touch(now)
	}
	want := d.wanted(now, s)
	want = d.bound(want)
	if s.current == 0 && want > 0 {
		want = d.bound(max(want, d.settings.Activation))
	}
	want = d.delayed.record(now, want)
	zeroAt := d.lastLoad.Add(d.settings.Window + d.settings.Grace)
	if want == 0 && s.current > 0 && now.Before(zeroAt) {
		want = 1
	}
	if s.held && want < s.current {
		want = s.current
	}
	return decision{pods: want, again: d.again(now, s, want, zeroAt)}
}

// again says when the same situation would lead to another decision.
func (d *decider) again(now time.Time, s situation, want int32, zeroAt time.Time) time.Time {
	floor := d.settings.Min
	switch {
	case want <= floor && s.inFlight == 0:
		return time.Time{} // nothing to take away; a report will be heard
	case s.held:
		return s.heldUntil
	}
	next := now.Add(d.cfg.Tick)
	if want == 1 && floor == 0 && zeroAt.After(now) && (next.After(zeroAt) || d.load.average(now, d.settings.Window) == 0) {
		next = zeroAt
	}
	return next
}

// wanted is how many pods the load asks for, before the bounds.
func (d *decider) wanted(now time.Time, s situation) int32 {
	if s.cold() {
		// Nothing has been measured yet: those who wait are the load.
		return max(s.current, pods(float64(s.inFlight), d.settings.Target), 1)
	}
	stable, burst := d.load.average(now, d.settings.Window), d.load.average(now, d.settings.Panic)
	if !now.Before(d.lastLoad.Add(d.settings.Window)) {
		stable, burst = 0, 0 // sums are kept by the second: what is left of one is over
	}
	ready := max(s.ready, 1)
	up := int32(min(math.Ceil(float64(ready)*d.cfg.MaxScaleUpRate), math.MaxInt32))
	down := int32(math.Floor(float64(s.ready) / d.cfg.MaxScaleDownRate))
	wantStable := max(min(pods(stable, d.settings.Target), up), down)
	wantBurst := max(min(pods(burst, d.settings.Target), up), down)
	if pods(burst, d.settings.Target) > 0 && float64(pods(burst, d.settings.Target))/float64(ready) >= d.settings.PanicThreshold {
		d.panicUntil = now.Add(d.settings.Window)
	}
	want := wantStable
	if now.Before(d.panicUntil) {
		d.panicPeak = max(d.panicPeak, wantBurst, wantStable, s.current)
		want = d.panicPeak
	} else {
		d.panicPeak = 0
	}
	if s.waiting > 0 {
		want = max(want, 1)
	}
	return want
}

// pods is how many pods a load fills.
func pods(load, target float64) int32 {
	return int32(min(math.Ceil(load/target-1e-9), math.MaxInt32))
}

func (d *decider) bound(n int32) int32 {
	n = max(n, d.settings.Min)
	if d.settings.Max > 0 {
		n = min(n, d.settings.Max)
	}
	return n
}
