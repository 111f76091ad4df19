// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package gc_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/store/etcdtest"
	"fairlead.dev/services/internal/store/gc"
	"fairlead.dev/services/internal/store/storetest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// fixture is a store with a collector.
type fixture struct {
	*store.Store

	services, roles kinds.Kind
}

// open makes stores on one etcd, under a prefix of the test's own.
func open(t *testing.T, client *clientv3.Client) *fixture {
	t.Helper()
	s := storetest.StartOn(t, client, store.Options{Prefix: "/" + t.Name()})
	return &fixture{s, storetest.Services(t), storetest.ClusterRoles(t)}
}

func (f *fixture) collect(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- gc.Run(ctx, f.Store, kinds.All(), nil) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// service stores a service that these own. References block the deletion of the owner.
func (f *fixture) service(t *testing.T, name string, owners ...store.Object) store.Object {
	t.Helper()
	obj := storetest.Service("shop", name)
	for _, o := range owners {
		obj.Metadata.OwnerReferences = append(obj.Metadata.OwnerReferences, reference(t, o))
	}
	made, err := f.Create(t.Context(), f.services, obj)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func (f *fixture) role(t *testing.T, name string) store.Object {
	t.Helper()
	made, err := f.Create(t.Context(), f.roles, &authv1.ClusterRole{Metadata: &metav1.ObjectMeta{Name: name}})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func reference(t *testing.T, owner store.Object) *metav1.OwnerReference {
	t.Helper()
	k, ok := kinds.ByMessage(owner.ProtoReflect().Descriptor().FullName())
	if !ok {
		t.Fatalf("%T is no kind", owner)
	}
	block := true
	return &metav1.OwnerReference{
		ApiVersion: k.APIVersion(), Kind: k.Kind, Name: owner.GetMetadata().GetName(), Uid: owner.GetMetadata().GetUid(),
		BlockOwnerDeletion: &block,
	}
}

func (f *fixture) delete(t *testing.T, obj store.Object, propagation string) {
	t.Helper()
	k, _ := kinds.ByMessage(obj.ProtoReflect().Descriptor().FullName())
	if _, err := f.Delete(t.Context(), k, store.KeyOf(obj), store.DeleteOptions{Propagation: propagation}); err != nil {
		t.Fatal(err)
	}
}

// left waits until just these services are left.
func (f *fixture) left(t *testing.T, want ...string) {
	t.Helper()
	cache := f.Cache(f.services)
	storetest.Eventually(t, cache, fmt.Sprintf("only %v are left", want), func() bool {
		return slices.Equal(names(cache.List("", nil)), want)
	})
}

func names(objects []store.Object) []string {
	out := make([]string, 0, len(objects))
	for _, obj := range objects {
		out = append(out, obj.GetMetadata().GetName())
	}
	return out
}

func TestCollector(t *testing.T) {
	client := etcdtest.Start(t)
	tests := map[string]func(t *testing.T, f *fixture){
		"dependents go after their owner, and theirs after them": func(t *testing.T, f *fixture) {
			owner := f.service(t, "owner")
			child := f.service(t, "child", owner)
			f.service(t, "grandchild", child)
			f.service(t, "stranger")
			f.delete(t, owner, "")
			f.left(t, "stranger")
		},
		"one owner of two keeps a dependent": func(t *testing.T, f *fixture) {
			one, two := f.service(t, "one"), f.service(t, "two")
			f.service(t, "both", one, two)
			f.service(t, "first", one)
			f.delete(t, one, "")
			f.left(t, "both", "two")
			f.delete(t, two, "")
			f.left(t)
		},
		"an owner of the same name and another uid is another": func(t *testing.T, f *fixture) {
			was := f.service(t, "owner")
			f.delete(t, was, "")
			now := f.service(t, "owner")
			f.service(t, "late", was)
			f.service(t, "right", now)
			f.left(t, "owner", "right")
		},
		"an owner that never was": func(t *testing.T, f *fixture) {
			ghost := storetest.Service("shop", "ghost")
			ghost.Metadata.Uid = "none"
			f.service(t, "orphan", ghost)
			f.service(t, "stays")
			f.left(t, "stays")
		},
		"a cluster-scoped owner": func(t *testing.T, f *fixture) {
			owner := f.role(t, "owner")
			f.service(t, "child", owner)
			f.left(t, "child")
			f.delete(t, owner, "")
			f.left(t)
		},
		"owners of kinds that are not ours keep": func(t *testing.T, f *fixture) {
			owner := f.service(t, "owner")
			child := f.service(t, "child", owner)
			f.service(t, "other", owner)
			f.own(t, child, &metav1.OwnerReference{ApiVersion: "apps/v1", Kind: "ReplicaSet", Name: "x", Uid: "y"})
			f.delete(t, owner, "")
			f.left(t, "child")
		},
		"a reference that comes late": func(t *testing.T, f *fixture) {
			owner := f.service(t, "owner")
			child := f.service(t, "child")
			f.delete(t, owner, "")
			f.left(t, "child")
			f.own(t, child, reference(t, owner))
			f.left(t)
		},
		"finalizers of dependents are honoured": func(t *testing.T, f *fixture) {
			owner := f.service(t, "owner")
			child := f.service(t, "child", owner)
			f.change(t, child, func(m *metav1.ObjectMeta) { m.Finalizers = []string{"mine"} })
			f.delete(t, owner, "")
			cache := f.Cache(f.services)
			storetest.Eventually(t, cache, "child is being deleted", func() bool {
				obj, ok := cache.Get(store.KeyOf(child))
				return ok && obj.GetMetadata().GetDeletionTimestamp() != nil
			})
			f.change(t, child, func(m *metav1.ObjectMeta) { m.Finalizers = nil })
			f.left(t)
		},
		"foreground: dependents first": func(t *testing.T, f *fixture) {
			owner := f.service(t, "owner")
			child := f.service(t, "child", owner)
			f.service(t, "grandchild", child)
			f.change(t, child, func(m *metav1.ObjectMeta) { m.Finalizers = []string{"mine"} })
			f.delete(t, owner, store.Foreground)
			f.left(t, "child", "owner")
			f.change(t, child, func(m *metav1.ObjectMeta) { m.Finalizers = nil })
			f.left(t)
		},
		"foreground: a dependent with another owner lets go": func(t *testing.T, f *fixture) {
			one, two := f.service(t, "one"), f.service(t, "two")
			f.service(t, "both", one, two)
			f.delete(t, one, store.Foreground)
			f.left(t, "both", "two")
		},
		"foreground: nothing depends": func(t *testing.T, f *fixture) {
			f.delete(t, f.service(t, "owner"), store.Foreground)
			f.left(t)
		},
		"orphan: dependents stay": func(t *testing.T, f *fixture) {
			owner := f.service(t, "owner")
			child := f.service(t, "child", owner)
			f.delete(t, owner, store.Orphan)
			f.left(t, "child")
			got, err := f.Get(t.Context(), f.services, store.KeyOf(child))
			if err != nil || len(got.GetMetadata().GetOwnerReferences()) != 0 {
				t.Errorf("child: got %v and %v, want no owners", got, err)
			}
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := open(t, client)
			f.collect(t)
			test(t, f)
		})
	}
}

// TestCollectorStartsLate has owners go while nobody collects.
func TestCollectorStartsLate(t *testing.T) {
	f := open(t, etcdtest.Start(t))
	owner, leaving := f.service(t, "owner"), f.service(t, "leaving")
	f.service(t, "kept", owner)
	f.service(t, "lost", leaving)
	f.delete(t, leaving, "")
	f.collect(t)
	f.left(t, "kept", "owner")
}

// TestCollectorsSideBySide has two processes collect the same garbage.
func TestCollectorsSideBySide(t *testing.T) {
	client := etcdtest.Start(t)
	f, other := open(t, client), open(t, client)
	f.collect(t)
	other.collect(t)
	owner := f.service(t, "owner")
	for i := range 20 {
		f.service(t, fmt.Sprintf("child-%d", i), owner)
	}
	f.delete(t, owner, "")
	f.left(t)
}

func (f *fixture) own(t *testing.T, obj store.Object, ref *metav1.OwnerReference) {
	t.Helper()
	f.change(t, obj, func(m *metav1.ObjectMeta) { m.OwnerReferences = append(m.OwnerReferences, ref) })
}

func (f *fixture) change(t *testing.T, obj store.Object, fn func(*metav1.ObjectMeta)) {
	t.Helper()
	_, err := f.Update(t.Context(), f.services, store.KeyOf(obj), "", func(o store.Object) (store.Object, error) {
		fn(o.GetMetadata())
		return o, nil
	})
	if err != nil && !apierror.IsNotFound(err) {
		t.Fatal(err)
	}
}
