// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/testing/protocmp"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/store"
)

func transactionTests() map[string]func(*testing.T, *store.Store) {
	return map[string]func(*testing.T, *store.Store){
		"TransactionWritesAllOrNothing":  testTransaction,
		"TransactionNamesWhatMoved":      testTransactionConflict,
		"TransactionComparesWhatItKeeps": testTransactionKeeps,
		"TransactionIsFenced":            testTransactionFenced,
		"TransactionTakesAKeyOnce":       testTransactionTwice,
		"TransactionHasLimits":           testTransactionLimits,
		"TransactionOfTheMostObjects":    testTransactionMost,
		"TransactionDryRun":              testTransactionDryRun,
		"TransactionChecksItsOperations": testTransactionForged,
	}
}

func clusterRole(name string, verbs ...string) *authv1.ClusterRole {
	role := &authv1.ClusterRole{Metadata: &metav1.ObjectMeta{Name: name}}
	if len(verbs) > 0 {
		role.Rules = []*authv1.PolicyRule{{Verbs: verbs, ApiGroups: []string{"*"}, Resources: []string{"*"}}}
	}
	return role
}

// carried is operations after a way through another process.
func carried(t testing.TB, operations []store.Operation) []store.Operation {
	t.Helper()
	b, err := json.Marshal(operations)
	if err != nil {
		t.Fatal(err)
	}
	var out []store.Operation
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(operations, out); d != "" {
		t.Errorf("operations changed on their way (-sent +received):\n%s", d)
	}
	return out
}

func testTransaction(t *testing.T, s *store.Store) {
	changes := store.KeyOf(create(t, s, "shop/changes")[0])
	goes := store.KeyOf(create(t, s, "shop/goes")[0])
	tx := s.Begin()
	view := s.In(tx)
	made := must[*servingv1.Service](t)(services(t, view).Create(t.Context(), Service("shop", "comes")))
	changed := respec(t, view, changes, "a")
	must[*servingv1.Service](t)(services(t, view).Delete(t.Context(), goes, store.DeleteOptions{}))
	must[store.Object](t)(view.Create(t.Context(), ClusterRoles(t), clusterRole("viewer")))
	stays := create(t, s, "shop/stays")[0]
	relabel(t, view, store.KeyOf(stays)) // changes nothing
	if got := names(list(t, s, store.ListOptions{}).Items); len(got) != 3 {
		t.Errorf("before the commit, there are %v", got)
	}
	operations := carried(t, tx.Operations())
	summaries := make([]string, 0, len(operations))
	for _, op := range operations {
		summaries = append(summaries, op.Summary)
	}
	if d := cmp.Diff([]string{
		"create services.serving.knative.dev shop/comes", "update services.serving.knative.dev shop/changes",
		"delete services.serving.knative.dev shop/goes", "create clusterroles.auth.fairlead.dev viewer",
		"keep services.serving.knative.dev shop/stays",
	}, summaries); d != "" {
		t.Errorf("operations (-want +got):\n%s", d)
	}
	revision := must[int64](t)(s.Commit(t.Context(), operations))
	want := []*servingv1.Service{changed, made, stays}
	for _, o := range want[:2] {
		o.Metadata.ResourceVersion = fmt.Sprint(revision)
	}
	got := list(t, s, store.ListOptions{}).Items
	if d := cmp.Diff(want, got, protocmp.Transform()); d != "" {
		t.Errorf("after the commit (-want +got):\n%s", d)
	}
	if h := history(t, s, changes); len(h) != 1 {
		t.Errorf("the transaction kept %d past states, want 1", len(h))
	}
	must[store.Object](t)(s.Get(t.Context(), ClusterRoles(t), store.Key{Name: "viewer"}))
}

