// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	clientv3 "go.etcd.io/etcd/client/v3"

	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/store/etcdtest"
	"fairlead.dev/services/internal/store/storetest"
)

const patience = 2 * time.Minute

func services(t testing.TB, s *store.Store) store.Client[*servingv1.Service] {
	t.Helper()
	return store.For[*servingv1.Service](s, storetest.Services(t))
}

func create(t testing.TB, s *store.Store, namespace, name string) *servingv1.Service {
	t.Helper()
	svc, err := services(t, s).Create(t.Context(), storetest.Service(namespace, name))
	if err != nil {
		t.Fatal(err)
	}
	return svc
}

func watch(t testing.TB, s *store.Store, o store.WatchOptions) *store.WatcherOf[*servingv1.Service] {
	t.Helper()
	w, err := services(t, s).Watch(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	return w
}

// read returns the next event; it is nil when the watch has ended.
func read(t testing.TB, w *store.WatcherOf[*servingv1.Service]) *store.EventOf[*servingv1.Service] {
	t.Helper()
	select {
	case ev, ok := <-w.Events():
		if !ok {
			return nil
		}
		return &ev
	case <-time.After(patience):
		t.Fatal("no event comes")
		return nil
	}
}

// readToEnd reads until the watch ends, and returns how many events there were.
func readToEnd(t testing.TB, w *store.WatcherOf[*servingv1.Service]) int {
	t.Helper()
	n := 0
	for read(t, w) != nil {
		n++
	}
	return n
}

func waitVersion(t testing.TB, s *store.Store, obj store.Object) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.Cache(storetest.Services(t)).WaitVersion(ctx, obj.GetMetadata().GetResourceVersion()); err != nil {
		t.Fatal(err)
	}
}

func TestStuckWatcherIsEnded(t *testing.T) {
	s := storetest.StartOn(t, etcdtest.Start(t), store.Options{ChangeLogEvents: 20})
	stuck := watch(t, s, store.WatchOptions{})
	// The watcher's batch and buffer hold some more than the history does.
	var last *servingv1.Service
	for i := range 300 {
		last = create(t, s, "a", fmt.Sprint(i))
		if i%10 == 0 {
			waitVersion(t, s, last)
		}
	}
	waitVersion(t, s, last)
	if n := readToEnd(t, stuck); n >= 300 {
		t.Errorf("a watcher that read nothing got %d events", n)
	}
	if err := stuck.Err(); !apierror.Is(err, apierror.ReasonExpired) {
		t.Errorf("got %v, want Expired", err)
	}
	fresh := watch(t, s, store.WatchOptions{ResourceVersion: last.GetMetadata().GetResourceVersion()})
	create(t, s, "b", "1")
	if ev := read(t, fresh); ev == nil || ev.Object.GetMetadata().GetNamespace() != "b" {
		t.Errorf("a watcher that begins anew gets %v", ev)
	}
}

func TestBookmarks(t *testing.T) {
	s := storetest.StartOn(t, etcdtest.Start(t), store.Options{BookmarkInterval: 20 * time.Millisecond})
	w := watch(t, s, store.WatchOptions{Bookmarks: true})
	without := watch(t, s, store.WatchOptions{})
	create(t, s, "a", "1")
	if ev := read(t, w); ev == nil || ev.Type != store.Added {
		t.Fatalf("got %v, want ADDED", ev)
	}
	// Another kind moves on; this one rests.
	role := storetest.ClusterRoles(t)
	moved, err := s.Create(t.Context(), role, newRole("r"))
	if err != nil {
		t.Fatal(err)
	}
	for {
		ev := read(t, w)
		if ev == nil || ev.Type != store.Bookmark {
			t.Fatalf("got %v, want BOOKMARK", ev)
		}
		if ev.Object.GetMetadata().GetResourceVersion() == moved.GetMetadata().GetResourceVersion() {
			break
		}
	}
	create(t, s, "a", "2")
	for _, name := range []string{"1", "2"} {
		if ev := read(t, without); ev == nil || ev.Type != store.Added || ev.Object.GetMetadata().GetName() != name {
			t.Errorf("a watch without bookmarks got %v, want ADDED %s", ev, name)
		}
	}
}

func TestWatchPastCompactionIsExpired(t *testing.T) {
	client := etcdtest.Start(t)
	s := storetest.StartOn(t, client, store.Options{})
	first := create(t, s, "a", "1")
	create(t, s, "a", "2")
	compact(t, client, create(t, s, "a", "3"))
	w := watch(t, s, store.WatchOptions{ResourceVersion: first.GetMetadata().GetResourceVersion()})
	readToEnd(t, w)
	if err := w.Err(); !apierror.Is(err, apierror.ReasonExpired) {
		t.Errorf("watch: got %v, want Expired", err)
	}
	_, err := services(t, s).List(t.Context(), store.ListOptions{
		ResourceVersion: first.GetMetadata().GetResourceVersion(), ResourceVersionMatch: store.Exact,
	})
	if !apierror.Is(err, apierror.ReasonExpired) {
		t.Errorf("list: got %v, want Expired", err)
	}
}

