// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/store"
)

// patience is how long the suite waits for what must happen.
const patience = 2 * time.Minute

// Run runs the suite. open returns a store that runs and holds nothing, for each test anew.
func Run(t *testing.T, open func(t *testing.T) *store.Store) {
	t.Helper()
	for _, group := range []map[string]func(*testing.T, *store.Store){
		writeTests(), deleteTests(), listTests(), watchTests(), cacheTests(), modelTests(),
		generationTests(), transactionTests(), ttlTests(),
	} {
		for _, name := range slices.Sorted(maps.Keys(group)) {
			t.Run(name, func(t *testing.T) { group[name](t, open(t)) })
		}
	}
}

// Services is the namespaced kind that the suite works with.
func Services(t testing.TB) kinds.Kind {
	t.Helper()
	return kindOf(t, &servingv1.Service{})
}

// ClusterRoles is the cluster-scoped kind that the suite works with.
func ClusterRoles(t testing.TB) kinds.Kind {
	t.Helper()
	return kindOf(t, &authv1.ClusterRole{})
}

func kindOf(t testing.TB, obj store.Object) kinds.Kind {
	t.Helper()
	k, ok := kinds.ByMessage(obj.ProtoReflect().Descriptor().FullName())
	if !ok {
		t.Fatalf("%T is no kind", obj)
	}
	return k
}

// Service makes a service with labels given as `key=value`.
func Service(namespace, name string, labels ...string) *servingv1.Service {
	m := &metav1.ObjectMeta{Namespace: namespace, Name: name}
	for _, l := range labels {
		k, v, _ := strings.Cut(l, "=")
		if m.Labels == nil {
			m.Labels = map[string]string{}
		}
		m.Labels[k] = v
	}
	return &servingv1.Service{Metadata: m}
}

func services(t testing.TB, s *store.Store) store.Client[*servingv1.Service] {
	t.Helper()
	return store.For[*servingv1.Service](s, Services(t))
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// create stores services of these names, `namespace/name`, and returns them.
func create(t testing.TB, s *store.Store, names ...string) []*servingv1.Service {
	t.Helper()
	out := make([]*servingv1.Service, 0, len(names))
	for _, n := range names {
		namespace, name, _ := strings.Cut(n, "/")
		out = append(out, must[*servingv1.Service](t)(services(t, s).Create(t.Context(), Service(namespace, name))))
	}
	return out
}

// relabel sets the labels of a service.
func relabel(t testing.TB, s *store.Store, key store.Key, labels ...string) *servingv1.Service {
	t.Helper()
	return must[*servingv1.Service](t)(services(t, s).Update(t.Context(), key, "", func(svc *servingv1.Service) (*servingv1.Service, error) {
		svc.Metadata.Labels = Service("", "", labels...).GetMetadata().GetLabels()
		return svc, nil
	}))
}

func wantReason(t testing.TB, err error, reason apierror.Reason) {
	t.Helper()
	if !apierror.Is(err, reason) {
		t.Errorf("error: got %v, want reason %s", err, reason)
	}
}

func names[T store.Object](objects []T) []string {
	out := make([]string, 0, len(objects))
	for _, obj := range objects {
		out = append(out, store.KeyOf(obj).String())
	}
	return out
}

// show is an event in a line: its type, its object, and the object's version.
func show[T store.Object](ev store.EventOf[T]) string {
	m := ev.Object.GetMetadata()
	if ev.Type == store.Bookmark {
		return fmt.Sprintf("%s %s", ev.Type, strings.Join(slices.Sorted(maps.Keys(m.GetAnnotations())), ","))
	}
	return fmt.Sprintf("%s %s", ev.Type, store.KeyOf(ev.Object))
}

// next returns the next n events of a watch, as lines.
func next[T store.Object](t testing.TB, w *store.WatcherOf[T], n int) []string {
	t.Helper()
	out := make([]string, 0, n)
	for _, ev := range nextEvents(t, w, n) {
		out = append(out, show(ev))
	}
	return out
}

func nextEvents[T store.Object](t testing.TB, w *store.WatcherOf[T], n int) []store.EventOf[T] {
	t.Helper()
	var out []store.EventOf[T]
	limit := time.After(patience)
	for len(out) < n {
		select {
		case ev, ok := <-w.Events():
			if !ok {
				t.Fatalf("the watch ended after %d of %d events: %v", len(out), n, w.Err())
			}
			out = append(out, ev)
		case <-limit:
			t.Fatalf("%d of %d events came: %v", len(out), n, out)
		}
	}
	return out
}

// ended reads a watch until it ends, and returns why it did.
func ended[T store.Object](t testing.TB, w *store.WatcherOf[T]) error {
	t.Helper()
	limit := time.After(patience)
	for {
		select {
		case _, ok := <-w.Events():
			if !ok {
				return w.Err()
			}
		case <-limit:
			t.Fatal("the watch does not end")
		}
	}
}

// startWatch starts a watch of services that ends with the test.
func startWatch(t testing.TB, s *store.Store, o store.WatchOptions) *store.WatcherOf[*servingv1.Service] {
	t.Helper()
	w := must[*store.WatcherOf[*servingv1.Service]](t)(services(t, s).Watch(t.Context(), o))
	t.Cleanup(w.Stop)
	return w
}

// Eventually waits until a cache shows what is wanted: it checks after each of the cache's events.
func Eventually(t testing.TB, c *store.Cache, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	changed := make(chan struct{}, 1)
	defer c.Subscribe(func(store.Event) {
		select {
		case changed <- struct{}{}:
		default:
		}
	})()
	for !done() {
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("%s: it did not happen within %s", what, patience)
		}
	}
}

func revisionOf(t testing.TB, obj store.Object) int64 {
	t.Helper()
	return must[int64](t)(strconv.ParseInt(obj.GetMetadata().GetResourceVersion(), 10, 64))
}