func testTransactionConflict(t *testing.T, s *store.Store) {
	create(t, s, "shop/changes", "shop/goes", "shop/stays")
	key := func(name string) store.Key { return store.Key{Namespace: "shop", Name: name} }
	tx := s.Begin()
	for _, name := range []string{"changes", "goes", "stays"} {
		respec(t, s.In(tx), key(name), "a")
	}
	must[*servingv1.Service](t)(services(t, s.In(tx)).Create(t.Context(), Service("shop", "comes")))
	relabel(t, s, key("changes"), "a=b")
	must[*servingv1.Service](t)(services(t, s).Delete(t.Context(), key("goes"), store.DeleteOptions{}))
	create(t, s, "shop/comes")
	before := list(t, s, store.ListOptions{}).Items
	_, err := s.Commit(t.Context(), tx.Operations())
	wantReason(t, err, apierror.ReasonConflict)
	for _, part := range []string{"shop/changes was changed", "shop/goes is gone", "shop/comes exists already"} {
		if err == nil || !strings.Contains(err.Error(), part) || strings.Contains(err.Error(), "stays") {
			t.Errorf("error: got %v, want one that says %q, and nothing of shop/stays", err, part)
		}
	}
	if d := cmp.Diff(before, list(t, s, store.ListOptions{}).Items, protocmp.Transform()); d != "" {
		t.Errorf("something was written (-before +after):\n%s", d)
	}
}

// testTransactionKeeps has an object change that a transaction was to leave as it is, alone and with one that it writes.
func testTransactionKeeps(t *testing.T, s *store.Store) {
	key := store.KeyOf(create(t, s, "shop/stays")[0])
	for _, others := range [][]string{nil, {"comes"}} {
		tx := s.Begin()
		relabel(t, s.In(tx), key)
		for _, name := range others {
			must[*servingv1.Service](t)(services(t, s.In(tx)).Create(t.Context(), Service("shop", name)))
		}
		operations := carried(t, tx.Operations())
		must[int64](t)(s.DryRun().Commit(t.Context(), operations))
		respec(t, s, key, fmt.Sprint(len(others)))
		_, err := s.Commit(t.Context(), operations)
		wantReason(t, err, apierror.ReasonConflict)
		if err == nil || !strings.Contains(err.Error(), "shop/stays was changed") {
			t.Errorf("error: got %v, want one that says what changed", err)
		}
	}
	if d := cmp.Diff([]string{"shop/stays"}, names(list(t, s, store.ListOptions{}).Items)); d != "" {
		t.Errorf("objects (-want +got):\n%s", d)
	}
}

func testTransactionFenced(t *testing.T, s *store.Store) {
	tx := s.Begin()
	must[*servingv1.Service](t)(services(t, s.In(tx)).Create(t.Context(), Service("shop", "web")))
	fails := clientv3.Compare(clientv3.Version("/no/such/key"), ">", 0)
	_, err := s.Commit(store.WithFence(t.Context(), fails), tx.Operations())
	if wantReason(t, err, apierror.ReasonConflict); !errors.Is(err, store.ErrFenced) {
		t.Errorf("got %v, want ErrFenced", err)
	}
	_, err = services(t, s.In(s.Begin())).Create(store.WithFence(t.Context(), fails), Service("shop", "web"))
	if !errors.Is(err, store.ErrFenced) {
		t.Errorf("when it is noted: got %v, want ErrFenced", err)
	}
	must[int64](t)(s.Commit(t.Context(), tx.Operations()))
}

func testTransactionTwice(t *testing.T, s *store.Store) {
	key := store.KeyOf(create(t, s, "shop/web")[0])
	tx := s.Begin()
	respec(t, s.In(tx), key, "a")
	_, err := services(t, s.In(tx)).Delete(t.Context(), key, store.DeleteOptions{})
	wantReason(t, err, apierror.ReasonBadRequest)
	operations := tx.Operations()
	if len(operations) != 1 {
		t.Fatalf("noted: got %d operations, want 1", len(operations))
	}
	_, err = s.Commit(t.Context(), append(operations, operations...))
	wantReason(t, err, apierror.ReasonBadRequest)
	_, err = s.Commit(t.Context(), nil)
	wantReason(t, err, apierror.ReasonBadRequest)
}

func testTransactionLimits(t *testing.T, s *store.Store) {
	tx := s.Begin()
	for i := range store.MaxTransactionObjects {
		must[*servingv1.Service](t)(services(t, s.In(tx)).Create(t.Context(), Service("shop", fmt.Sprintf("n%d", i))))
	}
	_, err := services(t, s.In(tx)).Create(t.Context(), Service("shop", "many"))
	wantReason(t, err, apierror.ReasonRequestEntityTooLarge)
	large := s.Begin()
	half := strings.Repeat("x", store.MaxTransactionBytes/2-1000)
	for _, name := range []string{"a", "b"} {
		must[*servingv1.Service](t)(services(t, s.In(large)).Create(t.Context(), Service("shop", name, "t="+half)))
	}
	_, err = services(t, s.In(large)).Create(t.Context(), Service("shop", "much", "t="+half[:10_000]))
	wantReason(t, err, apierror.ReasonRequestEntityTooLarge)
	if err == nil || !strings.Contains(err.Error(), "shop/much") {
		t.Errorf("error: got %v, want one that names the object", err)
	}
	must[int64](t)(s.Commit(t.Context(), tx.Operations()))
	must[int64](t)(s.Commit(t.Context(), large.Operations()))
}

