// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"google.golang.org/protobuf/proto"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/kube"
	"fairlead.dev/services/internal/reconcile"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/store/etcdtest"
)

func kindOf(t *testing.T, m proto.Message) kinds.Kind {
	t.Helper()
	k, ok := kinds.ByMessage(m.ProtoReflect().Descriptor().FullName())
	if !ok {
		t.Fatalf("%T is no kind", m)
	}
	return k
}

// behind is a mirror whose caches know nothing, whatever the store has, and which counts what it deletes in the cluster.
func behind(t *testing.T) (m *Mirror, deleted *atomic.Int32) {
	t.Helper()
	deleted = &atomic.Int32{}
	cluster := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodDelete {
			t.Errorf("%s %s is asked of the cluster", r.Method, r.URL)
		}
		deleted.Add(1)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Success"}`))
	}))
	t.Cleanup(cluster.Close)
	k, err := kube.NewClient(&rest.Config{Host: cluster.URL}, kube.Options{Installation: "i", Component: "test", SystemNamespace: "i"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	st, err := store.New(etcdtest.Start(t), store.Options{}) // does not run, so that no cache is filled
	if err != nil {
		t.Fatal(err)
	}
	return New(Kinds{ServiceAccount: kindOf(t, &authv1.ServiceAccount{})}, Deps{Store: st, Kube: k}), deleted
}

func TestNothingIsDeletedByTheWordOfACache(t *testing.T) {
	role := func(mirrored string) store.Object {
		return &authv1.ClusterRole{Metadata: &metav1.ObjectMeta{Name: "a", Annotations: map[string]string{Annotation: mirrored}}}
	}
	account := &authv1.ServiceAccount{Metadata: &metav1.ObjectMeta{Namespace: "shop", Name: "a"}}
	tests := []struct {
		reason string
		of     store.Object
		stored store.Object
		away   bool
		want   int32
		fails  bool
	}{
		{reason: "a role that holds by the store's word stays", of: role("true"), stored: role("true")},
		{reason: "a role that does not ask to hold in the cluster goes", of: role("true"), stored: role("false"), want: 1},
		{reason: "a role that is gone goes", of: role("true"), want: 1},
		{reason: "a role stays while the store does not answer", of: role("true"), away: true, fails: true},
		{reason: "a service account that the store has stays", of: account, stored: account},
		{reason: "a service account that is gone goes", of: account, want: 1},
		{reason: "a service account stays while the store does not answer", of: account, stored: account, away: true, fails: true},
	}
	for _, test := range tests {
		t.Run(test.reason, func(t *testing.T) {
			m, deleted := behind(t)
			k, key := kindOf(t, test.of), store.Key{Namespace: test.of.GetMetadata().GetNamespace(), Name: "a"}
			if test.stored != nil {
				if _, err := m.deps.Store.Create(t.Context(), k, test.stored); err != nil {
					t.Fatal(err)
				}
			}
			owner := kube.Owner{Group: k.Group, Version: k.Version, Kind: k.Kind, Namespace: key.Namespace, Name: key.Name}
			meta := kmetav1.ObjectMeta{
				Namespace: key.Namespace, Name: "a", Labels: map[string]string{kube.LabelOwnerUID: "u1"},
				Annotations: map[string]string{kube.AnnotationOwner: owner.String()},
			}
			var there any = &rbacv1.ClusterRole{ObjectMeta: meta}
			var reconciler reconcile.Reconciler = &rights{mirror: m, kind: k}
			if test.of == store.Object(account) {
				there, reconciler = &corev1.ServiceAccount{ObjectMeta: meta}, &accounts{mirror: m, kind: k, objects: accountsOf(m)}
			}
			informer, err := m.deps.Kube.Informer(m.resource(k))
			if err != nil {
				t.Fatal(err)
			}
			if err := informer.GetIndexer().Add(there); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if test.away {
				cancel()
			}
			if _, err := reconciler.Reconcile(ctx, key); (err != nil) != test.fails {
				t.Errorf("error %v, want one: %t", err, test.fails)
			}
			if got := deleted.Load(); got != test.want {
				t.Errorf("%d objects were deleted in the cluster, want %d", got, test.want)
			}
		})
	}
}
