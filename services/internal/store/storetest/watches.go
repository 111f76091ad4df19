// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/store"
)

func watchTests() map[string]func(*testing.T, *store.Store) {
	return map[string]func(*testing.T, *store.Store){
		"WatchTellsWhatHappens":            testWatch,
		"WatchStartsAtAVersion":            testWatchFrom,
		"WatchInitialEvents":               testInitial,
		"WatchWithoutInitialEvents":        testNoInitial,
		"WatchReadsItsOwnWrites":           testWatchFresh,
		"WatchSelectors":                   testWatchSelectors,
		"WatchNamespaces":                  testWatchNamespace,
		"WatchRefuses":                     testWatchRefuses,
		"WatchEndsWithItsContext":          testWatchContext,
		"WatchOfAQuietKindKeepsUp":         testQuiet,
		"WatchesFollowWritesWithoutGaps":   testNoGaps,
		"WatchFromBeforeTheCache":          testBeforeCache,
		"WatchDeletedCarriesItsOwnVersion": testDeletedVersion,
		"WatchResumesInATransaction":       testWatchTransaction,
		"WatchResumesInAnOldTransaction":   testWatchOldTransaction,
	}
}

func testWatch(t *testing.T, s *store.Store) {
	w := startWatch(t, s, store.WatchOptions{})
	key := store.KeyOf(create(t, s, "shop/web")[0])
	relabel(t, s, key, "a=b")
	must[*servingv1.Service](t)(setFinalizers(t, s, key, "x"))
	must[*servingv1.Service](t)(services(t, s).Delete(t.Context(), key, store.DeleteOptions{}))
	must[*servingv1.Service](t)(setFinalizers(t, s, key))
	create(t, s, "shop/web")
	want := []string{
		"ADDED shop/web", "MODIFIED shop/web", "MODIFIED shop/web", "MODIFIED shop/web", "DELETED shop/web", "ADDED shop/web",
	}
	events := nextEvents(t, w, len(want))
	got := make([]string, 0, len(events))
	var last int64
	for _, ev := range events {
		got = append(got, show(ev))
		if now := revisionOf(t, ev.Object); now <= last {
			t.Errorf("versions do not grow: %d after %d", now, last)
		} else {
			last = now
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func testWatchFrom(t *testing.T, s *store.Store) {
	made := create(t, s, "a/1", "a/2", "a/3")
	if err := s.Cache(Services(t)).WaitSynced(t.Context()); err != nil {
		t.Fatal(err)
	}
	create(t, s, "a/4", "a/5")
	for i, from := range made {
		w := startWatch(t, s, store.WatchOptions{ResourceVersion: from.GetMetadata().GetResourceVersion()})
		var want []string
		for n := i + 2; n <= 5; n++ {
			want = append(want, fmt.Sprintf("ADDED a/%d", n))
		}
		if d := cmp.Diff(want, next(t, w, len(want))); d != "" {
			t.Errorf("from the version of a/%d (-want +got):\n%s", i+1, d)
		}
	}
}

func testInitial(t *testing.T, s *store.Store) {
	create(t, s, "a/1", "b/1")
	relabel(t, s, store.Key{Namespace: "b", Name: "1"}, "x=y")
	newest := list(t, s, store.ListOptions{}).ResourceVersion
	added := []string{"ADDED a/1", "ADDED b/1"}
	marked := append(append([]string(nil), added...), "BOOKMARK "+store.InitialEventsEnd)
	cases := map[string]struct {
		o    store.WatchOptions
		want []string
	}{
		"no version":               {store.WatchOptions{}, added},
		"any version":              {store.WatchOptions{ResourceVersion: "0"}, added},
		"wanted":                   {store.WatchOptions{SendInitialEvents: new(true), Bookmarks: true}, marked},
		"wanted, at least as new":  {store.WatchOptions{SendInitialEvents: new(true), ResourceVersion: newest}, marked},
		"wanted, with a selector":  {store.WatchOptions{SendInitialEvents: new(true), LabelSelector: selector(t, "x=y")}, marked[1:]},
		"wanted, of an empty part": {store.WatchOptions{SendInitialEvents: new(true), Namespace: "none"}, marked[2:]},
	}
	if err := s.Cache(Services(t)).WaitVersion(t.Context(), newest); err != nil {
		t.Fatal(err)
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := startWatch(t, s, tc.o)
			events := nextEvents(t, w, len(tc.want))
			var got []string
			for _, ev := range events {
				got = append(got, show(ev))
				if ev.Type == store.Bookmark && ev.Object.GetMetadata().GetResourceVersion() != newest {
					t.Errorf("the bookmark's version is %s, want %s", ev.Object.GetMetadata().GetResourceVersion(), newest)
				}
			}
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func testNoInitial(t *testing.T, s *store.Store) {
	create(t, s, "a/1")
	for _, version := range []string{"", "0"} {
		w := startWatch(t, s, store.WatchOptions{ResourceVersion: version, SendInitialEvents: new(false)})
		name := "n" + version
		create(t, s, "b/"+name)
		for _, ev := range nextEvents(t, w, 1) {
			if version == "" && show(ev) != "ADDED b/"+name {
				t.Errorf("got %s, want what happened after the start alone", show(ev))
			}
		}
	}
}

func testWatchFresh(t *testing.T, s *store.Store) {
	if err := s.Cache(Services(t)).WaitSynced(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		made := create(t, s, fmt.Sprintf("a/%d", i))[0]
		w := startWatch(t, s, store.WatchOptions{FieldSelector: fieldSelector(t, "metadata.name="+made.GetMetadata().GetName())})
		if d := cmp.Diff([]string{"ADDED " + store.KeyOf(made).String()}, next(t, w, 1)); d != "" {
			t.Fatalf("an object written before the watch (-want +got):\n%s", d)
		}
		w.Stop()
	}
}

func testWatchSelectors(t *testing.T, s *store.Store) {
	key := store.Key{Namespace: "shop", Name: "web"}
	w := startWatch(t, s, store.WatchOptions{LabelSelector: selector(t, "tier=front")})
	create(t, s, "shop/web")
	relabel(t, s, key, "tier=front")
	relabel(t, s, key, "tier=front", "more=1")
	left := relabel(t, s, key, "tier=back")
	relabel(t, s, key, "tier=back", "more=2")
	relabel(t, s, key, "tier=front")
	must[*servingv1.Service](t)(services(t, s).Delete(t.Context(), key, store.DeleteOptions{}))
	create(t, s, "shop/other")
	must[*servingv1.Service](t)(services(t, s).Create(t.Context(), Service("shop", "last", "tier=front")))
	want := []string{
		"ADDED shop/web", "MODIFIED shop/web", "DELETED shop/web", "ADDED shop/web", "DELETED shop/web", "ADDED shop/last",
	}
	events := nextEvents(t, w, len(want))
	got := make([]string, 0, len(events))
	for _, ev := range events {
		got = append(got, show(ev))
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	gone := events[2].Object.GetMetadata()
	if gone.GetLabels()["tier"] != "front" || gone.GetResourceVersion() != left.GetMetadata().GetResourceVersion() {
		t.Errorf("an object that left: got %v, want the last state that was chosen, at the version of the change", gone)
	}
}

func testWatchNamespace(t *testing.T, s *store.Store) {
	w := startWatch(t, s, store.WatchOptions{Namespace: "b"})
	create(t, s, "a/1", "b/1", "bb/1", "b/2")
	if d := cmp.Diff([]string{"ADDED b/1", "ADDED b/2"}, next(t, w, 2)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func testWatchRefuses(t *testing.T, s *store.Store) {
	cases := map[string]struct {
		o      store.WatchOptions
		reason apierror.Reason
	}{
		"a strange version":       {store.WatchOptions{ResourceVersion: "x"}, apierror.ReasonBadRequest},
		"a version yet to come":   {store.WatchOptions{ResourceVersion: "999999999"}, apierror.ReasonTimeout},
		"a field it cannot match": {store.WatchOptions{FieldSelector: fieldSelector(t, "status.x=1")}, apierror.ReasonBadRequest},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := services(t, s).Watch(t.Context(), tc.o)
			wantReason(t, err, tc.reason)
		})
	}
}

func testWatchContext(t *testing.T, s *store.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	w := must[*store.WatcherOf[*servingv1.Service]](t)(services(t, s).Watch(ctx, store.WatchOptions{}))
	cancel()
	if err := ended(t, w); err != nil {
		t.Errorf("after its context: %v", err)
	}
	w = startWatch(t, s, store.WatchOptions{})
	w.Stop()
	w.Stop()
	if err := ended(t, w); err != nil {
		t.Errorf("after Stop: %v", err)
	}
}

// testQuiet has other kinds move etcd's revision: a watch of this one must still be able to start at a list's version, and
// its cache must learn that it is up to date.
func testQuiet(t *testing.T, s *store.Store) {
	create(t, s, "a/1")
	cache := s.Cache(Services(t))
	if err := cache.WaitSynced(t.Context()); err != nil {
		t.Fatal(err)
	}
	role := must[store.Object](t)(s.Create(t.Context(), ClusterRoles(t), newRole("r")))
	version := role.GetMetadata().GetResourceVersion()
	if err := cache.WaitVersion(t.Context(), version); err != nil {
		t.Fatal(err)
	}
	role = must[store.Object](t)(s.Create(t.Context(), ClusterRoles(t), newRole("r2")))
	w := startWatch(t, s, store.WatchOptions{ResourceVersion: role.GetMetadata().GetResourceVersion()})
	create(t, s, "a/2")
	if d := cmp.Diff([]string{"ADDED a/2"}, next(t, w, 1)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// testNoGaps has watchers come and go while objects are written, each from where the one before ended.
func testNoGaps(t *testing.T, s *store.Store) {
	const n = 300
	version := list(t, s, store.ListOptions{}).ResourceVersion
	var writers sync.WaitGroup
	errs := make(chan error, 3)
	for w := range 3 {
		writers.Go(func() {
			for i := range n / 3 {
				if _, err := services(t, s).Create(t.Context(), Service("a", fmt.Sprintf("%d-%d", w, i))); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	seen := map[string]int{}
	for len(seen) < n {
		w := startWatch(t, s, store.WatchOptions{ResourceVersion: version})
		for _, ev := range nextEvents(t, w, min(7, n-len(seen))) {
			seen[ev.Object.GetMetadata().GetName()]++
			version = ev.Object.GetMetadata().GetResourceVersion()
		}
		w.Stop()
	}
	writers.Wait()
	close(errs)
	for err := range errs {
		t.Fatal(err)
	}
	for name, times := range seen {
		if times != 1 {
			t.Errorf("%s was told %d times", name, times)
		}
	}
}

func testBeforeCache(t *testing.T, s *store.Store) {
	made := create(t, s, "a/1", "a/2")
	relabel(t, s, store.KeyOf(made[1]), "x=y")
	must[*servingv1.Service](t)(services(t, s).Delete(t.Context(), store.KeyOf(made[0]), store.DeleteOptions{}))
	// Only now does the cache come to be, and it knows nothing of what was before.
	w := startWatch(t, s, store.WatchOptions{ResourceVersion: made[0].GetMetadata().GetResourceVersion()})
	selected := startWatch(t, s, store.WatchOptions{ResourceVersion: made[1].GetMetadata().GetResourceVersion(), LabelSelector: selector(t, "!x")})
	create(t, s, "a/3")
	if d := cmp.Diff([]string{"ADDED a/2", "MODIFIED a/2", "DELETED a/1", "ADDED a/3"}, next(t, w, 4)); d != "" {
		t.Errorf("all (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"DELETED a/2", "DELETED a/1", "ADDED a/3"}, next(t, selected, 3)); d != "" {
		t.Errorf("with a selector (-want +got):\n%s", d)
	}
}

func testDeletedVersion(t *testing.T, s *store.Store) {
	made := create(t, s, "a/1")[0]
	w := startWatch(t, s, store.WatchOptions{ResourceVersion: made.GetMetadata().GetResourceVersion()})
	last := must[*servingv1.Service](t)(services(t, s).Delete(t.Context(), store.KeyOf(made), store.DeleteOptions{}))
	ev := nextEvents(t, w, 1)[0]
	if got, want := ev.Object.GetMetadata().GetResourceVersion(), last.GetMetadata().GetResourceVersion(); got != want {
		t.Errorf("the version of the DELETED event is %s, want %s", got, want)
	}
}

// commitThree changes three services in one revision, which it returns.
func commitThree(t *testing.T, s *store.Store) string {
	t.Helper()
	goes := store.KeyOf(create(t, s, "a/goes")[0])
	changes := store.KeyOf(create(t, s, "a/changes")[0])
	tx := s.Begin()
	must[*servingv1.Service](t)(services(t, s.In(tx)).Create(t.Context(), Service("a", "comes")))
	relabel(t, s.In(tx), changes, "x=y")
	must[*servingv1.Service](t)(services(t, s.In(tx)).Delete(t.Context(), goes, store.DeleteOptions{}))
	return fmt.Sprint(must[int64](t)(s.Commit(t.Context(), tx.Operations())))
}

// resume watches from a version on that is that of an event: of a transaction, of which it is told as a whole, or of a single
// write, of which it is not.
func resume(t *testing.T, s *store.Store, transaction, single string) {
	t.Helper()
	for i := range 2 { // the second time, more is known
		w := startWatch(t, s, store.WatchOptions{ResourceVersion: transaction})
		if d := cmp.Diff([]string{"ADDED a/comes", "MODIFIED a/changes", "DELETED a/goes", "ADDED a/last"}, next(t, w, 4)); d != "" {
			t.Errorf("from the version of a transaction (-want +got):\n%s", d)
		}
		w = startWatch(t, s, store.WatchOptions{ResourceVersion: single})
		made := create(t, s, fmt.Sprintf("b/%d", i))[0]
		if d := cmp.Diff([]string{"ADDED " + store.KeyOf(made).String()}, next(t, w, 1)); d != "" {
			t.Errorf("from the version of a single write (-want +got):\n%s", d)
		}
		single = made.GetMetadata().GetResourceVersion()
	}
}

// testWatchTransaction has watchers come back that were cut off within a transaction.
func testWatchTransaction(t *testing.T, s *store.Store) {
	if err := s.Cache(Services(t)).WaitSynced(t.Context()); err != nil {
		t.Fatal(err)
	}
	transaction := commitThree(t, s)
	resume(t, s, transaction, create(t, s, "a/last")[0].GetMetadata().GetResourceVersion())
}

// testWatchOldTransaction has them come back to a process whose cache knows nothing of what was before.
func testWatchOldTransaction(t *testing.T, s *store.Store) {
	transaction := commitThree(t, s)
	resume(t, s, transaction, create(t, s, "a/last")[0].GetMetadata().GetResourceVersion())
}