// testTransactionMost changes as many objects as a transaction may have, each of which drops the oldest of its history.
func testTransactionMost(t *testing.T, s *store.Store) {
	for round := range keptGenerations + 2 {
		tx := s.Begin()
		for i := range store.MaxTransactionObjects {
			key := store.Key{Namespace: "shop", Name: fmt.Sprintf("n%d", i)}
			if round == 0 {
				must[*servingv1.Service](t)(services(t, s.In(tx)).Create(t.Context(), Service(key.Namespace, key.Name)))
				continue
			}
			respec(t, s.In(tx), key, fmt.Sprint(round))
		}
		must[int64](t)(s.Commit(t.Context(), tx.Operations()))
	}
	if h := history(t, s, store.Key{Namespace: "shop", Name: "n99"}); len(h) != keptGenerations || h[0].Generation != keptGenerations+1 {
		t.Errorf("history: got %d states, want %d", len(h), keptGenerations)
	}
}

func testTransactionDryRun(t *testing.T, s *store.Store) {
	tx := s.Begin()
	must[*servingv1.Service](t)(services(t, s.In(tx)).Create(t.Context(), Service("shop", "web")))
	must[int64](t)(s.DryRun().Commit(t.Context(), tx.Operations()))
	if got := list(t, s, store.ListOptions{}).Items; len(got) != 0 {
		t.Errorf("a dry run wrote %v", names(got))
	}
	create(t, s, "shop/web")
	_, err := s.DryRun().Commit(t.Context(), tx.Operations())
	wantReason(t, err, apierror.ReasonConflict)
}

// testTransactionForged has operations that reach for what is not their object's.
func testTransactionForged(t *testing.T, s *store.Store) {
	create(t, s, "shop/victim")
	tx := s.Begin()
	must[*servingv1.Service](t)(services(t, s.In(tx)).Create(t.Context(), Service("shop", "web")))
	victim := strings.TrimSuffix(tx.Operations()[0].Path, "web") + "victim"
	for name, forge := range map[string]func(*store.Operation){
		"another path":           func(o *store.Operation) { o.Path = victim },
		"another key":            func(o *store.Operation) { o.Key.Name = "victim" },
		"a key that leads away":  func(o *store.Operation) { o.Key.Name = "../shop/victim" },
		"a group that leads off": func(o *store.Operation) { o.Resource.Group = "a/../b" },
		"no plural":              func(o *store.Operation) { o.Resource.Plural = "" },
		"a put elsewhere":        func(o *store.Operation) { o.Puts = append(o.Puts, store.Put{Path: victim}) },
		"a deletion elsewhere":   func(o *store.Operation) { o.Deletes = []store.KeyRange{{From: victim}} },
		"a range from its key":   func(o *store.Operation) { o.Deletes = []store.KeyRange{{From: o.Path, To: "\xff"}} },
		"a range beyond history": func(o *store.Operation) {
			o.Deletes = []store.KeyRange{{From: strings.Replace(o.Path, "/serving.", "/_history/serving.", 1) + "/", To: "\xff"}}
		},
		"nothing": func(o *store.Operation) { o.Puts = nil },
		"history only": func(o *store.Operation) {
			o.Puts[0].Path = strings.Replace(o.Path, "/serving.", "/_history/serving.", 1) + "/x"
		},
		"a negative past": func(o *store.Operation) { o.Expected = -1 },
	} {
		t.Run(name, func(t *testing.T) {
			operations := carried(t, tx.Operations())
			forge(&operations[0])
			_, err := s.Commit(t.Context(), operations)
			wantReason(t, err, apierror.ReasonBadRequest)
		})
	}
	if d := cmp.Diff([]string{"shop/victim"}, names(list(t, s, store.ListOptions{}).Items)); d != "" {
		t.Errorf("objects (-want +got):\n%s", d)
	}
}
