// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/store/etcdtest"
	"fairlead.dev/services/internal/store/storetest"
)

func TestReadsAreAnsweredFromMemory(t *testing.T) {
	e := etcdtest.StartEmbedded(t, t.TempDir())
	spied := newSpy(t, e)
	s := storetest.StartOn(t, spied.client, store.Options{})
	for i := range 20 {
		create(t, s, "a", fmt.Sprintf("n%02d", i))
	}
	waitVersion(t, s, create(t, s, "b", "last"))
	gets, questions := spied.gets.Load(), spied.questions.Load()
	const readers = 50
	var wg sync.WaitGroup
	for i := range readers {
		wg.Go(func() {
			key := store.Key{Namespace: "a", Name: fmt.Sprintf("n%02d", i%20)}
			if got, err := services(t, s).Get(t.Context(), key); err != nil || store.KeyOf(got) != key {
				t.Errorf("get %s: %v, %v", key, got, err)
			}
			if _, err := services(t, s).Get(t.Context(), store.Key{Namespace: "a", Name: "none"}); !apierror.IsNotFound(err) {
				t.Errorf("get of none: %v", err)
			}
			if list, err := services(t, s).List(t.Context(), store.ListOptions{Namespace: "a"}); err != nil || len(list.Items) != 20 {
				t.Errorf("list: %v", err)
			}
		})
	}
	wg.Wait()
	if n := spied.gets.Load() - gets; n != 0 {
		t.Errorf("%d objects or lists were read from etcd", n)
	}
	if n := spied.questions.Load() - questions; n == 0 || n > 3*readers {
		t.Errorf("etcd was asked %d times for its revision by %d reads", n, 3*readers)
	}
	questions = spied.questions.Load()
	if _, err := s.GetItem(t.Context(), storetest.Services(t), store.Key{Namespace: "a", Name: "n00"}, "0"); err != nil {
		t.Error(err)
	}
	if n := spied.questions.Load() - questions; n != 0 {
		t.Error("a read of any version asked etcd")
	}
}

