// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// quiet is an etcd in which nothing is written but keys that are no objects: it answers questions, a moment later, and has no
// events.
type quiet struct {
	clientv3.KV
	clientv3.Watcher

	revision atomic.Int64
	answers  chan clientv3.WatchResponse
	from, to string
}

// moment is how long answers take.
const moment = 100 * time.Microsecond

func (q *quiet) header() *etcdserverpb.ResponseHeader {
	return &etcdserverpb.ResponseHeader{Revision: q.revision.Load()}
}

func (q *quiet) Get(context.Context, string, ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	return &clientv3.GetResponse{Header: q.header()}, nil
}

func (q *quiet) Watch(ctx context.Context, key string, opts ...clientv3.OpOption) clientv3.WatchChan {
	op := clientv3.OpGet(key, opts...)
	q.from, q.to = key, string(op.RangeBytes())
	q.answers <- clientv3.WatchResponse{Header: q.header(), Created: true}
	context.AfterFunc(ctx, func() { q.answers <- clientv3.WatchResponse{Canceled: true} })
	return q.answers
}

func (q *quiet) RequestProgress(context.Context) error {
	time.AfterFunc(moment, func() { q.answers <- clientv3.WatchResponse{Header: q.header()} })
	return nil
}

// TestWhoComesDuringAQuestionAsksNext has readers come one after the other, each after another write that no event tells of.
// None of them waits until the question of the one before would be repeated. The clock is the test's own.
func TestWhoComesDuringAQuestionAsksNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &quiet{answers: make(chan clientv3.WatchResponse, 100)}
		q.revision.Store(7)
		s, err := New(&clientv3.Client{KV: q, Watcher: q}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var feeding sync.WaitGroup
		feeding.Go(func() { s.caches.feed.run(ctx) })
		defer feeding.Wait()
		defer cancel()
		synctest.Wait()
		const readers = 20
		var reading sync.WaitGroup
		began := time.Now()
		for range readers {
			reading.Go(func() {
				f, newest := s.caches.feed, q.revision.Add(1)
				defer f.await(newest)()
				for {
					moved := f.position.moved()
					if f.position.revision() >= newest {
						return
					}
					<-moved
				}
			})
			time.Sleep(moment * 3 / 2)
		}
		reading.Wait()
		if took, limit := time.Since(began), readers*(moment*3/2)+2*(askDelay+moment); took > limit {
			t.Errorf("the last reader was answered after %s, want %s", took, limit)
		}
		if q.from != "/fairlead/`" || q.to != "/fairlead0" {
			t.Errorf("the watch is of %q to %q, want what follows the keys that begin with an underscore", q.from, q.to)
		}
	})
}
