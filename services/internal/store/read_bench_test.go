// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/proto"

	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/store/etcdtest"
	"fairlead.dev/services/internal/store/storetest"
)

const shop = "shop"

// seed writes n typical services straight to etcd under the prefix of a store, as the store would, and returns the revision.
func seed(t testing.TB, client *clientv3.Client, prefix string, n int) int64 {
	t.Helper()
	const batch = 100
	var revision int64
	for from := 0; from < n; from += batch {
		ops := make([]clientv3.Op, 0, batch)
		for i := from; i < min(from+batch, n); i++ {
			svc := storetest.TypicalService(shop, numbered(i))
			svc.Metadata.Uid, svc.Metadata.Generation = fmt.Sprintf("00000000-0000-4000-8000-%012d", i), 1
			value, err := proto.Marshal(svc)
			if err != nil {
				t.Fatal(err)
			}
			ops = append(ops, clientv3.OpPut(prefix+"/serving.knative.dev/services/"+shop+"/"+numbered(i), string(value)))
		}
		resp, err := client.Txn(t.Context()).Then(ops...).Commit()
		if err != nil {
			t.Fatal(err)
		}
		revision = resp.Header.Revision
	}
	return revision
}

func numbered(i int) string { return fmt.Sprintf("web-%06d", i) }

// seeded runs a store over n typical services, with its cache filled.
func seeded(b *testing.B, n int) (*store.Store, *clientv3.Client) {
	b.Helper()
	client := etcdtest.Start(b)
	revision := seed(b, client, "/fairlead", n)
	s := storetest.StartOn(b, client, store.Options{})
	if err := s.Cache(storetest.Services(b)).WaitVersion(b.Context(), fmt.Sprint(revision)); err != nil {
		b.Fatal(err)
	}
	return s, client
}

// BenchmarkGet measures linearizable reads of one object by many clients, beside what etcd alone takes for them.
func BenchmarkGet(b *testing.B) {
	const n = 1000
	s, client := seeded(b, n)
	kind := storetest.Services(b)
	names := make(chan string, 4096)
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	go func() {
		for i := 0; ; i++ {
			select {
			case names <- numbered(i % n):
			case <-ctx.Done():
				return
			}
		}
	}()
	reads := map[string]func() error{
		"raw etcd": func() error {
			resp, err := client.Get(b.Context(), "/fairlead/serving.knative.dev/services/shop/"+<-names)
			if err == nil && len(resp.Kvs) == 0 {
				err = errors.New("not found")
			}
			return err
		},
		"store, a copy": func() error {
			_, err := s.Get(b.Context(), kind, store.Key{Namespace: shop, Name: <-names})
			return err
		},
		"store, encoded": func() error {
			item, err := s.GetItem(b.Context(), kind, store.Key{Namespace: shop, Name: <-names}, "")
			if err == nil && len(item.Encoded()) == 0 {
				err = errors.New("empty")
			}
			return err
		},
	}
	for _, clients := range []int{1, 32} {
		for _, name := range []string{"raw etcd", "store, a copy", "store, encoded"} {
			b.Run(fmt.Sprintf("clients=%d/%s", clients, name), func(b *testing.B) { sideBySide(b, clients, reads[name]) })
		}
	}
}

// BenchmarkList measures a linearizable list of 5,000 objects, 8 MB in JSON, beside a range of etcd's.
func BenchmarkList(b *testing.B) {
	const n = 5000
	s, client := seeded(b, n)
	kind := storetest.Services(b)
	lists := map[string]func() (int, error){
		"raw etcd": func() (int, error) {
			resp, err := client.Get(b.Context(), "/fairlead/serving.knative.dev/services/", clientv3.WithPrefix())
			if err != nil {
				return 0, err
			}
			return len(resp.Kvs), nil
		},
		"store, copies": func() (int, error) {
			list, err := s.List(b.Context(), kind, store.ListOptions{})
			if err != nil {
				return 0, err
			}
			return len(list.Items), nil
		},
		"store, encoded": func() (int, error) {
			list, err := s.ListItems(b.Context(), kind, store.ListOptions{})
			if err != nil {
				return 0, err
			}
			var out bytes.Buffer
			for _, item := range list.Items {
				out.Write(item.Encoded())
			}
			return len(list.Items), nil
		},
		"cache, shared objects": func() (int, error) {
			return len(s.Cache(kind).List("", nil)), nil
		},
		"store, encoded, in pages of 500": func() (int, error) {
			total := 0
			for o := (store.ListOptions{Limit: 500}); ; {
				list, err := s.ListItems(b.Context(), kind, o)
				if err != nil {
					return 0, err
				}
				total += len(list.Items)
				if o.Continue = list.Continue; o.Continue == "" {
					return total, nil
				}
			}
		},
	}
	for _, name := range []string{"raw etcd", "store, copies", "store, encoded", "store, encoded, in pages of 500", "cache, shared objects"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			busy := cpuTime(b)
			for b.Loop() {
				if got, err := lists[name](); err != nil || got != n {
					b.Fatal(got, err)
				}
			}
			b.ReportMetric(float64((cpuTime(b)-busy).Microseconds())/1000/float64(b.N), "cpu-ms/op")
		})
	}
}

