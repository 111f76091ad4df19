// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"testing"

	mvccpb "go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/proto"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/store/etcdtest"
)

// kept is what recent holds, counted anew.
func kept(r *recent) (objects, bytes int) {
	for _, d := range r.slots {
		if d != nil {
			objects++
			bytes += d.size
		}
	}
	return objects, bytes
}

func TestRecentIsBounded(t *testing.T) {
	t.Parallel()
	const large = 900 << 10
	for name, tc := range map[string]struct {
		reason  string
		size, n int
		objects int
	}{
		"Small": {reason: "small objects are bounded by their number", size: 1 << 10, n: 3 * keptDecoded, objects: keptDecoded},
		"Large": {reason: "large ones by their bytes", size: large, n: keptDecoded, objects: keptDecodedBytes / large},
		"Huge":  {reason: "one is kept at least", size: 2 * keptDecodedBytes, n: 3, objects: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := new(recent)
			for range tc.n {
				r.keep(&decoded{size: tc.size})
			}
			if objects, bytes := kept(r); objects != tc.objects || bytes != r.bytes {
				t.Errorf("%s: got %d objects of %d bytes, counted as %d; want %d", tc.reason, objects, bytes, r.bytes, tc.objects)
			}
		})
	}
}

// Of an object that changes often, the store keeps the newest state, decoded; of one that is gone, none.
func TestRecentLetsFormerStatesGo(t *testing.T) {
	s, err := New(etcdtest.Start(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	k, ok := kinds.ByMessage((&servingv1.Service{}).ProtoReflect().Descriptor().FullName())
	if !ok {
		t.Fatal("services are no kind")
	}
	c := newCache(s, k)
	path, err := s.keys.object(k, Key{Namespace: "a", Name: "b"})
	if err != nil {
		t.Fatal(err)
	}
	value, err := proto.Marshal(&servingv1.Service{Metadata: &metav1.ObjectMeta{Namespace: "a", Name: "b", Uid: "c"}})
	if err != nil {
		t.Fatal(err)
	}
	event := func(kind mvccpb.Event_EventType, revision int64) *clientv3.Event {
		return &clientv3.Event{Type: kind, Kv: &mvccpb.KeyValue{Key: []byte(path), Value: value, ModRevision: revision}}
	}
	revision := int64(1)
	for range 100 {
		revision++
		c.apply([]*clientv3.Event{event(clientv3.EventTypePut, revision)})
	}
	if n, bytes := kept(s.recent); n != 1 || bytes != s.recent.bytes {
		t.Errorf("of one object, %d states are kept, of %d bytes counted as %d", n, bytes, s.recent.bytes)
	}
	c.replace(nil, map[string]struct{}{}, revision+1, []*clientv3.Event{event(clientv3.EventTypePut, revision+2)})
	if n, _ := kept(s.recent); n != 1 {
		t.Errorf("after the cache was filled again, %d states are kept, want 1", n)
	}
	c.apply([]*clientv3.Event{event(clientv3.EventTypeDelete, revision+3)})
	if n, _ := kept(s.recent); n != 0 || s.recent.bytes != 0 {
		t.Errorf("after the deletion, %d states are kept, of %d bytes", n, s.recent.bytes)
	}
}
