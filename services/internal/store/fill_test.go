// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"fmt"
	"sync"
	"testing"

	mvccpb "go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/proto"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/store/etcdtest"
)

// A cache that is filled has what the feed passed on meanwhile as soon as it says so: a list at the feed's revision without
// it would be stale for good.
func TestFilledCacheHasWhatWaited(t *testing.T) {
	s, err := New(etcdtest.Start(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	k, ok := kinds.ByMessage((&servingv1.Service{}).ProtoReflect().Descriptor().FullName())
	if !ok {
		t.Fatal("services are no kind")
	}
	const objects = 20_000
	c := newCache(s, k)
	for i := range objects {
		path, err := s.keys.object(k, Key{Namespace: "a", Name: fmt.Sprint(i)})
		if err != nil {
			t.Fatal(err)
		}
		value, err := proto.Marshal(&servingv1.Service{Metadata: &metav1.ObjectMeta{Namespace: "a", Name: fmt.Sprint(i), Uid: fmt.Sprint(i)}})
		if err != nil {
			t.Fatal(err)
		}
		c.waiting = append(c.waiting, &clientv3.Event{Kv: &mvccpb.KeyValue{Key: []byte(path), Value: value, ModRevision: int64(i) + 2}})
	}
	f := s.caches.feed
	f.position.set(objects + 1)
	var reader sync.WaitGroup
	reading := make(chan struct{})
	reader.Go(func() {
		for first := true; ; first = false {
			found, revision, whole := c.snapshot()
			if first {
				close(reading)
			}
			if !whole {
				continue
			}
			if n := found.tree.Len(); n != objects || revision != objects+1 {
				t.Errorf("a filled cache of revision %d has %d objects, want %d", revision, n, objects)
			}
			return
		}
	})
	<-reading
	f.finishFill(c, c.fill, &lister{cache: c, revision: 1, unreadable: map[string]struct{}{}})
	reader.Wait()
}
