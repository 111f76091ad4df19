// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/etcd"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/store/etcdtest"
	"fairlead.dev/services/internal/store/storetest"
)

func TestOneWatchOfEtcdFeedsAllKinds(t *testing.T) {
	e := etcdtest.StartEmbedded(t, t.TempDir())
	spied := newSpy(t, e)
	s := storetest.StartOn(t, spied.client, store.Options{})
	waitVersion(t, s, create(t, s, "a", "1"))
	roles := s.Cache(storetest.ClusterRoles(t))
	if err := roles.WaitSynced(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := spied.watches.Load(); n != 1 {
		t.Errorf("%d watches of etcd, want one for all kinds", n)
	}
	// A write of one kind takes the cache of another on, and no answer to how far etcd is need come.
	spied.mute.Store(true)
	made := create(t, s, "a", "2")
	waitVersion(t, s, made)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := roles.WaitVersion(ctx, made.GetMetadata().GetResourceVersion()); err != nil {
		t.Fatal(err)
	}
}

func TestInternalKeysAreNoObjects(t *testing.T) {
	e := etcdtest.StartEmbedded(t, t.TempDir())
	s := storetest.StartOn(t, e.Client(), store.Options{})
	cache := s.Cache(storetest.Services(t))
	waitVersion(t, s, create(t, s, "a", "1"))
	var last int64
	for _, key := range []string{
		"/fairlead/_history/serving.knative.dev/services/a/1/uid/00000000000000000001", "/fairlead/_store/compaction",
		"/fairlead/_leases/x", "/fairlead/_", "/fairlead/serving.knative.dev", "/fairlead/serving.knative.dev/", "/fairlead/",
		"/fairlead/serving.knative.dev/others/a/2", "/fairleads/serving.knative.dev/services/a/2",
	} {
		resp, err := e.Client().Put(t.Context(), key, "no object")
		if err != nil {
			t.Fatal(err)
		}
		last = resp.Header.Revision
	}
	if err := cache.WaitVersion(t.Context(), strconv.FormatInt(last, 10)); err != nil {
		t.Fatal(err)
	}
	list, err := services(t, s).List(t.Context(), store.ListOptions{})
	if err != nil || len(list.Items) != 1 {
		t.Errorf("got %d objects (%v), want the one that is stored", len(list.Items), err)
	}
}

// TestCacheBegunAmongWrites has a cache list its objects while they change: what the list does not have comes by the feed.
func TestCacheBegunAmongWrites(t *testing.T) {
	e := etcdtest.StartEmbedded(t, t.TempDir())
	near := storetest.StartOn(t, e.Client(), store.Options{})
	for _, name := range []string{"stays", "changes", "goes"} {
		create(t, near, "a", name)
	}
	spied := newSpy(t, e)
	s := storetest.StartOn(t, spied.client, store.Options{})
	if err := s.Cache(storetest.ClusterRoles(t)).WaitSynced(t.Context()); err != nil { // the feed runs
		t.Fatal(err)
	}
	release := spied.hold(&spied.lists)
	defer release()
	cache := s.Cache(storetest.Services(t))
	<-spied.held
	create(t, near, "a", "comes")
	if _, err := services(t, near).Delete(t.Context(), store.Key{Namespace: "a", Name: "goes"}, store.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	changed := update(t, near, "a", "changes", "x=y")
	// The feed passes the changes on while the cache still lists.
	if err := s.Cache(storetest.ClusterRoles(t)).WaitVersion(t.Context(), changed.GetMetadata().GetResourceVersion()); err != nil {
		t.Fatal(err)
	}
	release()
	waitVersion(t, s, changed)
	got := map[string]string{}
	for _, obj := range cache.List("", nil) {
		got[obj.GetMetadata().GetName()] = fmt.Sprint(obj.GetMetadata().GetLabels())
	}
	if d := cmp.Diff(map[string]string{"stays": "map[]", "changes": "map[x:y]", "comes": "map[]"}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestCachesBegunAmongManyWrites begins caches, and has watchers follow them, while many clients write.
func TestCachesBegunAmongManyWrites(t *testing.T) {
	client := etcdtest.Start(t)
	writer := storetest.StartOn(t, client, store.Options{})
	stop := make(chan struct{})
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				key := store.Key{Namespace: "a", Name: strconv.Itoa((i*7 + w) % 50)}
				_, err := services(t, writer).Create(t.Context(), storetest.Service(key.Namespace, key.Name))
				if apierror.IsAlreadyExists(err) {
					_, err = services(t, writer).Delete(t.Context(), key, store.DeleteOptions{})
				}
				if err != nil && !apierror.IsNotFound(err) {
					t.Error(err)
					return
				}
			}
		})
	}
	stores := make([]*store.Store, 8)
	for i := range stores {
		stores[i] = storetest.StartOn(t, client, store.Options{})
		if _, err := services(t, stores[i]).List(t.Context(), store.ListOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := stores[i].Cache(storetest.Services(t)).WaitSynced(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	writers.Wait()
	want, err := services(t, writer).List(t.Context(), store.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range stores {
		got, err := services(t, s).List(t.Context(), store.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want.Items, got.Items, protocmp.Transform()); d != "" {
			t.Errorf("store %d (-want +got):\n%s", i, d)
		}
	}
}

// TestEtcdReplaced has etcd come back without its data: what the caches have is no more.
func TestEtcdReplaced(t *testing.T) {
	dir := t.TempDir()
	e, err := etcd.StartEmbedded(t.Context(), etcd.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	line := etcdtest.NewProxy(t, e.Endpoints()[0])
	s := storetest.StartOn(t, quietClient(t, line.Endpoint()), store.Options{})
	for i := range 10 {
		waitVersion(t, s, create(t, s, "a", strconv.Itoa(i)))
	}
	w := watch(t, s, store.WatchOptions{})
	line.Cut()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "member")); err != nil {
		t.Fatal(err)
	}
	e = etcdtest.StartEmbedded(t, dir)
	create(t, storetest.StartOn(t, e.Client(), store.Options{}), "a", "new")
	line.Restore()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		list, err := services(t, s).List(ctx, store.ListOptions{})
		if err == nil && len(list.Items) == 1 && list.Items[0].GetMetadata().GetName() == "new" {
			break
		}
		if ctx.Err() != nil {
			t.Fatalf("the store still has what was before: %v", err)
		}
	}
	readToEnd(t, w)
	if err := w.Err(); !apierror.Is(err, apierror.ReasonExpired) {
		t.Errorf("the watch of what was before ended with %v, want Expired", err)
	}
	line.Cut()
}

// TestUnreadableObject has something in etcd that is no object: reads say so, and do not pass over it.
func TestUnreadableObject(t *testing.T) {
	client := etcdtest.Start(t)
	s := storetest.StartOn(t, client, store.Options{})
	waitVersion(t, s, create(t, s, "a", "good"))
	const key = "/fairlead/serving.knative.dev/services/a/bad"
	put, err := client.Put(t.Context(), key, "\xff\xff")
	if err != nil {
		t.Fatal(err)
	}
	fresh := storetest.StartOn(t, client, store.Options{})
	for name, s := range map[string]*store.Store{"by the feed": s, "by a list": fresh} {
		if err := s.Cache(storetest.Services(t)).WaitVersion(t.Context(), strconv.FormatInt(put.Header.Revision, 10)); err != nil {
			t.Fatal(err)
		}
		if _, err := services(t, s).Get(t.Context(), store.Key{Namespace: "a", Name: "bad"}); !apierror.Is(err, apierror.ReasonInternalError) {
			t.Errorf("%s: get: got %v, want InternalError", name, err)
		}
		if _, err := services(t, s).List(t.Context(), store.ListOptions{}); !apierror.Is(err, apierror.ReasonInternalError) {
			t.Errorf("%s: list: got %v, want InternalError", name, err)
		}
		if _, err := services(t, s).Get(t.Context(), store.Key{Namespace: "a", Name: "good"}); err != nil {
			t.Errorf("%s: get of another: %v", name, err)
		}
	}
	if _, err := client.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]*store.Store{"by the feed": s, "by a list": fresh} {
		if list, err := services(t, s).List(t.Context(), store.ListOptions{}); err != nil || len(list.Items) != 1 {
			t.Errorf("%s: list once it is gone: %v", name, err)
		}
	}
}

// update sets the labels of a service.
func update(t testing.TB, s *store.Store, namespace, name string, labels ...string) *servingv1.Service {
	t.Helper()
	next := storetest.Service(namespace, name, labels...)
	got, err := services(t, s).Update(t.Context(), store.KeyOf(next), "", func(*servingv1.Service) (*servingv1.Service, error) {
		return storetest.Service(namespace, name, labels...), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}
