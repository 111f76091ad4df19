// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/store/etcdtest"
	"fairlead.dev/services/internal/store/storetest"
)

// TestAStuckWatcherAmongAThousand has one of many watchers not read: it is ended, without a read of its own, and all others
// get every event.
func TestAStuckWatcherAmongAThousand(t *testing.T) {
	const others, writes = 1000, 400
	reg := prometheus.NewPedanticRegistry()
	s := storetest.StartOn(t, etcdtest.Start(t), store.Options{ChangeLogEvents: 200, Metrics: reg})
	stuck := watch(t, s, store.WatchOptions{})
	names := make([]string, writes)
	for i := range names {
		names[i] = fmt.Sprint(i)
	}
	var wg, written sync.WaitGroup
	ahead := make(chan struct{}, 50) // writes that not all have seen: the others are slower than writes, but not stuck
	seen := make([]sync.WaitGroup, writes)
	for i := range seen {
		seen[i].Add(others)
	}
	for i := range others {
		w := watch(t, s, store.WatchOptions{})
		wg.Go(func() {
			for n := range writes {
				ev, ok := <-w.Events()
				if !ok || ev.Object.GetMetadata().GetName() != names[n] {
					t.Errorf("watcher %d got %v instead of event %d: %v", i, ev, n, w.Err())
					for ; n < writes; n++ {
						seen[n].Done()
					}
					return
				}
				seen[n].Done()
			}
		})
	}
	written.Go(func() {
		for i := range seen {
			seen[i].Wait()
			<-ahead
		}
	})
	for _, name := range names {
		ahead <- struct{}{}
		create(t, s, "a", name)
	}
	wg.Wait()
	written.Wait()
	// The watch has ended before its reader takes what waits for it.
	if n := counted(t, reg, "fairlead_store_watchers_evicted_total"); n != 1 {
		t.Errorf("%v watchers were ended, want one", n)
	}
	if err := stuck.Err(); !apierror.Is(err, apierror.ReasonExpired) {
		t.Errorf("the stuck watcher: got %v, want Expired", err)
	}
	if n := readToEnd(t, stuck); n == 0 || n > 100 {
		t.Errorf("%d events waited for the stuck watcher, want a few", n)
	}
}

// TestStuckWatchersOfInitialEvents has watchers stop reading before they know all objects.
func TestStuckWatchersOfInitialEvents(t *testing.T) {
	client := etcdtest.Start(t)
	s := storetest.StartOn(t, client, store.Options{ChangeLogEvents: 20})
	var first *servingv1.Service
	for i := range 100 {
		if made := create(t, s, "a", fmt.Sprint(i)); i == 0 {
			first = made
		}
	}
	late := storetest.StartOn(t, client, store.Options{ChangeLogEvents: 20})
	watchers := map[string]*store.WatcherOf[*servingv1.Service]{
		"initial events":          watch(t, s, store.WatchOptions{}),
		"events before the cache": watch(t, late, store.WatchOptions{ResourceVersion: first.GetMetadata().GetResourceVersion()}),
	}
	for _, s := range []*store.Store{s, late} {
		for i := range 50 {
			waitVersion(t, s, update(t, s, "a", "0", fmt.Sprintf("n=%p-%d", s, i)))
		}
	}
	for name, w := range watchers {
		n := readToEnd(t, w)
		if err := w.Err(); !apierror.Is(err, apierror.ReasonExpired) || n >= 100 {
			t.Errorf("%s: got %d events and %v, want Expired before all", name, n, err)
		}
	}
}
