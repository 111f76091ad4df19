// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package fairness_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/fairness"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newLimits(t testing.TB, c fairness.Config) *fairness.Limits {
	t.Helper()
	l, err := fairness.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// occupied has a request of a user be served until the function that is returned is called.
func occupied(t *testing.T, l *fairness.Limits, name string) func() {
	t.Helper()
	began, end, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() { done <- l.Do(context.Background(), name, func() { close(began); <-end }) }()
	stop := sync.OnceFunc(func() {
		close(end)
		if err := <-done; err != nil {
			t.Errorf("%s: %v", name, err)
		}
	})
	t.Cleanup(stop)
	select {
	case <-began:
	case <-time.After(30 * time.Second):
		t.Fatalf("the request of %s is not served", name)
	}
	return stop
}

func refused(t *testing.T, err error, want string) {
	t.Helper()
	e, ok := errors.AsType[*apierror.Error](err)
	if !ok || e.Reason != apierror.ReasonTooManyRequests || e.RetryAfter <= 0 || !strings.Contains(e.Message, want) {
		t.Errorf("got %v, want TooManyRequests that says when to come again, with %q", err, want)
	}
}

// TestTheQuietOneIsServedAmongTheLoud has one user send 200 requests to a server that serves one at a time, and another
// user one: it does not wait for all of those.
func TestTheQuietOneIsServedAmongTheLoud(t *testing.T) {
	l := newLimits(t, fairness.Config{Concurrency: 1})
	free := occupied(t, l, "first")
	var mu sync.Mutex
	var order []string
	// Turns go by the time that users have had: what is served takes some, in proportion to how long the first ones have
	// waited for the others to come.
	var work time.Duration
	serve := func(name string) func() {
		return func() {
			mu.Lock()
			defer mu.Unlock()
			order = append(order, name)
			if !slices.Contains(order, "quiet") {
				time.Sleep(work)
			}
		}
	}
	began := time.Now()
	var wg sync.WaitGroup
	const loud = 200
	for range loud {
		wg.Go(func() {
			if err := l.Do(t.Context(), "loud", serve("loud")); err != nil {
				t.Error(err)
			}
		})
	}
	awaitWaiting(t, l, loud)
	wg.Go(func() {
		if err := l.Do(t.Context(), "quiet", serve("quiet")); err != nil {
			t.Error(err)
		}
	})
	awaitWaiting(t, l, loud+1)
	work = time.Since(began) / 10
	free()
	wg.Wait()
	for i, name := range order {
		if name == "quiet" {
			if i > loud/2 {
				t.Errorf("the quiet user's request was number %d of %d", i+1, len(order))
			}
			return
		}
	}
	t.Error("the quiet user's request was not served")
}

// awaitWaiting waits until so many requests wait.
func awaitWaiting(t *testing.T, l *fairness.Limits, want int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for l.Waiting() != want {
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("%d requests wait, want %d", l.Waiting(), want)
		}
	}
}

