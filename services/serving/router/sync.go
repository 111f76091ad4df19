// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package router

import (
	"context"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
)

// The pauses between two tries to reach serving.
const (
	firstRetry   = 50 * time.Millisecond
	longestRetry = 5 * time.Second
)

type stream = grpc.BidiStreamingClient[servingv1.RouterServiceSyncRequest, servingv1.RouterServiceSyncResponse]

// sync keeps the stream to serving up until ctx ends. While it is down the router goes on by its last table.
func (r *Router) sync(ctx context.Context) {
	pause := firstRetry
	for {
		connected, err := r.syncOnce(ctx)
		if ctx.Err() != nil {
			r.metrics.synced.Set(0)
			return
		}
		if connected {
			pause = firstRetry
		}
		if connected && status.Code(err) == codes.Unauthenticated {
			// Streams last as long as the token that they were opened with. The next one has another.
			r.log.Debug("the stream from serving is begun anew", "reason", err)
		} else {
			r.metrics.synced.Set(0)
			r.log.Warn("the stream from serving is down; routing goes on by the last table", "error", err, "retryIn", pause)
		}
		select {
		case <-time.After(pause/2 + mathrand.N(pause)): //nolint:gosec // jitter is no secret
		case <-ctx.Done():
			return
		}
		pause = min(pause*2, longestRetry)
	}
}

// syncOnce runs one stream to its end, and tells whether it ever brought a table.
func (r *Router) syncOnce(ctx context.Context) (connected bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	var receiving sync.WaitGroup
	defer receiving.Wait() // an old stream's table must not come after a new one's
	defer cancel()
	s, err := r.client.Sync(ctx)
	if err != nil {
		return false, fmt.Errorf("open: %w", err)
	}
	received := make(chan error, 1)
	got := make(chan struct{}, 1)
	receiving.Go(func() { //nolint:contextcheck // probes end with the router, not with a stream
		for {
			t, err := s.Recv()
			if err != nil {
				received <- err
				return
			}
			r.apply(t)
			signal(got)
		}
	})
	next := alarm{every: r.cfg.ReportInterval}
	defer next.stop()
	tell := true // the first report says who we are
	for {
		if tell {
			next.stop()
			busy, err := r.report(s)
			if errors.Is(err, io.EOF) { // the stream has ended; why is told to who receives
				err = <-received
			}
			if err != nil {
				return connected || len(got) > 0, fmt.Errorf("report: %w", err)
			}
			if busy {
				next.start()
			}
		}
		tell = true
		select {
		case <-next.due:
		case <-r.wake:
		case <-got:
			connected = true
			r.metrics.synced.Set(1)
		case <-r.active:
			tell = false
			next.start()
		case err := <-received:
			return connected || len(got) > 0, fmt.Errorf("receive: %w", err)
		}
	}
}

// alarm is a timer that may be off.
type alarm struct {
	every time.Duration
	timer *time.Timer
	due   <-chan time.Time
}

// start sets the alarm, unless it is set.
func (a *alarm) start() {
	if a.due == nil {
		a.timer = time.NewTimer(a.every)
		a.due = a.timer.C
	}
}

func (a *alarm) stop() {
	if a.due != nil {
		a.timer.Stop()
		a.due = nil
	}
}

// report tells serving the version of the table and what was measured, and whether there will be more to tell.
func (r *Router) report(s stream) (busy bool, err error) {
	req := &servingv1.RouterServiceSyncRequest{Router: r.cfg.Name, TableVersion: r.table.Load().version}
	now := r.now()
	r.mu.Lock()
	for _, b := range r.backends {
		load, worth := b.read(now)
		if !worth {
			continue
		}
		req.Loads = append(req.Loads, load)
		busy = busy || load.GetInFlight() > 0 || load.GetRequests() > 0
	}
	r.mu.Unlock()
	return busy, s.Send(req) //nolint:wrapcheck // named by the caller
}

// apply takes a table over. Requests see the old one or the new one, whole.
func (r *Router) apply(t *servingv1.RouterServiceSyncResponse) {
	r.mu.Lock()
	defer r.mu.Unlock()
	named := make(map[revisionKey]struct{}, len(t.GetRevisions()))
	for _, to := range t.GetRevisions() {
		key := revisionKey{to.GetNamespace(), to.GetName()}
		named[key] = struct{}{}
		b := r.backends[key]
		if b == nil {
			b = newBackend(key, &r.env)
			r.backends[key] = b
		}
		b.update(to)
	}
	r.table.Store(newTable(t, r.backends))
	for key, b := range r.backends {
		if _, ok := named[key]; !ok {
			b.update(nil)
			delete(r.backends, key)
			r.metrics.forget(key)
		}
	}
	r.readyOnce.Do(func() { close(r.ready) })
}
