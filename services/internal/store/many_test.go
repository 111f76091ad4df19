// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/store/etcdtest"
	"fairlead.dev/services/internal/store/storetest"
)

// TestManyObjects restarts over 50,000 objects of one kind, lists them whole and in pages, watches them, and has them go on
// changing. The short form has a tenth of them.
func TestManyObjects(t *testing.T) {
	n := 50_000
	if testing.Short() {
		n /= 10
	}
	client := etcdtest.Start(t)
	revision := seed(t, client, "/fairlead", n)

	before := heap()
	s := storetest.StartOn(t, client, store.Options{})
	kind := storetest.Services(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	start := time.Now()
	if err := s.Cache(kind).WaitVersion(ctx, fmt.Sprint(revision)); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d objects are there after %s, and take %d bytes each", n, time.Since(start), (heap()-before)/int64(n))

	w := watch(t, s, store.WatchOptions{SendInitialEvents: new(true)})
	changed := update(t, s, shop, numbered(n/2), "x=y")
	pages, items := 0, 0
	for o := (store.ListOptions{Limit: 500}); ; pages++ {
		list, err := s.ListItems(ctx, kind, o)
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range list.Items {
			if item.Key().Name != numbered(items) {
				t.Fatalf("item %d is %s", items, item.Key())
			}
			items++
		}
		if o.Continue = list.Continue; o.Continue == "" {
			break
		}
	}
	if items != n {
		t.Errorf("%d pages have %d objects, want %d", pages+1, items, n)
	}
	list, err := s.ListItems(ctx, kind, store.ListOptions{})
	if err != nil || len(list.Items) != n {
		t.Fatalf("list: %v", err)
	}
	added := 0
	for {
		ev := read(t, w)
		if ev == nil {
			t.Fatal(w.Err())
		}
		if ev.Type == store.Added {
			added++
		}
		if ev.Object.GetMetadata().GetResourceVersion() == changed.GetMetadata().GetResourceVersion() {
			break
		}
	}
	if added < n-1 {
		t.Errorf("a watch told of %d objects, want all %d", added, n)
	}
}
