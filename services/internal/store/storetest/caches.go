// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/store"
)

func cacheTests() map[string]func(*testing.T, *store.Store) {
	return map[string]func(*testing.T, *store.Store){
		"CacheFollows":                 testCacheFollows,
		"CacheIsShared":                testCacheShared,
		"SubscribersSeeAllAndThenSome": testSubscribe,
		"SubscribersDoNotBlock":        testSlowSubscriber,
		"UnsubscribedHearNothing":      testUnsubscribe,
	}
}

func newRole(name string) *authv1.ClusterRole {
	return &authv1.ClusterRole{Metadata: &metav1.ObjectMeta{Name: name}}
}

func testCacheFollows(t *testing.T, s *store.Store) {
	cache := s.Cache(Services(t))
	made := create(t, s, "b/1", "a/2", "a/1")
	relabeled := relabel(t, s, store.KeyOf(made[0]), "x=y")
	last := must[*servingv1.Service](t)(services(t, s).Delete(t.Context(), store.KeyOf(made[1]), store.DeleteOptions{}))
	if err := cache.WaitVersion(t.Context(), last.GetMetadata().GetResourceVersion()); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"a/1", "b/1"}, names(cache.List("", nil))); d != "" {
		t.Errorf("list (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"b/1"}, names(cache.List("", selector(t, "x=y")))); d != "" {
		t.Errorf("list of a label (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"a/1"}, names(services(t, s).ListCached("a", nil))); d != "" {
		t.Errorf("list of a namespace (-want +got):\n%s", d)
	}
	got, ok := services(t, s).Cached(store.KeyOf(made[0]))
	if d := cmp.Diff(relabeled, got, protocmp.Transform()); !ok || d != "" {
		t.Errorf("get: %t (-want +got):\n%s", ok, d)
	}
	if _, ok := cache.Get(store.KeyOf(made[1])); ok {
		t.Error("a deleted object is still there")
	}
}

func testCacheShared(t *testing.T, s *store.Store) {
	first := s.Cache(Services(t))
	if first != s.Cache(Services(t)) || first != s.DryRun().Cache(Services(t)) {
		t.Error("a kind has several caches")
	}
}

// collect subscribes, and returns a function that waits for n events.
func collect(t testing.TB, c *store.Cache) (wait func(n int) []string) {
	t.Helper()
	events := make(chan string, 1000)
	t.Cleanup(c.Subscribe(func(ev store.Event) { events <- show(ev) }))
	return func(n int) []string {
		t.Helper()
		var out []string
		limit := time.After(patience)
		for len(out) < n {
			select {
			case ev := <-events:
				out = append(out, ev)
			case <-limit:
				t.Fatalf("%d of %d events came: %v", len(out), n, out)
			}
		}
		return out
	}
}

func testSubscribe(t *testing.T, s *store.Store) {
	cache := s.Cache(Services(t))
	early := collect(t, cache)
	key := store.KeyOf(create(t, s, "a/1")[0])
	if d := cmp.Diff([]string{"ADDED a/1"}, early(1)); d != "" {
		t.Errorf("early (-want +got):\n%s", d)
	}
	late := collect(t, cache)
	relabel(t, s, key, "x=y")
	must[*servingv1.Service](t)(services(t, s).Delete(t.Context(), key, store.DeleteOptions{}))
	if d := cmp.Diff([]string{"MODIFIED a/1", "DELETED a/1"}, early(2)); d != "" {
		t.Errorf("early, later (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"ADDED a/1", "MODIFIED a/1", "DELETED a/1"}, late(3)); d != "" {
		t.Errorf("late (-want +got):\n%s", d)
	}
}

func testSlowSubscriber(t *testing.T, s *store.Store) {
	cache := s.Cache(Services(t))
	release := make(chan struct{})
	defer cache.Subscribe(func(store.Event) { <-release })()
	defer close(release)
	wait := collect(t, cache)
	want := make([]string, 0, 50)
	for i := range 50 {
		create(t, s, fmt.Sprintf("a/%02d", i))
		want = append(want, fmt.Sprintf("ADDED a/%02d", i))
	}
	if d := cmp.Diff(want, wait(50)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func testUnsubscribe(t *testing.T, s *store.Store) {
	cache := s.Cache(Services(t))
	calls := 0
	first := make(chan struct{}, 10)
	unsubscribe := cache.Subscribe(func(store.Event) { calls++; first <- struct{}{} })
	create(t, s, "a/1")
	<-first
	unsubscribe()
	unsubscribe()
	wait := collect(t, cache)
	create(t, s, "a/2")
	wait(2)
	if calls != 1 {
		t.Errorf("called %d times, want once", calls)
	}
}
