// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// closedLoop has so many clients do something again and again, each as soon as it has its answer, and returns how often
// a second they did.
func closedLoop(ctx context.Context, clients int, span time.Duration, do func(ctx context.Context, client int) error) (float64, error) {
	var count atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	began := time.Now()
	until := began.Add(span)
	for client := range clients {
		group.Go(func() error {
			for { // once at least, so that there is a figure
				if err := do(ctx, client); err != nil {
					return err
				}
				count.Add(1)
				if !time.Now().Before(until) {
					return nil
				}
			}
		})
	}
	if err := group.Wait(); err != nil {
		return 0, err //nolint:wrapcheck // the caller names it
	}
	return float64(count.Load()) / time.Since(began).Seconds(), nil
}

// repeat does something until so many were done, by so many clients.
func repeat(ctx context.Context, clients, count int, do func(ctx context.Context, client, i int) error) error {
	var next atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for client := range clients {
		group.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= count {
					return nil
				}
				if err := do(ctx, client, i); err != nil {
					return err
				}
			}
		})
	}
	return group.Wait() //nolint:wrapcheck // the caller names it
}

func median[T int | int64 | float64 | time.Duration](values []T) T {
	return quantile(values, 0.5)
}

// quantile returns the value that a part of all values do not exceed.
func quantile[T int | int64 | float64 | time.Duration](values []T, part float64) T {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(int(part*float64(len(sorted))), len(sorted)-1)]
}

// delivery is how long writes took from being sent to being seen by watchers.
type delivery struct {
	p50, p99 time.Duration
	// rate is how many writes there were a second.
	rate float64
	// lost is how many watchers ended before they had seen all.
	lost int
	// why is why the first of them did.
	why error
}

// deliveryLoad is what load a delivery is measured under.
type deliveryLoad struct {
	namespace          string
	watchers, writers  int
	span, drain        time.Duration
	rate               float64
	firstWatcherClient int
}

// deliver has writers write while watchers watch. With a rate, the writers wait between their writes so that there are
// so many a second; otherwise each writes again as soon as it has its answer.
func deliver(ctx context.Context, s system, l deliveryLoad) (delivery, error) {
	watching, cancel := context.WithCancel(ctx)
	defer cancel()
	views := make([]*watcherView, l.watchers)
	var opened, ended sync.WaitGroup
	for i := range views {
		v := &watcherView{}
		views[i] = v
		opened.Add(1)
		once := sync.OnceFunc(opened.Done)
		ended.Go(func() {
			err := s.watch(watching, l.firstWatcherClient+i, l.namespace, once, v.see)
			once()
			v.end(err)
		})
	}
	opened.Wait()
	began := time.Now()
	var written atomic.Int64
	_, err := closedLoop(ctx, l.writers, l.span, l.write(s, &written, began))
	took := time.Since(began)
	if err == nil {
		waitSeen(ctx, views, int(written.Load()), l.drain)
	}
	cancel()
	ended.Wait()
	if err != nil {
		return delivery{}, fmt.Errorf("write: %w", err)
	}
	return summarise(views, int(written.Load()), took), nil
}

// write returns what a writer does again and again.
func (l deliveryLoad) write(s system, written *atomic.Int64, began time.Time) func(context.Context, int) error {
	var turn atomic.Int64
	return func(ctx context.Context, client int) error {
		if l.rate > 0 {
			due := began.Add(time.Duration(float64(turn.Add(1)) / l.rate * float64(time.Second)))
			select {
			case <-time.After(time.Until(due)):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		n := written.Add(1)
		return s.create(ctx, client, l.namespace, fmt.Sprintf("w-%d-%d", began.UnixNano(), n), now())
	}
}

// waitSeen waits until all watchers have seen all or have ended, but not for ever.
func waitSeen(ctx context.Context, views []*watcherView, all int, most time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	tick := time.NewTicker(readyEvery)
	defer tick.Stop()
	for slices.ContainsFunc(views, func(v *watcherView) bool { return v.waits(all) }) {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func summarise(views []*watcherView, all int, took time.Duration) delivery {
	out := delivery{rate: float64(all) / took.Seconds()}
	var delays []time.Duration
	for _, v := range views {
		delays = append(delays, v.delays...)
		if len(v.delays) < all {
			out.lost++
			if out.why == nil {
				out.why = v.err
			}
		}
	}
	out.p50, out.p99 = quantile(delays, 0.5), quantile(delays, 0.99)
	return out
}

// watcherView is what one watcher has seen.
type watcherView struct {
	mu     sync.Mutex
	delays []time.Duration
	err    error
	ended  bool
}

func (v *watcherView) see(sent int64) {
	delay := time.Duration(now() - sent)
	v.mu.Lock()
	v.delays = append(v.delays, delay)
	v.mu.Unlock()
}

func (v *watcherView) end(err error) {
	v.mu.Lock()
	v.err, v.ended = err, true
	v.mu.Unlock()
}

func (v *watcherView) waits(all int) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return !v.ended && len(v.delays) < all
}
