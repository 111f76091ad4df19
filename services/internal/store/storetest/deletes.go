// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/store"
)

func deleteTests() map[string]func(*testing.T, *store.Store) {
	return map[string]func(*testing.T, *store.Store){
		"DeleteRemoves":                 testDelete,
		"DeletePreconditions":           testPreconditions,
		"DeleteWaitsForFinalizers":      testFinalizers,
		"DeletePropagation":             testPropagation,
		"DeletingTakesNoNewFinalizers":  testNoNewFinalizers,
		"DeletingStillTakesOtherWrites": testWriteWhileDeleting,
	}
}

func testDelete(t *testing.T, s *store.Store) {
	was := create(t, s, "shop/web")[0]
	got := must[*servingv1.Service](t)(services(t, s).Delete(t.Context(), store.KeyOf(was), store.DeleteOptions{}))
	if d := cmp.Diff(was, got, protocmp.Transform(), protocmp.IgnoreFields(&metav1.ObjectMeta{},
		"resource_version", "deletion_timestamp", "deletion_grace_period_seconds")); d != "" {
		t.Errorf("the last state (-want +got):\n%s", d)
	}
	if revisionOf(t, got) <= revisionOf(t, was) {
		t.Error("the deletion has no version of its own")
	}
	_, err := services(t, s).Get(t.Context(), store.KeyOf(was))
	wantReason(t, err, apierror.ReasonNotFound)
	_, err = services(t, s).Delete(t.Context(), store.KeyOf(was), store.DeleteOptions{})
	wantReason(t, err, apierror.ReasonNotFound)
}

func testPreconditions(t *testing.T, s *store.Store) {
	was := create(t, s, "shop/web")[0]
	uid, version := was.GetMetadata().GetUid(), was.GetMetadata().GetResourceVersion()
	cases := []struct {
		name   string
		o      store.DeleteOptions
		reason apierror.Reason
	}{
		{"another uid", store.DeleteOptions{UID: new("x")}, apierror.ReasonConflict},
		{"another version", store.DeleteOptions{ResourceVersion: new("1")}, apierror.ReasonConflict},
		{"one right, one wrong", store.DeleteOptions{UID: &uid, ResourceVersion: new("1")}, apierror.ReasonConflict},
		{"an unknown policy", store.DeleteOptions{Propagation: "Sideways"}, apierror.ReasonBadRequest},
		{"all right", store.DeleteOptions{UID: &uid, ResourceVersion: &version}, ""},
	}
	for _, tc := range cases {
		_, err := services(t, s).Delete(t.Context(), store.KeyOf(was), tc.o)
		if tc.reason == "" && err != nil || tc.reason != "" && !apierror.Is(err, tc.reason) {
			t.Errorf("%s: got %v, want %q", tc.name, err, tc.reason)
		}
	}
}

// setFinalizers replaces the finalizers of a service.
func setFinalizers(t testing.TB, s *store.Store, key store.Key, finalizers ...string) (*servingv1.Service, error) {
	t.Helper()
	return services(t, s).Update(t.Context(), key, "", func(o *servingv1.Service) (*servingv1.Service, error) {
		o.Metadata.Finalizers = finalizers
		return o, nil
	})
}

func testFinalizers(t *testing.T, s *store.Store) {
	key := store.KeyOf(create(t, s, "shop/web")[0])
	must[*servingv1.Service](t)(setFinalizers(t, s, key, "a", "b"))
	marked := must[*servingv1.Service](t)(services(t, s).Delete(t.Context(), key, store.DeleteOptions{}))
	if m := marked.GetMetadata(); m.GetDeletionTimestamp() == nil || m.DeletionGracePeriodSeconds == nil || m.GetGeneration() != 2 {
		t.Errorf("marked: got %v", m)
	}
	again := must[*servingv1.Service](t)(services(t, s).Delete(t.Context(), key, store.DeleteOptions{}))
	if d := cmp.Diff(marked, again, protocmp.Transform()); d != "" {
		t.Errorf("a second deletion changed (-first +second):\n%s", d)
	}
	must[*servingv1.Service](t)(setFinalizers(t, s, key, "b"))
	must[*servingv1.Service](t)(services(t, s).Get(t.Context(), key))
	last := must[*servingv1.Service](t)(setFinalizers(t, s, key))
	if revisionOf(t, last) <= revisionOf(t, marked) {
		t.Error("the removal has no version of its own")
	}
	_, err := services(t, s).Get(t.Context(), key)
	wantReason(t, err, apierror.ReasonNotFound)
}

func testPropagation(t *testing.T, s *store.Store) {
	key := store.KeyOf(create(t, s, "shop/web")[0])
	must[*servingv1.Service](t)(setFinalizers(t, s, key, "mine"))
	steps := []struct {
		propagation string
		want        []string
	}{
		{store.Foreground, []string{"mine", store.ForegroundFinalizer}},
		{"", []string{"mine", store.ForegroundFinalizer}},
		{store.Orphan, []string{"mine", store.OrphanFinalizer}},
		{store.Background, []string{"mine"}},
	}
	for _, step := range steps {
		got := must[*servingv1.Service](t)(services(t, s).Delete(t.Context(), key, store.DeleteOptions{Propagation: step.propagation}))
		if d := cmp.Diff(step.want, got.GetMetadata().GetFinalizers()); d != "" {
			t.Errorf("finalizers after %q (-want +got):\n%s", step.propagation, d)
		}
	}
}

func testNoNewFinalizers(t *testing.T, s *store.Store) {
	key := store.KeyOf(create(t, s, "shop/web")[0])
	must[*servingv1.Service](t)(setFinalizers(t, s, key, "a"))
	must[*servingv1.Service](t)(services(t, s).Delete(t.Context(), key, store.DeleteOptions{}))
	_, err := setFinalizers(t, s, key, "a", "new")
	wantReason(t, err, apierror.ReasonInvalid)
}

func testWriteWhileDeleting(t *testing.T, s *store.Store) {
	key := store.KeyOf(create(t, s, "shop/web")[0])
	must[*servingv1.Service](t)(setFinalizers(t, s, key, "a"))
	must[*servingv1.Service](t)(services(t, s).Delete(t.Context(), key, store.DeleteOptions{}))
	got := must[*servingv1.Service](t)(services(t, s).Update(t.Context(), key, "", func(o *servingv1.Service) (*servingv1.Service, error) {
		o.Metadata.DeletionTimestamp = nil
		o.Status = &servingv1.ServiceStatus{Url: "http://going"}
		return o, nil
	}))
	if got.GetMetadata().GetDeletionTimestamp() == nil || got.GetStatus().GetUrl() != "http://going" {
		t.Errorf("got %v, want the status and the deletionTimestamp", got)
	}
}
