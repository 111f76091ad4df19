// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/proto"

	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/store/etcdtest"
	"fairlead.dev/services/internal/store/storetest"
)

// BenchmarkCreate measures creations by one client and by many, each beside what etcd alone takes for a put of as many
// bytes, and for a put that first compares. All wait for the disk.
func BenchmarkCreate(b *testing.B) {
	e := etcdtest.StartEmbedded(b, b.TempDir())
	client := e.Client()
	s := storetest.StartOn(b, client, store.Options{})
	obj := storetest.Service("shop", "", "app=shop", "text="+strings.Repeat("x", 900))
	value, err := proto.Marshal(obj)
	if err != nil {
		b.Fatal(err)
	}
	var n atomic.Int64
	put := func() error {
		_, err := client.Put(b.Context(), fmt.Sprintf("/raw/%d", n.Add(1)), string(value))
		return err
	}
	compared := func() error {
		key := fmt.Sprintf("/raw/%d", n.Add(1))
		_, err := client.Txn(b.Context()).If(clientv3.Compare(clientv3.ModRevision(key), "=", 0)).Then(clientv3.OpPut(key, string(value))).Commit()
		return err
	}
	create := func() error {
		o := storetest.Service("shop", fmt.Sprintf("n%d", n.Add(1)))
		o.Metadata.Labels = obj.GetMetadata().GetLabels()
		_, err := s.Create(b.Context(), storetest.Services(b), o)
		return err
	}
	for _, clients := range []int{1, 32} {
		b.Run(fmt.Sprintf("clients=%d/raw etcd put", clients), func(b *testing.B) { sideBySide(b, clients, put) })
		b.Run(fmt.Sprintf("clients=%d/raw etcd compared put", clients), func(b *testing.B) { sideBySide(b, clients, compared) })
		b.Run(fmt.Sprintf("clients=%d/store create", clients), func(b *testing.B) { sideBySide(b, clients, create) })
	}
}

// sideBySide runs op b.N times, by so many clients at once.
func sideBySide(b *testing.B, clients int, op func() error) {
	b.Helper()
	b.ReportAllocs()
	var next atomic.Int64
	errs := make(chan error, clients)
	start, busy := time.Now(), cpuTime(b)
	for range clients {
		go func() {
			for next.Add(1) <= int64(b.N) {
				if err := op(); err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	for range clients {
		if err := <-errs; err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "ops/s")
	b.ReportMetric(float64((cpuTime(b)-busy).Microseconds())/float64(b.N), "cpu-µs/op")
}

// cpuTime is what this process has had of the processors, which tells more than the time where others work beside.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkUpdate measures the change of a label of one object.
func BenchmarkUpdate(b *testing.B) {
	s := storetest.Start(b)
	key := store.KeyOf(create(b, s, "a", "1"))
	for i := 0; b.Loop(); i++ {
		if _, err := s.Update(b.Context(), storetest.Services(b), key, "", func(o store.Object) (store.Object, error) {
			o.GetMetadata().Labels = map[string]string{"i": fmt.Sprint(i)}
			return o, nil
		}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkWatchers measures how long a write takes to reach all of a thousand watchers.
func BenchmarkWatchers(b *testing.B) {
	s := storetest.Start(b)
	const n = 1000
	got := make(chan struct{}, n)
	for range n {
		w := watch(b, s, store.WatchOptions{})
		go func() {
			for range w.Events() {
				got <- struct{}{}
			}
		}()
	}
	for i := 0; b.Loop(); i++ {
		create(b, s, "a", fmt.Sprint(i))
		for range n {
			<-got
		}
	}
}

// BenchmarkCacheGet measures a read from memory.
func BenchmarkCacheGet(b *testing.B) {
	s := storetest.Start(b)
	made := create(b, s, "a", "1")
	waitVersion(b, s, made)
	cache := s.Cache(storetest.Services(b))
	key := store.KeyOf(made)
	for b.Loop() {
		if _, ok := cache.Get(key); !ok {
			b.Fatal("it is gone")
		}
	}
}
