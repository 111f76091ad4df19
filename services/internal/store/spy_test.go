// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/apimachinery/pkg/fields"

	"fairlead.dev/services/internal/etcd"
	"fairlead.dev/services/internal/store"
)

// spy stands between a store and its client: it counts the calls, and holds answers back.
type spy struct {
	client *clientv3.Client
	// gets counts reads of the store's objects; questions counts reads of etcd's revision.
	gets, questions atomic.Int64
	// watches counts the watches of etcd.
	watches atomic.Int64
	// mute keeps questions how far the watch is from etcd.
	mute atomic.Bool

	mu sync.Mutex
	// lists holds back the answers to reads of many keys, and events those of watches, while they are not nil.
	lists, events chan struct{}
	// held yields one for each answer that is held back.
	held chan struct{}
}

func newSpy(t testing.TB, e *etcd.Embedded) *spy {
	t.Helper()
	s := &spy{client: dial(t, e), held: make(chan struct{}, 1000)}
	s.client.KV = &spyKV{KV: s.client.KV, spy: s}
	s.client.Watcher = &spyWatcher{Watcher: s.client.Watcher, spy: s}
	return s
}

// hold holds answers back until release is called.
func (s *spy) hold(what *chan struct{}) (release func()) {
	gate := make(chan struct{})
	s.mu.Lock()
	defer s.mu.Unlock()
	*what = gate
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		*what = nil
		close(gate)
	})
}

func (s *spy) wait(ctx context.Context, what *chan struct{}) {
	s.mu.Lock()
	gate := *what
	s.mu.Unlock()
	if gate == nil {
		return
	}
	select {
	case s.held <- struct{}{}:
	default:
	}
	select {
	case <-gate:
	case <-ctx.Done():
	}
}

type spyKV struct {
	clientv3.KV

	spy *spy
}

func (kv *spyKV) Get(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	op := clientv3.OpGet(key, opts...)
	switch {
	case strings.Contains(key, "/_"):
		kv.spy.questions.Add(1)
	default:
		kv.spy.gets.Add(1)
	}
	resp, err := kv.KV.Get(ctx, key, opts...)
	if len(op.RangeBytes()) > 0 {
		kv.spy.wait(ctx, &kv.spy.lists)
	}
	return resp, err
}

type spyWatcher struct {
	clientv3.Watcher

	spy *spy
}

func (w *spyWatcher) Watch(ctx context.Context, key string, opts ...clientv3.OpOption) clientv3.WatchChan {
	w.spy.watches.Add(1)
	in, out := w.Watcher.Watch(ctx, key, opts...), make(chan clientv3.WatchResponse)
	go func() {
		defer close(out)
		for resp := range in {
			w.spy.wait(ctx, &w.spy.events)
			select {
			case out <- resp:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

func (w *spyWatcher) RequestProgress(ctx context.Context) error {
	if w.spy.mute.Load() {
		return nil
	}
	return w.Watcher.RequestProgress(ctx)
}

func nameIs(obj store.Object) fields.Selector {
	return fields.OneTermEqualSelector("metadata.name", obj.GetMetadata().GetName())
}

func nameIsNot(name string) fields.Selector {
	return fields.OneTermNotEqualSelector("metadata.name", name)
}

// counted is the sum of a counter over its labels.
func counted(t testing.TB, g prometheus.Gatherer, name string) float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}
