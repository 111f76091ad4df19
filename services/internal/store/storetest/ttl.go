// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/store"
)

func ttlTests() map[string]func(*testing.T, *store.Store) {
	return map[string]func(*testing.T, *store.Store){
		"TTLEndsAnObject":          testTTL,
		"TTLOfATransaction":        testTTLTransaction,
		"TTLRefusesAndDryRuns":     testTTLRefuses,
		"TTLOfAnObjectNotWritten":  testTTLTaken,
		"TTLDoesNotOutliveDeletes": testTTLDeleted,
	}
}

func createFor(t testing.TB, s *store.Store, obj *servingv1.Service, ttl time.Duration) store.Key {
	t.Helper()
	return store.KeyOf(must[store.Object](t)(s.CreateFor(t.Context(), Services(t), obj, ttl)))
}

// testTTL has an object that is changed, spec and all, and goes when its time is over.
func testTTL(t *testing.T, s *store.Store) {
	t.Parallel()
	w := startWatch(t, s, store.WatchOptions{})
	obj := Service("shop", "brief")
	obj.Metadata.Finalizers = []string{"x.example/holds"}
	key := createFor(t, s, obj, time.Second)
	create(t, s, "shop/stays")
	respec(t, s, key, "a")
	relabel(t, s, key, "a=b")
	last := respec(t, s, key, "b")
	if d := cmp.Diff([]string{"ADDED shop/brief", "ADDED shop/stays", "MODIFIED shop/brief", "MODIFIED shop/brief", "MODIFIED shop/brief", "DELETED shop/brief"},
		next(t, w, 6)); d != "" {
		t.Errorf("events (-want +got):\n%s", d)
	}
	_, err := services(t, s).Get(t.Context(), key)
	wantReason(t, err, apierror.ReasonNotFound)
	_, err = services(t, s).Update(t.Context(), key, last.GetMetadata().GetResourceVersion(), func(o *servingv1.Service) (*servingv1.Service, error) { return o, nil })
	wantReason(t, err, apierror.ReasonNotFound)
	create(t, s, key.String())
	if got := history(t, s, key); len(got) != 0 {
		t.Errorf("its history is still there: %v", got)
	}
}

func testTTLTransaction(t *testing.T, s *store.Store) {
	t.Parallel()
	tx := s.Begin()
	key := createFor(t, s.In(tx), Service("shop", "brief"), time.Second)
	w := startWatch(t, s, store.WatchOptions{})
	must[int64](t)(s.Commit(t.Context(), carried(t, tx.Operations())))
	if d := cmp.Diff([]string{"ADDED shop/brief", "DELETED shop/brief"}, next(t, w, 2)); d != "" {
		t.Errorf("events of %s (-want +got):\n%s", key, d)
	}
}

func testTTLRefuses(t *testing.T, s *store.Store) {
	_, err := s.CreateFor(t.Context(), Services(t), Service("shop", "web"), time.Millisecond)
	wantReason(t, err, apierror.ReasonBadRequest)
	createFor(t, s.DryRun(), Service("shop", "web"), time.Hour)
	if got := list(t, s, store.ListOptions{}).Items; len(got) != 0 {
		t.Errorf("a dry run wrote %v", names(got))
	}
}

func testTTLTaken(t *testing.T, s *store.Store) {
	create(t, s, "shop/web")
	_, err := s.CreateFor(t.Context(), Services(t), Service("shop", "web"), time.Hour)
	wantReason(t, err, apierror.ReasonAlreadyExists)
	must[*servingv1.Service](t)(services(t, s).Get(t.Context(), store.Key{Namespace: "shop", Name: "web"}))
}

// testTTLDeleted deletes an object before its time, and makes one of its name, which stays.
func testTTLDeleted(t *testing.T, s *store.Store) {
	t.Parallel()
	w := startWatch(t, s, store.WatchOptions{})
	key := createFor(t, s, Service("shop", "web"), time.Second)
	must[*servingv1.Service](t)(services(t, s).Delete(t.Context(), key, store.DeleteOptions{}))
	create(t, s, key.String())
	createFor(t, s, Service("shop", "later"), time.Second)
	want := []string{"ADDED shop/web", "DELETED shop/web", "ADDED shop/web", "ADDED shop/later", "DELETED shop/later"}
	if d := cmp.Diff(want, next(t, w, 5)); d != "" {
		t.Errorf("events (-want +got):\n%s", d)
	}
	must[*servingv1.Service](t)(services(t, s).Get(t.Context(), key))
}
