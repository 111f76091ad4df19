// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/store"
)

// keptGenerations is how many past states an object has at most.
const keptGenerations = 20

func generationTests() map[string]func(*testing.T, *store.Store) {
	return map[string]func(*testing.T, *store.Store){
		"HistoryKeepsTheStatesBefore":  testHistory,
		"HistoryKeepsTheNewest":        testHistoryLimit,
		"HistoryGoesWithItsObject":     testHistoryDeleted,
		"HistoryIsNoneOfAnother":       testHistoryApart,
		"HistoryOfAClusterScopedKind":  testHistoryClusterScoped,
		"HistoryIsNotWrittenByDryRuns": testHistoryDryRun,
	}
}

// respec sets the tag of a service's only target, which changes its generation.
func respec(t testing.TB, s *store.Store, key store.Key, tag string) *servingv1.Service {
	t.Helper()
	return must[*servingv1.Service](t)(services(t, s).Update(t.Context(), key, "", func(o *servingv1.Service) (*servingv1.Service, error) {
		o.Spec = &servingv1.ServiceSpec{Traffic: []*servingv1.TrafficTarget{{Tag: tag}}}
		return o, nil
	}))
}

func history(t testing.TB, s *store.Store, key store.Key) []store.Version {
	t.Helper()
	return must[[]store.Version](t)(s.History(t.Context(), Services(t), key))
}

func testHistory(t *testing.T, s *store.Store) {
	key := store.KeyOf(create(t, s, "shop/web")[0])
	if got := history(t, s, key); len(got) != 0 {
		t.Errorf("a new object has a history of %d", len(got))
	}
	first := relabel(t, s, key, "a=1")
	if got := history(t, s, key); len(got) != 0 {
		t.Errorf("a label made a history of %d", len(got))
	}
	respec(t, s, key, "x")
	second := relabel(t, s, key, "a=2")
	respec(t, s, key, "y")
	relabel(t, s, key, "a=3")
	got := history(t, s, key)
	if len(got) != 2 {
		t.Fatalf("history: got %d states, want 2", len(got))
	}
	for i, want := range []*servingv1.Service{second, first} {
		if d := cmp.Diff(store.Object(want), got[i].Object, protocmp.Transform()); d != "" {
			t.Errorf("state %d: the last of its generation (-want +got):\n%s", i, d)
		}
		if got[i].Generation != want.GetMetadata().GetGeneration() || got[i].Replaced.IsZero() {
			t.Errorf("state %d: generation %d replaced at %s", i, got[i].Generation, got[i].Replaced)
		}
	}
	_, err := s.History(t.Context(), Services(t), store.Key{Namespace: "shop", Name: "other"})
	wantReason(t, err, apierror.ReasonNotFound)
}

func testHistoryLimit(t *testing.T, s *store.Store) {
	key := store.KeyOf(create(t, s, "shop/web")[0])
	const changes = keptGenerations + 5
	for i := range changes {
		respec(t, s, key, fmt.Sprintf("t%d", i))
	}
	got := history(t, s, key)
	generations := make([]int64, 0, len(got))
	for _, v := range got {
		generations = append(generations, v.Generation)
	}
	want := make([]int64, 0, keptGenerations)
	for g := int64(changes); g > changes-keptGenerations; g-- {
		want = append(want, g)
	}
	if d := cmp.Diff(want, generations); d != "" {
		t.Errorf("generations (-want +got):\n%s", d)
	}
}

func testHistoryDeleted(t *testing.T, s *store.Store) {
	for name, finalizers := range map[string][]string{"at-once": nil, "by-finalizer": {"x.example/f"}} {
		t.Run(name, func(t *testing.T) {
			obj := Service("shop", name)
			obj.Metadata.Finalizers = finalizers
			key := store.KeyOf(must[*servingv1.Service](t)(services(t, s).Create(t.Context(), obj)))
			respec(t, s, key, "a")
			must[*servingv1.Service](t)(services(t, s).Delete(t.Context(), key, store.DeleteOptions{}))
			if finalizers != nil {
				if got := history(t, s, key); len(got) != 2 {
					t.Errorf("while it is being deleted, it has %d past states, want 2", len(got))
				}
				must[*servingv1.Service](t)(services(t, s).Update(t.Context(), key, "", func(o *servingv1.Service) (*servingv1.Service, error) {
					o.Metadata.Finalizers = nil
					return o, nil
				}))
			}
			_, err := s.History(t.Context(), Services(t), key)
			wantReason(t, err, apierror.ReasonNotFound)
			create(t, s, key.String())
			if got := history(t, s, key); len(got) != 0 {
				t.Errorf("an object of the same name has the history of the one before: %v", got)
			}
		})
	}
}

func testHistoryApart(t *testing.T, s *store.Store) {
	keys := []store.Key{{Namespace: "shop", Name: "web"}, {Namespace: "shop", Name: "web2"}, {Namespace: "shop2", Name: "web"}}
	for _, key := range keys {
		create(t, s, key.String())
		respec(t, s, key, key.Namespace+"-"+key.Name)
		respec(t, s, key, "b")
	}
	must[*servingv1.Service](t)(services(t, s).Delete(t.Context(), keys[0], store.DeleteOptions{}))
	for _, key := range keys[1:] {
		got := history(t, s, key)
		if len(got) != 2 || store.KeyOf(got[0].Object) != key || got[0].Object.(*servingv1.Service).GetSpec().GetTraffic()[0].GetTag() != key.Namespace+"-"+key.Name {
			t.Errorf("%s: got %v", key, got)
		}
	}
}

func testHistoryClusterScoped(t *testing.T, s *store.Store) {
	k := ClusterRoles(t)
	key := store.Key{Name: "viewer"}
	must[store.Object](t)(s.Create(t.Context(), k, clusterRole("viewer")))
	must[store.Object](t)(s.Update(t.Context(), k, key, "", func(store.Object) (store.Object, error) { return clusterRole("viewer", "get"), nil }))
	if got := must[[]store.Version](t)(s.History(t.Context(), k, key)); len(got) != 1 || got[0].Generation != 1 {
		t.Errorf("history: got %v, want one state", got)
	}
	must[store.Object](t)(s.Delete(t.Context(), k, key, store.DeleteOptions{}))
	_, err := s.History(t.Context(), k, key)
	wantReason(t, err, apierror.ReasonNotFound)
}

func testHistoryDryRun(t *testing.T, s *store.Store) {
	key := store.KeyOf(create(t, s, "shop/web")[0])
	if got := respec(t, s.DryRun(), key, "a"); got.GetMetadata().GetGeneration() != 2 {
		t.Errorf("a dry run makes generation %d, want 2", got.GetMetadata().GetGeneration())
	}
	if got := history(t, s, key); len(got) != 0 {
		t.Errorf("a dry run wrote %v", got)
	}
}