// BenchmarkWatchLatency measures the time from when a write is sent to when a watcher has it, over all watchers, while many
// clients write; beside a watch of etcd's.
func BenchmarkWatchLatency(b *testing.B) {
	const writers = 32
	b.Run("raw etcd, watchers=1", func(b *testing.B) {
		client := etcdtest.Start(b)
		l := newLatencies(b)
		ctx, cancel := context.WithCancel(b.Context())
		defer cancel()
		watch := client.Watch(ctx, "/raw/", clientv3.WithPrefix(), clientv3.WithCreatedNotify())
		<-watch
		done := make(chan struct{})
		go func() {
			defer close(done)
			for seen := 0; seen < b.N; {
				for _, ev := range (<-watch).Events {
					l.seen(string(ev.Kv.Key[len("/raw/"):]))
					seen++
				}
			}
		}()
		value, err := proto.Marshal(storetest.TypicalService(shop, "web"))
		if err != nil {
			b.Fatal(err)
		}
		l.write(writers, func(name string) error {
			_, err := client.Put(b.Context(), "/raw/"+name, string(value))
			return err
		})
		<-done
		l.report()
	})
	for _, watchers := range []int{1, 100} {
		b.Run(fmt.Sprintf("store, watchers=%d", watchers), func(b *testing.B) {
			s := storetest.StartOn(b, etcdtest.Start(b), store.Options{ChangeLogEvents: 1 << 17, ChangeLogBytes: 1 << 30})
			l := newLatencies(b)
			var wg sync.WaitGroup
			for range watchers {
				w := watch(b, s, store.WatchOptions{})
				wg.Go(func() {
					for range b.N {
						ev, ok := <-w.Events()
						if !ok {
							b.Error(w.Err())
							return
						}
						l.seen(ev.Object.GetMetadata().GetName())
					}
				})
			}
			l.write(writers, func(name string) error {
				_, err := s.Create(b.Context(), storetest.Services(b), storetest.TypicalService(shop, name))
				return err
			})
			wg.Wait()
			l.report()
		})
	}
}

// latencies measures from write to watcher.
type latencies struct {
	b     *testing.B
	start time.Time
	busy  time.Duration
	sent  sync.Map

	mu  sync.Mutex
	all []time.Duration
}

func newLatencies(b *testing.B) *latencies { b.Helper(); return &latencies{b: b} }

func (l *latencies) seen(name string) {
	sent, ok := l.sent.Load(name)
	if !ok {
		return
	}
	took := time.Since(sent.(time.Time))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, took)
}

func (l *latencies) write(writers int, op func(name string) error) {
	l.b.ResetTimer()
	l.start, l.busy = time.Now(), cpuTime(l.b)
	next := make(chan int)
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for i := range next {
				l.sent.Store(numbered(i), time.Now())
				if err := op(numbered(i)); err != nil {
					l.b.Error(err)
				}
			}
		})
	}
	for i := range l.b.N {
		next <- i
	}
	close(next)
	wg.Wait()
	l.b.ReportMetric(float64(l.b.N)/time.Since(l.start).Seconds(), "writes/s")
}

func (l *latencies) report() {
	slices.Sort(l.all)
	if len(l.all) == 0 {
		return
	}
	l.b.ReportMetric(float64((cpuTime(l.b)-l.busy).Microseconds())/float64(l.b.N), "cpu-µs/op")
	l.b.ReportMetric(float64(l.all[len(l.all)/2].Microseconds())/1000, "ms-p50")
	l.b.ReportMetric(float64(l.all[len(l.all)*99/100].Microseconds())/1000, "ms-p99")
}

// BenchmarkFill measures how long a cache takes to hold 50,000 objects, and how much memory they take in it.
func BenchmarkFill(b *testing.B) {
	const n = 50_000
	client := etcdtest.Start(b)
	revision := fmt.Sprint(seed(b, client, "/fairlead", n))
	kind := storetest.Services(b)
	for b.Loop() {
		before := heap()
		s, err := store.New(client, store.Options{CompactionInterval: -1})
		if err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithCancel(b.Context())
		done := make(chan error, 1)
		start := time.Now()
		go func() { done <- s.Run(ctx) }()
		if err := s.Cache(kind).WaitVersion(ctx, revision); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(time.Since(start).Seconds(), "s-to-filled")
		b.ReportMetric(float64(heap()-before)/n, "B/object")
		runtime.KeepAlive(s)
		cancel()
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkGetAmongInternalWrites measures linearizable reads while nothing is written but keys that are no objects, such as
// leases: no event takes the cache on.
func BenchmarkGetAmongInternalWrites(b *testing.B) {
	s, client := seeded(b, 100)
	kind := storetest.Services(b)
	ctx, cancel := context.WithCancel(b.Context())
	var writer sync.WaitGroup
	defer writer.Wait()
	defer cancel()
	writer.Go(func() {
		for ctx.Err() == nil {
			_, _ = client.Put(ctx, "/fairlead/_leases/x", "y")
		}
	})
	for _, clients := range []int{1, 32} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			sideBySide(b, clients, func() error {
				_, err := s.GetItem(b.Context(), kind, store.Key{Namespace: shop, Name: numbered(1)}, "")
				return err
			})
		})
	}
}
