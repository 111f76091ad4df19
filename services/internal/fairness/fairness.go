// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package fairness shares a server among its users. Requests are served at most so many at a time; those that come above
// that wait, each user's apart from those of others, and are taken in turn, so that a user who sends much waits for
// himself. The queues are those of kube-apiserver's API Priority and Fairness (KEP 1040). Beside them, each user has a
// limit on how much is going on at once, on open streams, and, where one is set, on requests a second.
package fairness

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"
	"k8s.io/apiserver/pkg/util/flowcontrol/fairqueuing"
	"k8s.io/apiserver/pkg/util/flowcontrol/fairqueuing/eventclock"
	"k8s.io/apiserver/pkg/util/flowcontrol/fairqueuing/queueset"
	"k8s.io/apiserver/pkg/util/flowcontrol/request"
	"k8s.io/utils/clock"

	"fairlead.dev/services/internal/apierror"
)

// Defaults of Config: the number of requests is kube-apiserver's, and so is the shape of the queues.
const (
	DefaultConcurrency    = 600
	DefaultPerUser        = 1_000
	DefaultStreamsPerUser = 1_000
	DefaultWait           = 15 * time.Second

	// maxUsers is how many users are known before those with nothing going on are forgotten.
	maxUsers = 10_000
)

// queuing is the shape of the queues.
var queuing = fairqueuing.QueuingConfig{Name: "users", DesiredNumQueues: 128, QueueLengthLimit: 50, HandSize: 6} //nolint:gochecknoglobals // a constant

// Config says how much is served. Zero values mean the defaults.
type Config struct {
	// Name tells one of several Limits of a process from the others, in their metrics.
	Name string
	// Concurrency is how many requests are served at a time; 600 by default.
	Concurrency int
	// PerUser is how many requests of one user may be served or wait at a time; 1,000 by default.
	PerUser int
	// StreamsPerUser is how many watches and the like one user may have open; 1,000 by default.
	StreamsPerUser int
	// RatePerUser is how many requests a second one user may send; 0, the default, means that there is no limit.
	RatePerUser float64
	// Wait is how long a request may wait for its turn; 15 s by default.
	Wait time.Duration
	// Exempt tells who is never held up; nil means nobody.
	Exempt func(user string) bool
	// Metrics gets the metrics; nil means none.
	Metrics prometheus.Registerer
}

// Validate tells every fault of the configuration, and how to mend it.
func (c Config) Validate() error {
	var faults []error
	for _, limit := range []struct {
		name  string
		value int
	}{{"Concurrency", c.Concurrency}, {"PerUser", c.PerUser}, {"StreamsPerUser", c.StreamsPerUser}} {
		if limit.value < 0 {
			faults = append(faults, fmt.Errorf("fairness: %s is %d; choose 1 or more, or 0 for the default", limit.name, limit.value))
		}
	}
	if c.RatePerUser < 0 {
		faults = append(faults, fmt.Errorf("fairness: RatePerUser is %g; choose more than 0, or 0 for no limit", c.RatePerUser))
	}
	if c.Wait < 0 {
		faults = append(faults, fmt.Errorf("fairness: Wait is %s; choose more than 0, or 0 for the default", c.Wait))
	}
	return errors.Join(faults...)
}

// Limits shares a server among its users. A nil Limits lets everybody pass.
type Limits struct {
	cfg     Config
	metrics *metrics
	// set has the queues, and one half of what is served at a time. The other half, direct, is for requests that come when
	// nobody waits: they need no queue, which takes longer than many a request.
	// While requests wait, what is free of it goes to the queues.
	set             fairqueuing.QueueSet
	direct, waiting atomic.Int64
	// seats is what the queues have now; lending guards its changes.
	lending sync.Mutex
	seats   atomic.Int64

	mu    sync.Mutex
	users map[string]*user
}

// user is what one user has going on. Limits.mu guards it.
type user struct {
	requests, streams int
	rate              *rate.Limiter
}

// New makes Limits.
func New(cfg Config) (*Limits, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg.Concurrency = cmp.Or(cfg.Concurrency, DefaultConcurrency)
	cfg.PerUser = cmp.Or(cfg.PerUser, DefaultPerUser)
	cfg.StreamsPerUser = cmp.Or(cfg.StreamsPerUser, DefaultStreamsPerUser)
	cfg.Wait = cmp.Or(cfg.Wait, DefaultWait)
	m, err := newMetrics(cfg.Name, cfg.Metrics)
	if err != nil {
		return nil, err
	}
	begun, err := queueset.NewQueueSetFactory(eventclock.Real{RealClock: clock.RealClock{}}).BeginConstruction(
		queuing, m.pair(), m.seats(), m.demand())
	if err != nil {
		return nil, fmt.Errorf("fairness: %w", err)
	}
	l := &Limits{cfg: cfg, metrics: m, users: map[string]*user{}}
	l.direct.Store(int64(cfg.Concurrency / 2))
	l.seats.Store(l.own())
	l.set = begun.Complete(fairqueuing.DispatchingConfig{ConcurrencyLimit: int(l.own()), ConcurrencyDenominator: int(l.own())})
	return l, nil
}

