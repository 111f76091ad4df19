// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package namespaces

import (
	"context"
	"testing"

	"go.uber.org/goleak"

	buildv1 "fairlead.dev/gen/go/fairlead/build/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/kube"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/store/etcdtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type fixed map[string]kube.NamespaceState

func (f fixed) State(_ context.Context, name string) (kube.NamespaceState, error) {
	return f[name], nil
}

func TestReconcileDeletesOnlyWhereNothingMayLive(t *testing.T) {
	s, err := store.New(etcdtest.Start(t), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	kind, _ := kinds.ByKind("build.knative.dev", "v1alpha1", "Build")
	r := &reaper{store: s, kinds: kinds.All(), states: fixed{"active": kube.NamespaceActive, "ending": kube.NamespaceTerminating}}
	for _, ns := range []string{"active", "ending", "absent"} {
		if _, err := s.Create(ctx, kind, &buildv1.Build{Metadata: &metav1.ObjectMeta{Namespace: ns, Name: "b"}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, k := range kinds.All() {
		if err := s.Cache(k).WaitSynced(ctx); err != nil {
			t.Fatal(err)
		}
	}
	for _, ns := range []string{"active", "ending", "absent"} {
		if _, err := r.Reconcile(ctx, store.Key{Name: ns}); err != nil {
			t.Fatal(err)
		}
		_, err := s.Get(ctx, kind, store.Key{Namespace: ns, Name: "b"})
		if (err == nil) != (ns == "active") {
			t.Errorf("namespace %s: the object's state is %v", ns, err)
		}
	}
}
