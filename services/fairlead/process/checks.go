// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"fairlead.dev/services/internal/apierror"
)

// How often a check is made, and how long it may take. One that fails is made again sooner.
const (
	checkEvery   = time.Second
	failingEvery = 200 * time.Millisecond
	checkTimeout = 2 * time.Second
)

// Check is something without which a process cannot do its work.
type Check struct {
	// Name is its name, such as `etcd`.
	Name string
	// Probe tells what is wrong, or nil. It may be asked while an earlier answer is still awaited elsewhere.
	Probe func(ctx context.Context) error
	// Degrades tells that the process can do without: a failure is said, and does not make it unready.
	Degrades bool
	// Services are the gRPC services that need it; none means all.
	Services []string
	// Every is the time between two probes; a second by default.
	Every time.Duration
}

// Checks are made all the time, and their results told to gRPC's health service and over HTTP.
type Checks struct {
	log    *slog.Logger
	health *health.Server

	mu       sync.Mutex
	checks   []Check
	results  map[string]error
	passed   map[string]bool // at least once
	services []string
}

// errUnknown is the result of a check before its first probe.
var errUnknown = apierror.Unavailable(time.Second, "not looked at yet")

func newChecks(log *slog.Logger) *Checks {
	c := &Checks{log: log, health: health.NewServer(), results: map[string]error{}, passed: map[string]bool{}}
	c.health.SetServingStatus("", healthv1.HealthCheckResponse_NOT_SERVING)
	return c
}

// Add adds a check. All are added before the process runs.
func (c *Checks) Add(checks ...Check) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, check := range checks {
		c.checks = append(c.checks, check)
		c.results[check.Name] = errUnknown
	}
}

// Health is what gRPC's health service answers from. It follows the checks.
func (c *Checks) Health() *health.Server { return c.health }

// Serve names the gRPC services whose health is told one by one.
func (c *Checks) Serve(services ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.services = append(c.services, services...)
	for _, s := range services {
		c.health.SetServingStatus(s, healthv1.HealthCheckResponse_NOT_SERVING)
	}
}

// run makes the checks until ctx ends.
func (c *Checks) run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, check := range c.all() {
		wg.Go(func() { c.follow(ctx, check) })
	}
	wg.Wait()
	return nil
}

func (c *Checks) all() []Check {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.checks)
}

// follow makes one check again and again.
func (c *Checks) follow(ctx context.Context, check Check) {
	every := check.Every
	if every <= 0 {
		every = checkEvery
	}
	timer := time.NewTimer(every)
	defer timer.Stop()
	for {
		pctx, cancel := context.WithTimeout(ctx, checkTimeout)
		err := check.Probe(pctx)
		cancel()
		if ctx.Err() != nil {
			return
		}
		c.record(ctx, check, err)
		timer.Reset(every)
		if err != nil {
			timer.Reset(min(every, failingEvery))
		}
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
	}
}

// record notes a result, and tells it to those who ask for health.
func (c *Checks) record(ctx context.Context, check Check, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	was := c.results[check.Name]
	c.results[check.Name] = err
	if (was == nil) == (err == nil) {
		return
	}
	switch {
	case err == nil && c.passed[check.Name]:
		c.log.InfoContext(ctx, "works again", "check", check.Name)
	case err != nil && was == nil:
		c.log.WarnContext(ctx, "does not work", "check", check.Name, "error", err)
	}
	c.passed[check.Name] = c.passed[check.Name] || err == nil
	c.health.SetServingStatus("", servingStatus(c.worst(func(Check) bool { return true })))
	for _, s := range c.services {
		c.health.SetServingStatus(s, servingStatus(c.worst(func(check Check) bool {
			return len(check.Services) == 0 || slices.Contains(check.Services, s)
		})))
	}
}

func servingStatus(err error) healthv1.HealthCheckResponse_ServingStatus {
	if err != nil {
		return healthv1.HealthCheckResponse_NOT_SERVING
	}
	return healthv1.HealthCheckResponse_SERVING
}

// worst returns the first failure that counts among the checks that are chosen. c.mu is held.
func (c *Checks) worst(chosen func(Check) bool) error {
	for _, check := range c.checks {
		if err := c.results[check.Name]; err != nil && !check.Degrades && chosen(check) {
			return apierror.Unavailable(time.Second, "%s: %s", check.Name, reason(err))
		}
	}
	return nil
}

// reason is what strangers may know of a failure.
func reason(err error) string { return apierror.From(err).Message }

// Ready returns nil where all checks that count pass, and otherwise what fails.
func (c *Checks) Ready(context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.worst(func(Check) bool { return true })
}

// ServeHTTP answers as Kubernetes' components do: /livez and /healthz as long as the process answers, /readyz by the
// checks. `?verbose` lists them, `?exclude=NAME` leaves one out, and /readyz/NAME asks for one.
func (c *Checks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	what, name, one := strings.Cut(strings.Trim(r.URL.Path, "/"), "/")
	query := r.URL.Query()
	var text strings.Builder
	if what == "livez" || what == "healthz" {
		if query.Has("verbose") {
			text.WriteString("[+]ping ok\n")
			fmt.Fprintf(&text, "%s check passed\n", what)
		} else {
			text.WriteString("ok")
		}
		answer(w, http.StatusOK, text.String())
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var failed error
	found := !one
	for _, check := range c.checks {
		if one && check.Name != name || slices.Contains(query["exclude"], check.Name) {
			continue
		}
		found = true
		err := c.results[check.Name]
		switch {
		case err == nil:
			fmt.Fprintf(&text, "[+]%s ok\n", check.Name)
		case check.Degrades:
			fmt.Fprintf(&text, "[!]%s degraded: %s\n", check.Name, reason(err))
		default:
			fmt.Fprintf(&text, "[-]%s failed: %s\n", check.Name, reason(err))
			if failed == nil {
				failed = apierror.Unavailable(time.Second, "%s: %s", check.Name, reason(err))
			}
		}
	}
	switch {
	case !found:
		answer(w, http.StatusNotFound, fmt.Sprintf("there is no check %q; GET /readyz?verbose lists them", name))
	case failed != nil && !query.Has("verbose"):
		answer(w, http.StatusServiceUnavailable, "not ready: "+apierror.From(failed).Message)
	case failed != nil:
		answer(w, http.StatusServiceUnavailable, text.String()+what+" check failed\n")
	case query.Has("verbose"):
		answer(w, http.StatusOK, text.String()+what+" check passed\n")
	default:
		answer(w, http.StatusOK, "ok")
	}
}

func answer(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(text))
}
