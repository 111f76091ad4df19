// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package autoscaler

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func annotations(pairs ...string) map[string]string {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m["autoscaling.knative.dev/"+pairs[i]] = pairs[i+1]
	}
	return m
}

func TestParse(t *testing.T) {
	defaults := Settings{
		Initial: 1, Activation: 1, Metric: MetricConcurrency, Target: 70, Window: time.Minute, Panic: 6 * time.Second,
		PanicThreshold: 2, Grace: 30 * time.Second,
	}
	for _, tc := range []struct {
		reason      string
		annotations map[string]string
		concurrency int64
		change      func(*Settings)
	}{
		{reason: "defaults"},
		{
			reason: "containerConcurrency is the target", concurrency: 10,
			change: func(s *Settings) { s.Target = 7 },
		},
		{
			reason: "a target above containerConcurrency is cut", concurrency: 10, annotations: annotations("target", "50", "target-utilization-percentage", "100"),
			change: func(s *Settings) { s.Target = 10 },
		},
		{
			reason: "older spellings", annotations: annotations("minScale", "2", "maxScale", "4", "initialScale", "3"),
			change: func(s *Settings) { s.Min, s.Max, s.Initial = 2, 4, 3 },
		},
		{
			reason: "the newer spelling wins", annotations: annotations("minScale", "2", "min-scale", "1"),
			change: func(s *Settings) { s.Min = 1 },
		},
		{
			reason: "windows", annotations: annotations("window", "6s", "panic-window-percentage", "50", "scale-down-delay", "10s", "scale-to-zero-pod-retention-period", "1m"),
			change: func(s *Settings) {
				s.Window, s.Panic, s.ScaleDownDelay, s.Grace = 6*time.Second, 3*time.Second, 10*time.Second, time.Minute
			},
		},
		{
			reason: "requests a second", annotations: annotations("metric", "rps"), concurrency: 10,
			change: func(s *Settings) { s.Metric, s.Target = MetricRPS, 140 },
		},
	} {
		want := defaults
		if tc.change != nil {
			tc.change(&want)
		}
		got, faults := Parse(tc.annotations, tc.concurrency, DefaultConfig())
		if diff := cmp.Diff(want, got); diff != "" || len(faults) > 0 {
			t.Errorf("%s: faults %v, -want +got:\n%s", tc.reason, faults, diff)
		}
	}
}

func TestParseFaults(t *testing.T) {
	for _, tc := range []struct {
		annotations map[string]string
		message     string
	}{
		{annotations("min-scale", "-1"), `"-1" is not a whole number of at least 0`},
		{annotations("max-scale", "many"), `"many" is not a whole number of at least 0`},
		{annotations("initial-scale", "0"), `"0" is not a whole number of at least 1`},
		{annotations("min-scale", "3", "max-scale", "2"), "min-scale (3) is above max-scale (2)"},
		{annotations("window", "5s"), `"5s" is not a duration between 6s and 1h0m0s, such as "30s"`},
		{annotations("window", "6500ms"), `"6500ms" is not a whole number of seconds`},
		{annotations("target", "0"), `"0" is not a number of at least 0.01`},
		{annotations("target-utilization-percentage", "101"), `"101" is not a number between 1 and 100`},
		{annotations("class", "hpa.autoscaling.knative.dev"), `the class "hpa.autoscaling.knative.dev" is not supported yet; leave it out to scale by concurrency or rps`},
		{annotations("metric", "cpu"), `the metric "cpu" needs the class "hpa.autoscaling.knative.dev", which is not supported yet; use "concurrency" or "rps"`},
		{annotations("min-scales", "1"), "no such annotation of the autoscaler"},
	} {
		_, faults := Parse(tc.annotations, 0, DefaultConfig())
		if len(faults) != 1 || faults[0].Message != tc.message || tc.annotations[faults[0].Annotation] == "" {
			t.Errorf("%v: got %v, want %q", tc.annotations, faults, tc.message)
		}
	}
}

func TestWindow(t *testing.T) {
	at := func(s int64) time.Time { return time.Unix(1000+s, 0) }
	w := newWindow(6 * time.Second)
	if got := w.average(at(0), 6*time.Second); got != 0 {
		t.Errorf("an empty window averages %v", got)
	}
	w.add(at(0), 6)
	if got := w.average(at(0), 6*time.Second); got != 6 {
		t.Errorf("the first second averages %v, want 6", got)
	}
	w.add(at(1), 12)
	for s, want := range map[int64]float64{2: 9, 3: 6, 6: 3, 7: 2, 8: 0} {
		c := *w
		c.sums = append([]float64(nil), w.sums...)
		if got := c.average(at(s), 6*time.Second); got != want {
			t.Errorf("after %d s the average is %v, want %v", s, got, want)
		}
	}
	if got := w.average(at(2), time.Second); got != 12 {
		t.Errorf("the last second averages %v, want 12", got)
	}
	w.average(at(1000), 6*time.Second)
	w.add(at(1000), 6)
	if got := w.average(at(1001), 6*time.Second); got != 1 {
		t.Errorf("after a long silence the average is %v, want 1", got)
	}
}

