// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	buildv1 "fairlead.dev/gen/go/fairlead/build/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/reconcile"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/store/etcdtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStepsStopAtDoneAndNameTheOneThatFails(t *testing.T) {
	var ran []string
	step := func(name string, out reconcile.Outcome, err error) reconcile.Step[int] {
		return reconcile.Step[int]{Name: name, Run: func(context.Context, int) (reconcile.Outcome, error) {
			ran = append(ran, name)
			return out, err
		}}
	}
	boom := errors.New("boom")
	cases := map[string]struct {
		steps []reconcile.Step[int]
		ran   int
		after time.Duration
		err   string
	}{
		"all":      {[]reconcile.Step[int]{step("a", reconcile.Go, nil), step("b", reconcile.Go, nil)}, 2, 0, ""},
		"done":     {[]reconcile.Step[int]{step("a", reconcile.Done, nil), step("b", reconcile.Go, nil)}, 1, 0, ""},
		"fails":    {[]reconcile.Step[int]{step("a", reconcile.Go, nil), step("b", reconcile.Go, boom), step("c", reconcile.Go, nil)}, 2, 0, "b: boom"},
		"earliest": {[]reconcile.Step[int]{step("a", reconcile.After(time.Minute), nil), step("b", reconcile.After(time.Second), nil)}, 2, time.Second, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			ran = nil
			res, err := reconcile.Steps(t.Context(), 1, tc.steps...)
			if len(ran) != tc.ran || res.RequeueAfter != tc.after {
				t.Errorf("ran %v, again after %s; want %d steps and %s", ran, res.RequeueAfter, tc.ran, tc.after)
			}
			if got := errText(err); got != tc.err {
				t.Errorf("error: got %q, want %q", got, tc.err)
			}
		})
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestRun has a controller see what was there before it, what comes after, what failed once, and what asks to be seen
// again; a terminal error and a panic must not end it.
func TestRun(t *testing.T) {
	s, err := store.New(etcdtest.Start(t), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	kind, ok := kinds.ByKind("build.knative.dev", "v1alpha1", "Build")
	if !ok {
		t.Fatal("no kind Build")
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	go func() { ended <- s.Run(ctx) }()
	builds := store.For[*buildv1.Build](s, kind)
	create := func(name string) {
		t.Helper()
		if _, err := builds.Create(ctx, &buildv1.Build{Metadata: &metav1.ObjectMeta{Namespace: "a", Name: name}}); err != nil {
			t.Fatal(err)
		}
	}
	create("before")

	seen := make(chan string, 100)
	var flaky, again, terminal atomic.Int32
	r := reconcile.Func(func(_ context.Context, key store.Key) (reconcile.Result, error) {
		switch key.Name {
		case "flaky":
			if flaky.Add(1) < 3 {
				return reconcile.Result{}, errors.New("not yet")
			}
		case "panics":
			panic("in a reconciler")
		case "terminal":
			terminal.Add(1)
			return reconcile.Result{}, reconcile.Terminal(errors.New("never"))
		case "again":
			if again.Add(1) < 2 {
				return reconcile.Result{RequeueAfter: time.Millisecond}, nil
			}
		}
		seen <- key.Name
		return reconcile.Result{}, nil
	})
	go func() {
		ended <- reconcile.Run(ctx, "test", r, reconcile.Options{}, reconcile.FromCache(s.Cache(kind), nil))
	}()
	expect := func(want string) {
		t.Helper()
		for {
			select {
			case got := <-seen:
				if got == want {
					return
				}
			case <-time.After(20 * time.Second):
				t.Fatalf("%s was never reconciled", want)
			}
		}
	}
	expect("before")
	create("panics")
	create("terminal")
	for _, name := range []string{"after", "flaky", "again"} {
		create(name)
		expect(name)
	}
	if n := terminal.Load(); n != 1 {
		t.Errorf("a terminal error was tried %d times, want once", n)
	}
	cancel()
	for range 2 {
		if err := <-ended; err != nil {
			t.Errorf("end: %v", err)
		}
	}
}
