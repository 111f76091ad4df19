// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatcher_test

import (
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	eventingv1 "fairlead.dev/gen/go/fairlead/eventing/v1"

	"fairlead.dev/services/eventing/dispatcher"
)

// emitAgain posts an event until it is taken.
func (s *stage) emitAgain(t *testing.T, id string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		code, text, _ := post(t, s.url+"/shop/default", "", "ce-specversion", "1.0", "ce-id", id, "ce-source", "/test", "ce-type", "order")
		if code == http.StatusAccepted {
			return
		}
		if code != http.StatusServiceUnavailable || time.Now().After(deadline) {
			t.Fatalf("event %s: %d %s", id, code, text)
		}
	}
}

func TestLostStreamIsMadeAgain(t *testing.T) {
	idle, busy := subscribe(t, nil), subscribe(t, nil)
	s := start(t, newControl(), t.TempDir(), nil)
	s.set(broker(trigger("t-idle", idle.URL), trigger("t-busy", busy.URL), trigger("t-waits", "")))
	for _, uid := range []string{"t-idle", "t-busy", "t-waits"} {
		s.await(t, uid, ready)
	}
	for i := range 3 {
		s.emit(t, strconv.Itoa(i))
		idle.next(t)
		busy.next(t)
	}
	if err := s.engine.DeleteStream(t.Context(), "b-1"); err != nil {
		t.Fatal(err)
	}
	s.emitAgain(t, "after")
	for _, sub := range []*subscriber{idle, busy} {
		if got := sub.next(t).header.Get("Ce-Id"); got != "after" {
			t.Errorf("got event %s", got)
		}
	}
	s.set(broker(trigger("t-waits", idle.URL)))
	if got := idle.next(t).header.Get("Ce-Id"); got != "after" {
		t.Errorf("the trigger without a subscriber got event %s", got)
	}
	s.await(t, "t-waits", func(st *eventingv1.DispatchState) bool { return st.GetReady() && st.GetDeliveryError() == "" })
}

func TestLostStreamIsMadeAgainForANewTrigger(t *testing.T) {
	s := start(t, newControl(), t.TempDir(), nil)
	s.set(broker())
	s.await(t, "b-1", ready)
	if err := s.engine.DeleteStream(t.Context(), "b-1"); err != nil {
		t.Fatal(err)
	}
	s.set(broker(trigger("t-1", "")))
	s.await(t, "t-1", ready)
	s.emitAgain(t, "1")
}

// TestEventsOutliveTheirBroker has etcd lose everything and get it back from a backup.
func TestEventsOutliveTheirBroker(t *testing.T) {
	sub := subscribe(t, nil)
	dir := t.TempDir()
	run := func(grace time.Duration, brokers ...*eventingv1.BrokerConfig) *stage {
		c := newControl()
		c.set(append(brokers, &eventingv1.BrokerConfig{Uid: "b-2", Namespace: "shop", Name: "other"})...)
		s := start(t, c, dir, func(c *dispatcher.Config) { c.OrphanGrace = grace })
		s.await(t, "b-2", ready)
		return s
	}
	s := run(time.Hour, broker(trigger("t-1", "")))
	s.emit(t, "1")
	s.stop()
	s = run(time.Hour)
	s.stop()
	s = run(time.Hour, broker(trigger("t-1", sub.URL)))
	if got := sub.next(t).header.Get("Ce-Id"); got != "1" {
		t.Errorf("got event %s", got)
	}
	s.stop()

	s = run(2 * time.Second) // a second of which may be rounded away
	if got, err := s.engine.Streams(t.Context()); err != nil || !slices.Equal(got, []string{"b-1", "b-2"}) {
		t.Errorf("within the grace: streams %v, %v", got, err)
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) { // the engine tells nobody
		got, err := s.engine.Streams(t.Context())
		if err == nil && slices.Equal(got, []string{"b-2"}) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("after the grace: streams %v, %v", got, err)
		}
	}
}

// TestLostConsumerIsMadeAgain also holds the worker to trying again soon each time.
func TestLostConsumerIsMadeAgain(t *testing.T) {
	failing := make(chan struct{})
	sub := subscribe(t, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-failing:
		default:
			if r.Header.Get("Ce-Id") == "unfinished" {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		}
	})
	s := start(t, newControl(), t.TempDir(), nil)
	s.set(broker())
	s.await(t, "b-1", ready)
	s.emit(t, "before the trigger")
	tc := trigger("t-1", sub.URL)
	tc.Retry, tc.BackoffDelayMs, tc.BackoffPolicy = 1000, 100, "linear"
	s.set(broker(tc))
	s.await(t, "t-1", ready)
	lose := func() {
		t.Helper()
		if err := s.engine.DeleteConsumer(t.Context(), "b-1", "t-1"); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]int{}
	until := func(id string) {
		t.Helper()
		for seen[id] == 0 {
			seen[sub.next(t).header.Get("Ce-Id")]++
		}
	}

	lose() // before it has had anything
	s.emit(t, "first")
	until("first")
	if seen["before the trigger"] > 0 {
		t.Error("the trigger got an event from before its time")
	}
	s.emit(t, "unfinished")
	until("unfinished")
	lose()
	s.emit(t, "done")
	until("done")
	close(failing)
	seen["unfinished"] = 0
	until("unfinished")

	for i := range 6 {
		lose()
		begun := time.Now()
		s.emit(t, strconv.Itoa(i))
		until(strconv.Itoa(i))
		if took := time.Since(begun); took > 4*time.Second {
			t.Errorf("loss %d: it took %s", i, took)
		}
	}
	s.await(t, "t-1", func(st *eventingv1.DispatchState) bool { return st.GetReady() && st.GetDeliveryError() == "" })
}
