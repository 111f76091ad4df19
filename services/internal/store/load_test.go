// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/store/storetest"
)

const (
	// loadWriters is how many objects are written, each by one writer.
	loadWriters = 4
	// loadWatchers is how many watch all of them.
	loadWatchers = 3
	// stepPatience is how long everything has to move on once a fault is over.
	stepPatience = 3 * time.Minute
	// loadRest is the time between two calls of a writer or reader.
	loadRest = 2 * time.Millisecond
	// counter is the label that writers count up.
	counter = "n"
)

var errNotYet = errors.New("not yet")

// load is writers, readers and watchers on a store that is put under faults. No acknowledged write may be lost, no read may
// miss a write that was acknowledged before it, no watcher may miss the newest state, and nobody may be stuck.
type load struct {
	t      testing.TB
	store  *store.Store
	cancel context.CancelFunc
	wg     sync.WaitGroup
	// acknowledged is, for each writer, the newest count that was acknowledged, and tried the newest that was tried.
	acknowledged, tried [loadWriters]atomic.Int64
	reads               atomic.Int64
	failed              atomic.Int64
	seen                [loadWatchers]*mirror
}

// startLoad starts it until finish.
func startLoad(t testing.TB, s *store.Store) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{t: t, store: s, cancel: cancel}
	t.Cleanup(func() {
		cancel()
		l.wg.Wait()
	})
	for i := range loadWriters {
		create(t, s, "load", strconv.Itoa(i))
		l.wg.Go(func() { l.repeat(ctx, func() error { return l.write(ctx, i) }) })
	}
	l.wg.Go(func() { l.repeat(ctx, func() error { return l.read(ctx) }) })
	for i := range loadWatchers {
		l.seen[i] = &mirror{objects: map[string]string{}}
		l.wg.Go(func() { l.watch(ctx, l.seen[i]) })
	}
	return l
}

