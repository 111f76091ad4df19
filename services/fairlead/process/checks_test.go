// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"fairlead.dev/services/internal/apierror"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(envStuck); dir != "" {
		os.Exit(runStuck(dir))
	}
	goleak.VerifyTestMain(m)
}

// switched is something that works or does not.
type switched struct{ broken atomic.Bool }

func (s *switched) probe(context.Context) error {
	if s.broken.Load() {
		return apierror.Unavailable(time.Second, "it is gone")
	}
	return nil
}

func TestHealthFollowsTheChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd, cluster, table := &switched{}, &switched{}, &switched{}
		c := newChecks(slog.New(slog.DiscardHandler))
		c.Serve("a", "b")
		c.Add(
			Check{Name: "etcd", Probe: etcd.probe},
			Check{Name: "kubernetes", Probe: cluster.probe, Degrades: true},
			Check{Name: "table", Probe: table.probe, Services: []string{"b"}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.run(ctx) }()
		steps := []struct {
			reason                 string
			etcd, cluster, table   bool
			all, a, b              bool
			verbose, says, unready string
		}{
			{reason: "all works", all: true, a: true, b: true, verbose: "[+]etcd ok"},
			{reason: "etcd is lost", etcd: true, verbose: "[-]etcd failed: it is gone", unready: "not ready: etcd: it is gone"},
			{reason: "etcd is back", all: true, a: true, b: true, verbose: "readyz check passed"},
			{reason: "the cluster is away", cluster: true, all: true, a: true, b: true, verbose: "[!]kubernetes degraded: it is gone"},
			{reason: "what one service needs", table: true, a: true, verbose: "[-]table failed", unready: "not ready: table: it is gone"},
		}
		for _, s := range steps {
			etcd.broken.Store(s.etcd)
			cluster.broken.Store(s.cluster)
			table.broken.Store(s.table)
			time.Sleep(checkEvery + time.Millisecond) // the bubble's clock
			synctest.Wait()
			for service, want := range map[string]bool{"": s.all, "a": s.a, "b": s.b} {
				res, err := c.Health().Check(ctx, &healthv1.HealthCheckRequest{Service: service})
				if got := res.GetStatus() == healthv1.HealthCheckResponse_SERVING; err != nil || got != want {
					t.Errorf("%s: service %q serves: %v %v, want %v", s.reason, service, got, err, want)
				}
			}
			code, text := get(c, "/readyz?verbose")
			if (code == http.StatusOK) != s.all || !strings.Contains(text, s.verbose) {
				t.Errorf("%s: %d %q, want %q", s.reason, code, text, s.verbose)
			}
			if code, text := get(c, "/readyz"); s.unready != "" && (code != http.StatusServiceUnavailable || text != s.unready) {
				t.Errorf("%s: %d %q, want %q", s.reason, code, text, s.unready)
			}
			if code, _ := get(c, "/livez"); code != http.StatusOK {
				t.Errorf("%s: not alive", s.reason)
			}
		}
		for path, want := range map[string]int{
			"/readyz/etcd": 200, "/readyz/table": 503, "/readyz/none": 404, "/readyz?exclude=table": 200, "/healthz?verbose": 200,
		} {
			if code, text := get(c, path); code != want {
				t.Errorf("%s: %d %q, want %d", path, code, text, want)
			}
		}
		if _, err := c.Health().Check(ctx, &healthv1.HealthCheckRequest{Service: "c"}); status.Code(err) != codes.NotFound {
			t.Errorf("a service that is not there: %v", err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func get(h http.Handler, path string) (int, string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

func TestNothingIsReadyBeforeItWasLookedAt(t *testing.T) {
	c := newChecks(slog.New(slog.DiscardHandler))
	c.Add(Check{Name: "etcd", Probe: (&switched{}).probe})
	if code, text := get(c, "/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("%d %q, want 503", code, text)
	}
}

// TestAProbeThatHangsFails has a check fail that gets no answer, in time to be of use.
func TestAProbeThatHangsFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChecks(slog.New(slog.DiscardHandler))
		hang := make(chan struct{})
		first := true
		c.Add(Check{Name: "etcd", Probe: func(ctx context.Context) error {
			if first {
				first = false
				return nil
			}
			select {
			case <-hang:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { _ = c.run(ctx); close(done) }()
		synctest.Wait()
		if err := c.Ready(ctx); err != nil {
			t.Errorf("at first: %v", err)
		}
		time.Sleep(checkEvery + checkTimeout + time.Millisecond)
		synctest.Wait()
		if err := c.Ready(ctx); err == nil {
			t.Error("ready although nothing answers")
		}
		close(hang)
		time.Sleep(checkEvery)
		synctest.Wait()
		if err := c.Ready(ctx); err != nil {
			t.Errorf("at last: %v", err)
		}
		cancel()
		<-done
	})
}
