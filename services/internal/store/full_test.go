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

	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/etcd"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/store/etcdtest"
	"fairlead.dev/services/internal/store/storetest"
)

// TestFull fills etcd: reads go on, writes say why they are refused and what to do, deletions are taken, and after them writes
// are, without anybody doing more.
func TestFull(t *testing.T) {
	e := etcdtest.StartWith(t, etcd.Config{Dir: t.TempDir(), QuotaBytes: 8 << 20})
	s := quietStore(t, e.Client(), store.Options{RequestTimeout: stepPatience}) // which does not look after etcd
	k := storetest.Services(t)
	w := watch(t, s, store.WatchOptions{})
	filler := func(name string) *servingv1.Service {
		return storetest.Service("full", name, "x="+strings.Repeat("x", 200<<10))
	}
	first := create(t, s, "a", "first")

	var err error
	made := 0
	for ; err == nil && made < 100; made++ {
		_, err = s.Create(t.Context(), k, filler(fmt.Sprint(made)))
	}
	if !apierror.Is(err, apierror.ReasonServiceUnavailable) {
		t.Fatalf("after %d objects: got %v, want ServiceUnavailable", made, err)
	}
	for _, part := range []string{"etcd is full", "delete what is not needed", "quota"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not say %q: %v", part, err)
		}
	}
	if e, ok := errors.AsType[*apierror.Error](err); !ok || e.RetryAfter == 0 {
		t.Errorf("the error does not say when to try again: %v", err)
	}

	if _, err := s.Get(t.Context(), k, store.KeyOf(first)); err != nil {
		t.Errorf("get: %v", err)
	}
	l, err := s.List(t.Context(), k, store.ListOptions{Namespace: "full"})
	if err != nil || len(l.Items) < made-1 {
		t.Fatalf("list: got %v, want %d objects", err, made-1)
	}
	if ev := read(t, w); ev == nil {
		t.Errorf("the watch ended: %v", w.Err())
	}
	_, err = s.Update(t.Context(), k, store.KeyOf(first), "", func(o store.Object) (store.Object, error) {
		o.GetMetadata().Labels = map[string]string{"a": "b"}
		return o, nil
	})
	if !apierror.Is(err, apierror.ReasonServiceUnavailable) {
		t.Errorf("update: got %v, want ServiceUnavailable", err)
	}

	for _, obj := range l.Items[5:] {
		if _, err := s.Delete(t.Context(), k, store.KeyOf(obj), store.DeleteOptions{}); err != nil {
			t.Fatalf("delete while etcd is full: %v", err)
		}
	}
	if _, err := s.Create(t.Context(), k, storetest.Service("a", "early")); !apierror.Is(err, apierror.ReasonServiceUnavailable) {
		t.Errorf("while nobody looks after etcd: got %v, want ServiceUnavailable", err)
	}

	// A process that starts finds it full; later, it is the refused writes that tell it.
	ctx, cancel := context.WithTimeout(t.Context(), stepPatience)
	defer cancel()
	keeper := quietStore(t, e.Client(), store.Options{CompactionInterval: time.Hour, RequestTimeout: stepPatience})
	insist(ctx, t, "a write after the deletions", func() error {
		_, err := s.Create(ctx, k, storetest.Service("a", "second"))
		return err
	})
	for round := range 3 {
		for i := range 15 {
			insist(ctx, t, "a write where half of the quota is free", func() error {
				_, err := keeper.Create(ctx, k, filler(fmt.Sprintf("again-%d-%d", round, i)))
				if apierror.IsAlreadyExists(err) { // it was written, though refused
					return nil
				}
				return err
			})
		}
		for i := range 15 {
			key := store.Key{Namespace: "full", Name: fmt.Sprintf("again-%d-%d", round, i)}
			if _, err := keeper.Delete(ctx, k, key, store.DeleteOptions{}); err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
		}
	}
}

// insist calls fn until it does not fail, or ctx ends.
func insist(ctx context.Context, t testing.TB, what string, fn func() error) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := fn()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: it still fails: %v", what, err)
		case <-ticker.C:
		}
	}
}
