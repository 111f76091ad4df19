// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/etcd"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/store/etcdtest"
	"fairlead.dev/services/internal/store/storetest"
)

func newRole(name string) *authv1.ClusterRole {
	return &authv1.ClusterRole{Metadata: &metav1.ObjectMeta{Name: name}}
}

// quietClient connects to an address without a word in the log.
func quietClient(t testing.TB, endpoints ...string) *clientv3.Client {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: endpoints, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

func TestWithoutEtcd(t *testing.T) {
	s, err := store.New(quietClient(t, "http://127.0.0.1:1"), store.Options{RequestTimeout: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	calls := map[string]func(context.Context) error{
		"ready": s.Ready,
		"get": func(ctx context.Context) error {
			_, err := s.Get(ctx, storetest.Services(t), store.Key{Namespace: "a", Name: "1"})
			return err
		},
		"list": func(ctx context.Context) error {
			_, err := s.List(ctx, storetest.Services(t), store.ListOptions{})
			return err
		},
		"create": func(ctx context.Context) error {
			_, err := s.Create(ctx, storetest.Services(t), storetest.Service("a", "1"))
			return err
		},
		"delete": func(ctx context.Context) error {
			_, err := s.Delete(ctx, storetest.Services(t), store.Key{Namespace: "a", Name: "1"}, store.DeleteOptions{})
			return err
		},
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			err := call(t.Context())
			if !apierror.Is(err, apierror.ReasonServiceUnavailable) || !strings.Contains(err.Error(), "http://127.0.0.1:1") {
				t.Errorf("got %v, want ServiceUnavailable that names the address", err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			if err := call(ctx); !apierror.Is(err, apierror.ReasonTimeout) {
				t.Errorf("with a deadline of the caller's: got %v, want Timeout", err)
			}
		})
	}
}

// TestEtcdRestart has etcd go and come back under a store that runs.
func TestEtcdRestart(t *testing.T) {
	dir := t.TempDir()
	e, err := etcd.StartEmbedded(t.Context(), etcd.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	line := etcdtest.NewProxy(t, e.Endpoints()[0])
	s := storetest.StartOn(t, quietClient(t, line.Endpoint()), store.Options{})
	create(t, s, "a", "before")
	w := watch(t, s, store.WatchOptions{})
	if read(t, w) == nil {
		t.Fatal(w.Err())
	}
	line.Cut()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Ready(shortly(t)); err == nil {
		t.Error("the store is ready without etcd")
	}
	etcdtest.StartEmbedded(t, dir)
	line.Restore()
	made := create(t, s, "a", "after")
	if ev := read(t, w); ev == nil || ev.Object.GetMetadata().GetName() != "after" {
		t.Errorf("the watch tells %v (%v), want what was written after the restart", ev, w.Err())
	}
	waitVersion(t, s, made)
	line.Cut()
}

// TestGapInTheWatch has etcd compact what a cache has not seen: it lists again, its subscribers are told of the differences,
// and its watchers have to list.
func TestGapInTheWatch(t *testing.T) {
	e := etcdtest.StartEmbedded(t, t.TempDir())
	line := etcdtest.NewProxy(t, e.Endpoints()[0])
	near := storetest.StartOn(t, e.Client(), store.Options{})
	far := storetest.StartOn(t, quietClient(t, line.Endpoint()), store.Options{})
	create(t, near, "a", "goes")
	create(t, near, "a", "changes")
	waitVersion(t, far, create(t, near, "a", "stays"))
	w := watch(t, far, store.WatchOptions{})
	events := make(chan string, 10)
	defer far.Cache(storetest.Services(t)).Subscribe(func(ev store.Event) {
		events <- string(ev.Type) + " " + ev.Object.GetMetadata().GetName()
	})()
	for range 3 {
		read(t, w)
		<-events
	}

	line.Cut()
	if _, err := services(t, near).Delete(t.Context(), store.Key{Namespace: "a", Name: "goes"}, store.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	changed := storetest.Service("a", "changes", "x=y")
	if _, err := services(t, near).Update(t.Context(), store.KeyOf(changed), "", func(*servingv1.Service) (*servingv1.Service, error) {
		return changed, nil
	}); err != nil {
		t.Fatal(err)
	}
	compact(t, e.Client(), create(t, near, "a", "comes"))
	line.Restore()

	got := map[string]bool{}
	for range 3 {
		select {
		case ev := <-events:
			got[ev] = true
		case <-time.After(patience):
			t.Fatalf("subscribers heard %v", got)
		}
	}
	if d := cmp.Diff(map[string]bool{"DELETED goes": true, "MODIFIED changes": true, "ADDED comes": true}, got); d != "" {
		t.Errorf("subscribers heard (-want +got):\n%s", d)
	}
	readToEnd(t, w)
	if err := w.Err(); !apierror.Is(err, apierror.ReasonExpired) {
		t.Errorf("the watcher ended with %v, want Expired", err)
	}
	line.Cut()
}

func shortly(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}