// run feeds a decider a load for each second, and returns how many pods it wanted at the end of each.
func run(d *decider, begin time.Time, current int32, loads []float64) (time.Time, []int32) {
	now := begin
	out := make([]int32, 0, len(loads))
	for _, load := range loads {
		now = now.Add(time.Second)
		if load > 0 {
			d.record(now.Add(-time.Millisecond), load, int64(load), time.Second)
		}
		current = d.decide(now, situation{current: current, ready: current, inFlight: int64(load)}).pods
		out = append(out, current)
	}
	return now, out
}

func repeat(load float64, times int) []float64 {
	out := make([]float64, times)
	for i := range out {
		out[i] = load
	}
	return out
}

func last(n []int32) int32 { return n[len(n)-1] }

func settings(t *testing.T, pairs ...string) Settings {
	t.Helper()
	s, faults := Parse(annotations(pairs...), 0, DefaultConfig())
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	return s
}

func TestDecide(t *testing.T) {
	begin := time.Unix(1000, 0)
	for _, tc := range []struct {
		reason   string
		settings Settings
		current  int32
		loads    []float64
		want     int32
	}{
		{"a steady load fills as many pods as it needs", settings(t, "target", "10"), 1, repeat(21, 60), 3},
		{"max-scale bounds", settings(t, "target", "10", "max-scale", "2"), 1, repeat(100, 60), 2},
		{"min-scale bounds", settings(t, "min-scale", "2"), 2, repeat(0, 300), 2},
		{"a burst is met within seconds", settings(t, "target", "10"), 1, repeat(70, 6), 10},
		{"without load the last pod stays for window and grace", settings(t), 1, repeat(0, 89), 1},
		{"and goes then", settings(t), 1, repeat(0, 91), 0},
		{"a short window", settings(t, "window", "6s"), 1, repeat(0, 36), 0},
		{"retention holds the last pod", settings(t, "window", "6s", "scale-to-zero-pod-retention-period", "1m"), 1, repeat(0, 65), 1},
		{"delay holds the highest", settings(t, "window", "6s", "target", "10", "scale-down-delay", "1m"), 1, append(repeat(21, 10), repeat(1, 40)...), 3},
		{"fewer pods after the window", settings(t, "window", "6s", "target", "10"), 3, append(repeat(21, 10), repeat(1, 30)...), 1},
	} {
		_, got := run(newDecider(DefaultConfig(), tc.settings, begin), begin, tc.current, tc.loads)
		if last(got) != tc.want {
			t.Errorf("%s: got %v, want %d at the end", tc.reason, got, tc.want)
		}
	}
}

func TestDecideFromZero(t *testing.T) {
	now := time.Unix(1000, 0)
	for _, tc := range []struct {
		reason   string
		settings Settings
		waiting  int64
		want     int32
	}{
		{"one request, one pod", settings(t), 1, 1},
		{"those who wait are the load", settings(t, "target", "10"), 20, 3},
		{"activation-scale", settings(t, "activation-scale", "2"), 1, 2},
		{"nobody waits", settings(t), 0, 0},
	} {
		d := newDecider(DefaultConfig(), tc.settings, now)
		if got := d.decide(now, situation{waiting: tc.waiting, inFlight: tc.waiting}).pods; got != tc.want {
			t.Errorf("%s: got %d, want %d", tc.reason, got, tc.want)
		}
	}
}

func TestDecideHeld(t *testing.T) {
	now := time.Unix(1000, 0)
	d := newDecider(DefaultConfig(), settings(t), now)
	late := now.Add(time.Hour)
	until := late.Add(time.Minute)
	if got := d.decide(late, situation{current: 3, ready: 3, held: true, heldUntil: until}); got.pods != 3 || got.again != until {
		t.Errorf("got %+v, want 3 pods until %s", got, until)
	}
	if got := d.decide(until, situation{current: 3, ready: 3}); got.pods != 1 {
		t.Errorf("got %+v, want half of 3 pods", got)
	}
}

func TestNothingToDecide(t *testing.T) {
	now := time.Unix(1000, 0)
	for reason, d := range map[string]decision{
		"no pods":          newDecider(DefaultConfig(), settings(t), now).decide(now, situation{}),
		"min-scale, idle":  newDecider(DefaultConfig(), settings(t, "min-scale", "1"), now).decide(now, situation{current: 1, ready: 1}),
		"held, no routers": newDecider(DefaultConfig(), settings(t), now).decide(now, situation{current: 1, ready: 1, held: true}),
	} {
		if !d.again.IsZero() {
			t.Errorf("%s: it would look again at %s", reason, d.again)
		}
	}
}