// repeat calls fn until ctx ends.
func (l *load) repeat(ctx context.Context, fn func() error) {
	ticker := time.NewTicker(loadRest)
	defer ticker.Stop()
	for {
		if err := fn(); err != nil && ctx.Err() == nil {
			l.failed.Add(1)
			l.expected(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// expected complains of errors that a fault of etcd does not explain.
func (l *load) expected(err error) {
	if !apierror.Is(err, apierror.ReasonServiceUnavailable) && !apierror.Is(err, apierror.ReasonTimeout) {
		l.t.Errorf("a call failed in a way that does not say that etcd is away: %v (%v)", err, errors.Unwrap(err))
	}
}

func (l *load) key(i int) store.Key { return store.Key{Namespace: "load", Name: strconv.Itoa(i)} }

// write counts an object up.
func (l *load) write(ctx context.Context, i int) error {
	n := l.tried[i].Add(1)
	_, err := l.store.Update(ctx, storetest.Services(l.t), l.key(i), "", func(o store.Object) (store.Object, error) {
		if was := count(o); was >= n || was < l.acknowledged[i].Load() {
			l.t.Errorf("object %d is at %d, but %d was acknowledged and %d is the next", i, was, l.acknowledged[i].Load(), n)
		}
		o.GetMetadata().Labels = map[string]string{counter: strconv.FormatInt(n, 10)}
		return o, nil
	})
	if err == nil {
		l.acknowledged[i].Store(n)
	}
	return err
}

// read reads and lists, and compares with what was acknowledged before.
func (l *load) read(ctx context.Context) error {
	k := storetest.Services(l.t)
	i := int(l.reads.Load()) % loadWriters
	least := l.acknowledged[i].Load()
	obj, err := l.store.Get(ctx, k, l.key(i))
	if err != nil {
		return err
	}
	if got := count(obj); got < least {
		l.t.Errorf("object %d is read at %d, but %d was acknowledged before", i, got, least)
	}
	least = l.acknowledged[i].Load()
	list, err := l.store.List(ctx, k, store.ListOptions{Namespace: "load"})
	if err != nil {
		return err
	}
	if len(list.Items) != loadWriters || count(list.Items[i]) < least {
		l.t.Errorf("a list has %d objects, and %d is at %d; %d was acknowledged before", len(list.Items), i, count(list.Items[i]), least)
	}
	l.reads.Add(1)
	return nil
}

// progress returns when every writer and the reader have done some more, and every watcher has seen it.
func (l *load) progress(when string) {
	l.t.Helper()
	const more = 5
	var want [loadWriters]int64
	for i := range want {
		want[i] = l.acknowledged[i].Load() + more
	}
	reads := l.reads.Load() + more
	ctx, cancel := context.WithTimeout(l.t.Context(), stepPatience)
	defer cancel()
	insist(ctx, l.t, when, func() error {
		for i := range want {
			if got := l.acknowledged[i].Load(); got < want[i] {
				return fmt.Errorf("writer %d is at %d of %d: %w", i, got, want[i], errNotYet)
			}
			for j, m := range l.seen {
				if got := m.count(l.key(i)); got < want[i] {
					return fmt.Errorf("watcher %d has seen %d of %d of writer %d: %w", j, got, want[i], i, errNotYet)
				}
			}
		}
		if got := l.reads.Load(); got < reads {
			return fmt.Errorf("%d of %d reads: %w", got, reads, errNotYet)
		}
		return nil
	})
}

// finish ends the load, and checks that nothing that was acknowledged is lost and that the watchers know the newest state.
func (l *load) finish() {
	l.t.Helper()
	end := create(l.t, l.store, "end", "end")
	ctx, cancel := context.WithTimeout(l.t.Context(), stepPatience)
	defer cancel()
	insist(ctx, l.t, "the watchers know the newest state", func() error {
		for i, m := range l.seen {
			if m.count(store.KeyOf(end)) < 0 {
				return fmt.Errorf("watcher %d: %w", i, errNotYet)
			}
		}
		return nil
	})
	l.cancel()
	l.wg.Wait()
	list, err := l.store.List(l.t.Context(), storetest.Services(l.t), store.ListOptions{})
	if err != nil {
		l.t.Fatal(err)
	}
	want := map[string]string{}
	for _, obj := range list.Items {
		want[store.KeyOf(obj).String()] = obj.GetMetadata().GetUid()
	}
	for i := range loadWriters {
		obj, err := l.store.Get(l.t.Context(), storetest.Services(l.t), l.key(i))
		if err != nil {
			l.t.Errorf("object %d: %v", i, err)
			continue
		}
		if got := count(obj); got < l.acknowledged[i].Load() || got > l.tried[i].Load() {
			l.t.Errorf("object %d is at %d, want from %d, the last acknowledged, to %d, the last tried", i, got, l.acknowledged[i].Load(), l.tried[i].Load())
		}
	}
	for i, m := range l.seen {
		if d := cmp.Diff(want, m.uids()); d != "" {
			l.t.Errorf("watcher %d (-list +seen):\n%s", i, d)
		}
	}
}

// mirror is the state that a watcher has put together.
type mirror struct {
	mu      sync.Mutex
	objects map[string]string
	counts  map[string]int64
	version string
}

func (m *mirror) take(ev store.EventOf[*servingv1.Service]) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.version = ev.Object.GetMetadata().GetResourceVersion()
	key := store.KeyOf(ev.Object).String()
	switch ev.Type {
	case store.Bookmark:
	case store.Deleted:
		delete(m.objects, key)
	default:
		m.objects[key] = ev.Object.GetMetadata().GetUid()
		m.counts[key] = count(ev.Object)
	}
}

// reset forgets everything.
func (m *mirror) reset() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.objects, m.counts, m.version = map[string]string{}, map[string]int64{}, ""
}

// count is how far the watcher has seen an object; -1 when it has not.
func (m *mirror) count(key store.Key) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.objects[key.String()]; !ok {
		return -1
	}
	return m.counts[key.String()]
}

func (m *mirror) uids() map[string]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.objects
}

// watch follows all objects, as a client does: it resumes where it was, and starts anew when that is no longer kept.
func (l *load) watch(ctx context.Context, m *mirror) {
	client := store.For[*servingv1.Service](l.store, storetest.Services(l.t))
	m.reset()
	l.repeat(ctx, func() error {
		w, err := client.Watch(ctx, store.WatchOptions{ResourceVersion: m.version, Bookmarks: true})
		if err == nil {
			for ev := range w.Events() {
				m.take(ev)
			}
			err = w.Err()
		}
		if apierror.Is(err, apierror.ReasonExpired) {
			m.reset()
			return nil
		}
		return err
	})
}

// count is what a writer has counted an object up to.
func count(obj store.Object) int64 {
	n, err := strconv.ParseInt(obj.GetMetadata().GetLabels()[counter], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func mustDelete(t testing.TB, s *store.Store, key store.Key) store.Object {
	t.Helper()
	obj, err := s.Delete(t.Context(), storetest.Services(t), key, store.DeleteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return obj
}

// createSome creates an object whose name does not matter.
func createSome(t testing.TB, s *store.Store, namespace string) *servingv1.Service {
	t.Helper()
	obj := storetest.Service(namespace, "")
	obj.Metadata.GenerateName = "some-"
	made, err := services(t, s).Create(t.Context(), obj)
	if err != nil {
		t.Fatal(err)
	}
	return made
}
