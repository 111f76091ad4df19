// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package autoscaler

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func key() store.Key { return store.Key{Namespace: "ns", Name: "rev"} }

func load(inFlight, waiting int64) []*servingv1.RevisionLoad {
	return []*servingv1.RevisionLoad{{
		Namespace: "ns", Revision: "rev", AverageConcurrency: float64(inFlight), Requests: inFlight, InFlight: inFlight, Waiting: waiting,
	}}
}

// rig is a Scaler with one revision, whose reconciler does at once what is wanted.
type rig struct {
	*testing.T
	*Scaler

	seen    Observation
	changes int
}

func newRig(t *testing.T, o Observation, pairs ...string) *rig {
	t.Helper()
	g := &rig{T: t, Scaler: New(DefaultConfig()), seen: o}
	g.seen.UID, g.seen.Settings, g.seen.Routed = "uid", settings(t, pairs...), true
	ctx, cancel := context.WithCancel(t.Context())
	if err := g.Source().Watch(ctx, func(store.Key) { g.changes++ }); err != nil {
		t.Fatal(err)
	}
	g.Observe(key(), g.seen)
	t.Cleanup(func() { cancel(); g.Close() })
	return g
}

func (g *rig) expect(when string, replicas int32, serving bool) {
	g.Helper()
	synctest.Wait()
	got, _ := g.Target(key())
	if got.Replicas != replicas || got.Serving != serving {
		g.Fatalf("%s: got %d pods, serving %t (%s); want %d, %t", when, got.Replicas, got.Serving, got.Reason, replicas, serving)
	}
}

func TestNewRevisionProvesItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, Observation{New: true}, "window", "6s")
		s := g.Connect()
		defer s.Close()
		s.Report(0, nil)
		g.expect("at once", 1, true)
		time.Sleep(10 * time.Minute)
		g.expect("as long as it is new", 1, true)
		g.seen.New, g.seen.Ready = false, 1
		g.Observe(key(), g.seen)
		time.Sleep(35 * time.Second)
		g.expect("for window and grace", 1, true)
		time.Sleep(2 * time.Second)
		g.expect("then", 1, false)
		g.Withdrawn(key(), 7)
		g.expect("before the router goes by that table", 1, false)
		s.Report(7, nil)
		g.expect("after", 0, false)
	})
}

func TestFailedRevisionLosesItsPods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, Observation{New: true})
		g.expect("at first", 1, true)
		g.seen.Failed = true
		g.Observe(key(), g.seen)
		g.expect("failed", 0, false)
	})
}

func TestDrainWaitsForWhatIsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, Observation{Replicas: 1, Ready: 1}, "window", "6s")
		a, b := g.Connect(), g.Connect()
		defer a.Close()
		defer b.Close()
		a.Report(1, nil)
		b.Report(1, nil)
		time.Sleep(time.Minute)
		g.expect("idle", 1, false)
		g.Withdrawn(key(), 2)
		a.Report(2, nil)
		g.expect("one of two routers", 1, false)
		// A request came to the other one just before the new table.
		b.Report(2, load(1, 0))
		g.expect("in flight", 1, true)
	})
}

func TestRequestWhileDraining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, Observation{Replicas: 1, Ready: 1}, "window", "6s")
		s := g.Connect()
		defer s.Close()
		s.Report(1, nil)
		time.Sleep(time.Minute)
		g.expect("idle", 1, false)
		changes := g.changes
		s.Report(2, load(1, 1))
		g.expect("a request waits", 1, true)
		if g.changes == changes {
			t.Error("nobody was told")
		}
	})
}

func TestUpFromZero(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, Observation{})
		s := g.Connect()
		defer s.Close()
		s.Report(1, nil)
		g.expect("at first", 0, false)
		s.Report(1, load(1, 1))
		g.expect("a request waits", 1, true)
		if got, _ := g.Target(key()); got.Reason != "requests that wait for a pod: 1" {
			t.Errorf("reason is %q", got.Reason)
		}
	})
}

func TestNoPodIsLostWithoutRouters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, Observation{Replicas: 5, Ready: 5}, "window", "6s")
		time.Sleep(time.Hour)
		g.expect("no router has reported", 5, true)
		s := g.Connect()
		defer s.Close()
		s.Report(1, nil)
		time.Sleep(5 * time.Second)
		g.expect("not for a whole window", 5, true)
		time.Sleep(2 * time.Second)
		g.seen.Ready = 2
		g.expect("after a window", 2, true)
	})
}

func TestUnroutedRevisionNeedsNoMinimum(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, Observation{Replicas: 1, Ready: 1}, "window", "6s", "min-scale", "1")
		s := g.Connect()
		defer s.Close()
		s.Report(1, nil)
		time.Sleep(time.Hour)
		g.expect("routed", 1, true)
		g.seen.Routed = false
		g.Observe(key(), g.seen)
		time.Sleep(time.Minute)
		g.expect("not routed", 1, false)
	})
}