// Do serves a request of a user when it is his turn. The error is TooManyRequests when it is not to be served now, and
// says when to come again; serve has not been called then.
func (l *Limits) Do(ctx context.Context, name string, serve func()) error {
	if l == nil || l.exempt(name) {
		serve()
		return nil
	}
	if err := l.begin(name); err != nil {
		return err
	}
	defer l.end(name)
	if l.waiting.Load() == 0 {
		if l.direct.Add(-1) >= 0 {
			if l.seats.Load() != l.own() {
				l.share()
			}
			defer l.release()
			serve()
			return nil
		}
		l.direct.Add(1)
	}
	return l.queue(ctx, name, serve)
}

// own is what of the requests that are served at a time is always the queues'.
func (l *Limits) own() int64 { return int64(l.cfg.Concurrency - l.cfg.Concurrency/2) }

// release gives back the place of a request that came when nobody waited.
func (l *Limits) release() {
	l.direct.Add(1)
	if l.waiting.Load() > 0 {
		l.share()
	}
}

// share gives the queues what is free of the other half while requests wait, and takes it back when none do. Those that are
// served by then stay: for a moment there may be more than are to be served at a time.
func (l *Limits) share() {
	l.lending.Lock()
	defer l.lending.Unlock()
	seats := l.own()
	if l.waiting.Load() > 0 {
		seats += max(l.direct.Load(), 0)
	}
	if seats == l.seats.Load() {
		return
	}
	change, err := l.set.BeginConfigChange(queuing)
	if err != nil {
		return // the same queues were made at the start
	}
	l.seats.Store(seats)
	change.Complete(fairqueuing.DispatchingConfig{ConcurrencyLimit: int(seats), ConcurrencyDenominator: int(seats)})
}

// queue serves a request when it is its turn.
func (l *Limits) queue(ctx context.Context, name string, serve func()) error {
	wait, cancel := context.WithTimeout(ctx, l.cfg.Wait)
	defer cancel()
	began := time.Now()
	turn, _ := l.set.StartRequest(wait, &request.WorkEstimate{InitialSeats: 1}, hash(name), name, "users", name, nil, func(in bool) {
		if in {
			l.waiting.Add(1)
		} else {
			l.waiting.Add(-1)
		}
	})
	if turn == nil {
		return l.refuse("queue_full", "the server has more requests than it can serve, and yours are among the most")
	}
	if l.waiting.Load() > 0 {
		l.share()
	}
	served := false
	turn.Finish(func() {
		served = true
		l.metrics.waited.Observe(time.Since(began).Seconds())
		serve()
	})
	switch {
	case served:
		return nil
	case ctx.Err() != nil:
		return ctx.Err() //nolint:wrapcheck // the caller's own
	default:
		return l.refuse("waited_too_long", "the server is busy: the request had no turn within %s", l.cfg.Wait)
	}
}

// Open counts a stream of a user until the function that it returns is called. The error is TooManyRequests when the user
// has as many as may be.
func (l *Limits) Open(name string) (func(), error) {
	if l == nil || l.exempt(name) {
		return func() {}, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	u := l.user(name)
	if !u.rate.Allow() {
		return nil, l.tooFast()
	}
	if u.streams >= l.cfg.StreamsPerUser {
		return nil, l.refuse("streams", "you have %d watches and streams open, the most that one user may have; end some, or watch several namespaces by one", u.streams)
	}
	u.streams++
	return sync.OnceFunc(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		u.streams--
	}), nil
}

func (l *Limits) exempt(name string) bool { return l.cfg.Exempt != nil && l.cfg.Exempt(name) }

// begin counts a request of a user.
func (l *Limits) begin(name string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	u := l.user(name)
	if !u.rate.Allow() {
		return l.tooFast()
	}
	if u.requests >= l.cfg.PerUser {
		return l.refuse("requests", "you have %d requests going on, the most that one user may have; wait for some to end", u.requests)
	}
	u.requests++
	return nil
}

func (l *Limits) end(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.users[name].requests-- // who has something going on is not forgotten
}

// user returns what is known of a user. mu must be held.
func (l *Limits) user(name string) *user {
	u := l.users[name]
	if u != nil {
		return u
	}
	if len(l.users) >= maxUsers {
		for name, u := range l.users {
			if u.requests == 0 && u.streams == 0 {
				delete(l.users, name)
			}
		}
	}
	u = &user{rate: rate.NewLimiter(rate.Inf, 0)}
	if r := l.cfg.RatePerUser; r > 0 {
		u.rate = rate.NewLimiter(rate.Limit(r), int(max(2*r, 1))) // two seconds' worth at once: kubectl comes in bursts
	}
	l.users[name] = u
	return u
}

func (l *Limits) tooFast() error {
	return l.refuse("rate", "you send more than %g requests a second; send fewer", l.cfg.RatePerUser)
}

// refuse is the error of a request that is not served, by the name of its reason in the metrics.
func (l *Limits) refuse(reason, format string, args ...any) error {
	l.metrics.refused.WithLabelValues(reason).Inc()
	err := apierror.New(apierror.ReasonTooManyRequests, format+"; come again in a second", args...)
	err.RetryAfter = time.Second
	return err
}

func hash(name string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // never fails
	return h.Sum64()
}

// Waiting is how many requests wait for their turn.
func (l *Limits) Waiting() int { return int(l.waiting.Load()) }