// TestReadsSeeWhatWasWrittenBefore has clients of one store read what those of another have just written.
func TestReadsSeeWhatWasWrittenBefore(t *testing.T) {
	client := etcdtest.Start(t)
	near, far := storetest.StartOn(t, client, store.Options{}), storetest.StartOn(t, client, store.Options{})
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 50 {
				made := create(t, near, "a", fmt.Sprintf("%d-%d", w, i))
				got, err := services(t, far).Get(t.Context(), store.KeyOf(made))
				if d := cmp.Diff(made, got, protocmp.Transform()); d != "" || err != nil {
					t.Errorf("get: %v (-written +read):\n%s", err, d)
				}
				list, err := far.ListItems(t.Context(), storetest.Services(t), store.ListOptions{FieldSelector: nameIs(made)})
				if err != nil || len(list.Items) != 1 {
					t.Errorf("list: %v", err)
				}
				// Moves etcd's revision, and no object of the installation.
				if _, err := client.Put(t.Context(), "/elsewhere", "x"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// TestReadsGoToEtcdWhenTheCacheIsBehind holds back what etcd tells the cache.
func TestReadsGoToEtcdWhenTheCacheIsBehind(t *testing.T) {
	e := etcdtest.StartEmbedded(t, t.TempDir())
	spied := newSpy(t, e)
	reg := prometheus.NewPedanticRegistry()
	s := storetest.StartOn(t, spied.client, store.Options{Metrics: reg})
	waitVersion(t, s, create(t, s, "a", "1"))
	release := spied.hold(&spied.events)
	defer release()
	made := create(t, s, "a", "2")
	if got, err := services(t, s).Get(t.Context(), store.KeyOf(made)); err != nil || got.GetMetadata().GetUid() != made.GetMetadata().GetUid() {
		t.Errorf("get: %v, %v", got, err)
	}
	if list, err := services(t, s).List(t.Context(), store.ListOptions{}); err != nil || len(list.Items) != 2 {
		t.Errorf("list: %v", err)
	}
	if n := counted(t, reg, "fairlead_store_reads_from_etcd_total"); n != 2 {
		t.Errorf("the metric tells of %v reads of etcd, want 2", n)
	}
}

func TestGetAtLeastAsNew(t *testing.T) {
	e := etcdtest.StartEmbedded(t, t.TempDir())
	s := storetest.StartOn(t, e.Client(), store.Options{})
	first := create(t, s, "a", "1")
	waitVersion(t, s, first)
	second := update(t, s, "a", "1", "x=y")
	cases := map[string]struct {
		version string
		want    *servingv1.Service
		reason  apierror.Reason
	}{
		"the newest":            {"", second, ""},
		"as new as the newest":  {second.GetMetadata().GetResourceVersion(), second, ""},
		"a version yet to come": {"999999999", nil, apierror.ReasonTimeout},
		"no version":            {"x", nil, apierror.ReasonBadRequest},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			item, err := s.GetItem(t.Context(), storetest.Services(t), store.KeyOf(first), tc.version)
			if tc.reason != "" {
				if !apierror.Is(err, tc.reason) {
					t.Errorf("got %v, want %s", err, tc.reason)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(store.Object(tc.want), item.Object(), protocmp.Transform()); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// TestEncoded has the bytes of items and events decode to the objects.
func TestEncoded(t *testing.T) {
	s := storetest.Start(t)
	w := watch(t, s, store.WatchOptions{SendInitialEvents: new(true)})
	items, err := s.WatchItems(t.Context(), storetest.Services(t), store.WatchOptions{SendInitialEvents: new(true)})
	if err != nil {
		t.Fatal(err)
	}
	defer items.Stop()
	made, err := s.Create(t.Context(), storetest.Services(t), storetest.TypicalService("a", "1"))
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, want store.Object, encoded []byte) {
		t.Helper()
		got := &servingv1.Service{}
		if err := proto.Unmarshal(encoded, got); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, store.Object(got), protocmp.Transform()); d != "" {
			t.Errorf("%s (-object +bytes):\n%s", what, d)
		}
	}
	item, err := s.GetItem(t.Context(), storetest.Services(t), store.KeyOf(made), "")
	if err != nil {
		t.Fatal(err)
	}
	check("get", made, item.Encoded())
	list, err := s.ListItems(t.Context(), storetest.Services(t), store.ListOptions{})
	if err != nil || len(list.Items) != 1 {
		t.Fatal(list, err)
	}
	check("list", made, list.Items[0].Encoded())
	gone, err := s.Delete(t.Context(), storetest.Services(t), store.KeyOf(made), store.DeleteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []store.EventType{store.Bookmark, store.Added, store.Deleted} {
		ev := read(t, w)
		if ev == nil || ev.Type != want {
			t.Fatalf("got %v (%v), want %s", ev, w.Err(), want)
		}
		check(string(want), ev.Object, ev.Encoded())
		if item := <-items.Events(); item.Type != want {
			t.Errorf("a watch of items: %s, want %s", item.Type, want)
		} else {
			check(string(want)+" item", ev.Object, item.Item.Encoded())
			check(string(want)+" item", item.Item.Object(), item.Item.Encoded())
		}
		if want == store.Deleted && ev.Object.GetMetadata().GetResourceVersion() != gone.GetMetadata().GetResourceVersion() {
			t.Error("the bytes of a deletion have another version")
		}
		ev.Object = &servingv1.Service{}
		if ev.Encoded() != nil {
			t.Error("an event whose object was replaced still has bytes")
		}
	}
}

// TestObjectsOfReadsAreTheCallers changes what reads return.
func TestObjectsOfReadsAreTheCallers(t *testing.T) {
	s := storetest.Start(t)
	made := create(t, s, "a", "1")
	waitVersion(t, s, made)
	spoil := func(svc *servingv1.Service) { svc.Metadata.Labels = map[string]string{"spoilt": "yes"} }
	got, err := services(t, s).Get(t.Context(), store.KeyOf(made))
	if err != nil {
		t.Fatal(err)
	}
	spoil(got)
	list, err := services(t, s).List(t.Context(), store.ListOptions{ResourceVersion: "0"})
	if err != nil {
		t.Fatal(err)
	}
	spoil(list.Items[0])
	again, ok := services(t, s).Cached(store.KeyOf(made))
	if d := cmp.Diff(made, again, protocmp.Transform()); d != "" || !ok {
		t.Errorf("the cache (-written +cached):\n%s", d)
	}
}

// TestPagesAreServedFromMemory reads a list in pages while it changes.
func TestPagesAreServedFromMemory(t *testing.T) {
	e := etcdtest.StartEmbedded(t, t.TempDir())
	spied := newSpy(t, e)
	s := storetest.StartOn(t, spied.client, store.Options{})
	const n, limit = 40, 7
	want := make([]string, 0, n)
	for i := range n {
		create(t, s, "a", fmt.Sprintf("n%02d", i))
		want = append(want, fmt.Sprintf("n%02d", i))
	}
	if err := s.Cache(storetest.Services(t)).WaitSynced(t.Context()); err != nil {
		t.Fatal(err)
	}
	pages := func(t *testing.T, selective bool, afterPage func(int)) []string {
		t.Helper()
		o := store.ListOptions{Limit: limit}
		if selective {
			o.FieldSelector = nameIsNot("none")
		}
		var got []string
		version := ""
		for page := 0; ; page++ {
			list, err := services(t, s).List(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			for _, svc := range list.Items {
				got = append(got, svc.GetMetadata().GetName())
			}
			if version != "" && version != list.ResourceVersion {
				t.Errorf("page %d is of version %s, the first of %s", page, list.ResourceVersion, version)
			}
			version = list.ResourceVersion
			left := list.Remaining
			if rest := int64(n - len(got)); !selective && rest > 0 && (left == nil || *left != rest) || (selective || rest == 0) && left != nil {
				t.Errorf("page %d: remaining %v, want %d", page, left, rest)
			}
			if o.Continue = list.Continue; o.Continue == "" {
				return got
			}
			afterPage(page)
		}
	}
	change := func(page int) {
		waitVersion(t, s, update(t, s, "a", fmt.Sprintf("n%02d", 39-page), "x=y"))
		extra := create(t, s, "a", fmt.Sprintf("n05-%d", page))
		if _, err := services(t, s).Delete(t.Context(), store.KeyOf(extra), store.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, selective := range []bool{false, true} {
		reads := 0
		got := pages(t, selective, func(page int) {
			before := spied.gets.Load()
			change(page)
			reads += int(spied.gets.Load() - before) // those of the writes
		})
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("selective %t (-want +got):\n%s", selective, d)
		}
		before := spied.gets.Load()
		pages(t, selective, func(int) {})
		if n := spied.gets.Load() - before; n != 0 {
			t.Errorf("selective %t: %d reads of etcd", selective, n)
		}
	}
	// More lists than the cache remembers revisions: those that it has forgotten are read from etcd.
	first, err := services(t, s).List(t.Context(), store.ListOptions{Limit: 39})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		change(i)
		if _, err := services(t, s).List(t.Context(), store.ListOptions{Limit: 1}); err != nil {
			t.Fatal(err)
		}
	}
	before := spied.gets.Load()
	last, err := services(t, s).List(t.Context(), store.ListOptions{Limit: 39, Continue: first.Continue})
	if err != nil || len(last.Items) != 1 || last.ResourceVersion != first.ResourceVersion {
		t.Errorf("a page of a forgotten revision: %v, %v", last, err)
	}
	if spied.gets.Load() == before {
		t.Error("a page of a forgotten revision was not read from etcd")
	}
}

// TestExactListFromMemory reads at the version of the newest write.
func TestExactListFromMemory(t *testing.T) {
	e := etcdtest.StartEmbedded(t, t.TempDir())
	spied := newSpy(t, e)
	s := storetest.StartOn(t, spied.client, store.Options{})
	made := create(t, s, "a", "1")
	waitVersion(t, s, made)
	before := spied.gets.Load()
	o := store.ListOptions{ResourceVersion: made.GetMetadata().GetResourceVersion(), ResourceVersionMatch: store.Exact}
	if list, err := services(t, s).List(t.Context(), o); err != nil || len(list.Items) != 1 || spied.gets.Load() != before {
		t.Errorf("list at the newest version: %v, %v; %d reads of etcd", list, err, spied.gets.Load()-before)
	}
	waitVersion(t, s, create(t, s, "a", "2"))
	if list, err := services(t, s).List(t.Context(), o); err != nil || len(list.Items) != 1 || spied.gets.Load() == before {
		t.Errorf("list at a former version: %v, %v", list, err)
	}
	future := strconv.Itoa(1 << 40)
	if _, err := services(t, s).List(t.Context(), store.ListOptions{ResourceVersion: future}); !apierror.Is(err, apierror.ReasonTimeout) {
		t.Errorf("a version yet to come: %v", err)
	}
}