func TestContinuePastCompactionIsExpired(t *testing.T) {
	client := etcdtest.Start(t)
	s := storetest.StartOn(t, client, store.Options{})
	create(t, s, "a", "1")
	create(t, s, "a", "2")
	page, err := services(t, s).List(t.Context(), store.ListOptions{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	compact(t, client, create(t, s, "a", "3"))
	// The process that has begun the list may have it in memory; another has not.
	other := storetest.StartOn(t, client, store.Options{})
	_, err = services(t, other).List(t.Context(), store.ListOptions{Limit: 1, Continue: page.Continue})
	if !apierror.Is(err, apierror.ReasonExpired) {
		t.Errorf("got %v, want Expired", err)
	}
}

func compact(t testing.TB, client *clientv3.Client, upTo store.Object) {
	t.Helper()
	var revision int64
	if _, err := fmt.Sscan(upTo.GetMetadata().GetResourceVersion(), &revision); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Compact(t.Context(), revision, clientv3.WithCompactPhysical()); err != nil {
		t.Fatal(err)
	}
}

func TestManyWatchersShareOneWatchOfEtcd(t *testing.T) {
	s := storetest.Start(t)
	one := watch(t, s, store.WatchOptions{})
	create(t, s, "a", "1")
	if read(t, one) == nil { // it came by the watch of etcd, which therefore is there
		t.Fatal(one.Err())
	}
	before := etcdWatchers(t)
	watchers := make([]*store.WatcherOf[*servingv1.Service], 200)
	for i := range watchers {
		watchers[i] = watch(t, s, store.WatchOptions{})
	}
	create(t, s, "a", "2")
	for i, w := range watchers {
		for _, want := range []string{"1", "2"} {
			if ev := read(t, w); ev == nil || ev.Object.GetMetadata().GetName() != want {
				t.Fatalf("watcher %d got %v, want %s", i, ev, want)
			}
		}
	}
	if after := etcdWatchers(t); after != before {
		t.Errorf("etcd has %v watches, and had %v before the others came", after, before)
	}
}

// etcdWatchers is how many watches etcd, which runs in this process, has.
func etcdWatchers(t testing.TB) float64 {
	t.Helper()
	families, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "etcd_debugging_mvcc_watcher_total" {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatal("etcd does not tell how many watches it has")
	return 0
}

// TestWatchesResumeAfterARestart has many clients come back to a new process with versions of the old one.
func TestWatchesResumeAfterARestart(t *testing.T) {
	client := etcdtest.Start(t)
	old := storetest.StartOn(t, client, store.Options{})
	known := create(t, old, "a", "known")
	create(t, old, "a", "missed")
	last, err := services(t, old).Delete(t.Context(), store.KeyOf(known), store.DeleteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s := storetest.StartOn(t, client, store.Options{})
	waitVersion(t, s, last)
	watchers := make([]*store.WatcherOf[*servingv1.Service], 50)
	for i := range watchers {
		watchers[i] = watch(t, s, store.WatchOptions{ResourceVersion: known.GetMetadata().GetResourceVersion()})
	}
	create(t, s, "a", "new")
	want := []string{"ADDED missed", "DELETED known", "ADDED new"}
	for i, w := range watchers {
		got := make([]string, 0, len(want))
		for range want {
			ev := read(t, w)
			if ev == nil {
				t.Fatal(w.Err())
			}
			got = append(got, string(ev.Type)+" "+ev.Object.GetMetadata().GetName())
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("watcher %d (-want +got):\n%s", i, d)
		}
	}
}

func TestWatchesEndWithTheStore(t *testing.T) {
	s, err := store.New(etcdtest.Start(t), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	w := watch(t, s, store.WatchOptions{})
	cancel()
	readToEnd(t, w)
	if err := w.Err(); !apierror.Is(err, apierror.ReasonServiceUnavailable) {
		t.Errorf("the watch ended with %v, want ServiceUnavailable", err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := s.Watch(t.Context(), storetest.Services(t), store.WatchOptions{}); !apierror.Is(err, apierror.ReasonServiceUnavailable) {
		t.Errorf("a watch of a stopped store: got %v, want ServiceUnavailable", err)
	}
	if err := s.Run(t.Context()); err == nil {
		t.Error("the store runs twice")
	}
}

func TestCacheWaitsNoLongerThanItMay(t *testing.T) {
	s, err := store.New(etcdtest.Start(t), store.Options{RequestTimeout: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	// Nobody runs the store.
	if _, err := s.Watch(t.Context(), storetest.Services(t), store.WatchOptions{}); !apierror.Is(err, apierror.ReasonServiceUnavailable) {
		t.Errorf("watch: got %v, want ServiceUnavailable", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Cache(storetest.Services(t)).WaitSynced(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("wait: got %v, want Canceled", err)
	}
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	s := storetest.StartOn(t, etcdtest.Start(t), store.Options{Metrics: reg})
	waitVersion(t, s, create(t, s, "a", "1"))
	_, _ = s.Get(t.Context(), storetest.Services(t), store.Key{Namespace: "a", Name: "none"})
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, f := range families {
		for _, m := range f.GetMetric() {
			fmt.Fprintln(&text, f.GetName(), m.GetLabel(), m.GetGauge().GetValue())
		}
	}
	for _, want := range []string{`value:"NotFound"`, `fairlead_store_cache_objects [name:"resource"`} {
		if !strings.Contains(strings.ReplaceAll(text.String(), "  ", " "), want) {
			t.Errorf("metrics have no %s:\n%s", want, text.String())
		}
	}
}