// TestNoPlaceStandsEmpty has requests wait while all places are taken: whichever becomes free, one of them has it, and when
// nobody waits any more there are as many places as before.
func TestNoPlaceStandsEmpty(t *testing.T) {
	for first := range 4 {
		l := newLimits(t, fairness.Config{Concurrency: 4})
		var taken []func()
		for range 4 {
			taken = append(taken, occupied(t, l, "a"))
		}
		served := make(chan error, 1)
		go func() { served <- l.Do(t.Context(), "b", func() {}) }()
		awaitWaiting(t, l, 1)
		taken[first]()
		select {
		case err := <-served:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("place %d is free, and the request still waits", first)
		}
		occupied(t, l, "c")
		go func() { served <- l.Do(t.Context(), "b", func() {}) }()
		awaitWaiting(t, l, 1)
		for _, free := range taken {
			free()
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	}
}

func TestLimitsOfAUser(t *testing.T) {
	t.Run("requests", func(t *testing.T) {
		l := newLimits(t, fairness.Config{PerUser: 2})
		first := occupied(t, l, "a")
		occupied(t, l, "a")
		refused(t, l.Do(t.Context(), "a", func() { t.Error("served") }), "2 requests")
		served := false
		if err := l.Do(t.Context(), "b", func() { served = true }); err != nil || !served {
			t.Errorf("another user: %v, served: %t", err, served)
		}
		first()
		if err := l.Do(t.Context(), "a", func() {}); err != nil {
			t.Errorf("after one has ended: %v", err)
		}
	})
	t.Run("streams", func(t *testing.T) {
		l := newLimits(t, fairness.Config{StreamsPerUser: 1})
		end, err := l.Open("a")
		if err != nil {
			t.Fatal(err)
		}
		_, err = l.Open("a")
		refused(t, err, "1 watches")
		if err := l.Do(t.Context(), "a", func() {}); err != nil {
			t.Errorf("a request beside the stream: %v", err)
		}
		end()
		end() // once more does nothing
		if end, err = l.Open("a"); err != nil {
			t.Fatalf("after the end of the first: %v", err)
		}
		_, err = l.Open("a")
		refused(t, err, "1 watches")
		end()
	})
	t.Run("rate", func(t *testing.T) {
		l := newLimits(t, fairness.Config{RatePerUser: 0.001})
		if err := l.Do(t.Context(), "a", func() {}); err != nil {
			t.Fatal(err)
		}
		refused(t, l.Do(t.Context(), "a", func() { t.Error("served") }), "0.001 requests a second")
		_, err := l.Open("a")
		refused(t, err, "0.001 requests a second")
		if err := l.Do(t.Context(), "b", func() {}); err != nil {
			t.Errorf("another user: %v", err)
		}
	})
}

func TestNoTurn(t *testing.T) {
	t.Run("in time", func(t *testing.T) {
		l := newLimits(t, fairness.Config{Concurrency: 1, Wait: 10 * time.Millisecond})
		occupied(t, l, "a")
		refused(t, l.Do(t.Context(), "b", func() { t.Error("served") }), "no turn within 10ms")
	})
	t.Run("before the caller left", func(t *testing.T) {
		l := newLimits(t, fairness.Config{Concurrency: 1})
		occupied(t, l, "a")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- l.Do(ctx, "b", func() { t.Error("served") }) }()
		awaitWaiting(t, l, 1)
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want canceled", err)
		}
	})
	t.Run("in a full queue", func(t *testing.T) {
		l := newLimits(t, fairness.Config{Concurrency: 1, PerUser: 10_000})
		free := occupied(t, l, "a")
		errs := make(chan error, 400)
		for range cap(errs) {
			go func() { errs <- l.Do(t.Context(), "a", func() {}) }()
		}
		refused(t, <-errs, "more requests than it can serve")
		free()
		for range cap(errs) - 1 {
			<-errs
		}
	})
}

func TestWhoIsNeverHeldUp(t *testing.T) {
	l := newLimits(t, fairness.Config{Concurrency: 1, PerUser: 1, StreamsPerUser: 1, Exempt: func(user string) bool { return user == "own" }})
	occupied(t, l, "a")
	var none *fairness.Limits
	for name, limits := range map[string]*fairness.Limits{"own": l, "anybody": none} {
		served := 0
		err := limits.Do(t.Context(), name, func() {
			served++
			if err := limits.Do(t.Context(), name, func() { served++ }); err != nil {
				t.Error(err)
			}
		})
		if err != nil || served != 2 {
			t.Errorf("%s: %v, served %d times, want 2", name, err, served)
		}
		for range 2 {
			if _, err := limits.Open(name); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestNewRefuses(t *testing.T) {
	_, err := fairness.New(fairness.Config{Concurrency: -1, PerUser: -1, StreamsPerUser: -1, RatePerUser: -1, Wait: -1})
	for _, field := range []string{"Concurrency", "PerUser", "StreamsPerUser", "RatePerUser", "Wait"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s is not named in %v", field, err)
		}
	}
	registry := prometheus.NewRegistry()
	newLimits(t, fairness.Config{Metrics: registry})
	if _, err := fairness.New(fairness.Config{Metrics: registry}); err == nil {
		t.Error("two have the same metrics")
	}
}

// TestUsersAreForgotten has more users come than are remembered: those with something going on keep their limits.
func TestUsersAreForgotten(t *testing.T) {
	l := newLimits(t, fairness.Config{PerUser: 1})
	occupied(t, l, "stays")
	for i := range 10_100 {
		if err := l.Do(t.Context(), "user"+strings.Repeat("x", i%100)+string(rune('a'+i/100)), func() {}); err != nil {
			t.Fatal(err)
		}
	}
	refused(t, l.Do(t.Context(), "stays", func() { t.Error("served") }), "1 requests")
}

func BenchmarkDo(b *testing.B) {
	l := newLimits(b, fairness.Config{})
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := l.Do(b.Context(), "a", func() {}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
