// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package router

import (
	"testing"
	"time"
)

func TestMeter(t *testing.T) {
	t0 := time.Unix(1000, 0)
	at := func(s float64) time.Time { return t0.Add(time.Duration(s * float64(time.Second))) }
	var m meter
	m.read(t0)
	m.begin(at(100)) // the silence before does not count
	m.begin(at(100.5))
	r, worth := m.read(at(101))
	if !worth || r.average != 1.5 || r.requests != 2 || r.inFlight != 2 {
		t.Errorf("got %+v %t", r, worth)
	}
	m.end(at(101.25))
	m.end(at(101.5))
	if r, worth = m.read(at(102)); !worth || r.average != 0.75 || r.requests != 0 || r.inFlight != 0 {
		t.Errorf("got %+v %t", r, worth)
	}
}

func TestMeterTellsTheEndOnce(t *testing.T) {
	t0 := time.Unix(1000, 0)
	var m meter
	m.begin(t0)
	m.end(t0)
	for i, want := range []bool{true, true, false, false} {
		if _, worth := m.read(t0.Add(time.Duration(i+1) * time.Second)); worth != want {
			t.Errorf("reading %d is worth telling: %t, want %t", i, worth, want)
		}
	}
}

func TestDestination(t *testing.T) {
	a, b := &backend{}, &backend{}
	d := &destination{shares: []share{{a, 10}, {b, 100}}, total: 100}
	for n, want := range map[int]*backend{0: a, 9: a, 10: b, 99: b, 100: nil} {
		if d.choose(n) != want {
			t.Errorf("choose(%d) is wrong", n)
		}
	}
}

func TestHostOf(t *testing.T) {
	for in, want := range map[string]string{
		"Hello.NS.localhost:8000": "hello.ns.localhost", "a.b.": "a.b", "a": "a", "[::1]:80": "::1",
	} {
		if got := hostOf(in); got != want {
			t.Errorf("hostOf(%q) = %q, want %q", in, got, want)
		}
	}
}
