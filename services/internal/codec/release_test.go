// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package codec

import (
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
)

// An encoder that is given back holds nothing of what it wrote, and clears no more than it used: one that has written a large
// object does not make small ones slow.
func TestReleaseClearsWhatWasUsed(t *testing.T) {
	large := &metav1.ObjectMeta{Labels: map[string]string{}}
	for i := range 1000 {
		large.Labels[fmt.Sprint(i)] = "x"
		large.OwnerReferences = append(large.OwnerReferences, &metav1.OwnerReference{Name: fmt.Sprint(i)})
	}
	small := &metav1.ObjectMeta{Name: "a", Labels: map[string]string{"a": "b"}, OwnerReferences: []*metav1.OwnerReference{{Name: "c"}}}
	e := &encoder{}
	write := func(m *metav1.ObjectMeta) {
		t.Helper()
		encoded, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		e.nodes = append(e.nodes, node{data: encoded})
		if err := e.message(tableOf(m.ProtoReflect().Descriptor()), 1); err != nil {
			t.Fatal(err)
		}
		e.release()
	}
	clean := func(after string) {
		t.Helper()
		for i, n := range e.nodes[:cap(e.nodes)] {
			if n.data != nil {
				t.Fatalf("after %s, node %d holds data", after, i)
			}
		}
		for i, en := range e.entries[:cap(e.entries)] {
			if en.key != "" {
				t.Fatalf("after %s, entry %d holds a key", after, i)
			}
		}
	}
	write(large)
	clean("a large object")
	write(small)
	clean("a small object")

	lastNode, lastEntry := &e.nodes[:cap(e.nodes)][cap(e.nodes)-1], &e.entries[:cap(e.entries)][cap(e.entries)-1]
	lastNode.num, lastEntry.value = 7, 7 // what nobody uses nobody clears
	write(small)
	if lastNode.num != 7 || lastEntry.value != 7 {
		t.Error("a small object has all of the stacks cleared")
	}
	lastNode.num, lastEntry.value = 0, 0
}
