// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"strings"
	"testing"

	"fairlead.dev/services/internal/etcd"
	"fairlead.dev/services/internal/store/etcdtest"
)

// Of the processes that look after etcd, one at a time has the turn; the next has it when that one ends.
func TestOneLooksAfterEtcd(t *testing.T) {
	client := etcdtest.Start(t)
	stores, keepers, leave := make([]*Store, 3), make([]keeper, 3), make([]context.CancelFunc, 3)
	turns := func() (mine []int) {
		t.Helper()
		for i, s := range stores {
			if s == nil {
				continue
			}
			ok, err := s.first(t.Context(), &keepers[i])
			if err != nil {
				t.Fatal(err)
			}
			if ok {
				mine = append(mine, i)
			}
		}
		return mine
	}
	for i := range stores {
		s, err := New(client, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := s.first(t.Context(), &keeper{}); err != nil || ok != (i == 0) {
			t.Errorf("without a place, while %d have one: %t, %v", i, ok, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		stores[i], leave[i] = s, cancel
		if ok, err := s.turn(ctx, &keepers[i]); err != nil || ok != (i == 0) {
			t.Errorf("process %d: its turn: %t, %v", i, ok, err)
		}
	}
	for i := range stores {
		if got := turns(); len(got) != 1 || got[0] != i {
			t.Fatalf("it is the turn of %v, want %d", got, i)
		}
		leave[i]()
		<-keepers[i].gone
		stores[i] = nil
	}
}

// While another process has the turn, etcd is not compacted, and space is not made.
func TestOthersWaitForTheirTurn(t *testing.T) {
	e := etcdtest.StartWith(t, etcd.Config{Dir: t.TempDir(), QuotaBytes: 8 << 20})
	client := e.Client()
	s, err := New(client, Options{})
	if err != nil {
		t.Fatal(err)
	}
	other := s.keys.internal(keepersKey) + "other"
	if _, err := client.Put(t.Context(), other, ""); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var k keeper
	s.compactInTurn(ctx, &k)
	if resp, err := client.Get(ctx, s.keys.internal(compactionKey)); err != nil || len(resp.Kvs) > 0 {
		t.Errorf("out of turn, the marks of compaction are written: %v, %v", resp, err)
	}
	for err = nil; err == nil; {
		_, err = client.Put(ctx, "x", strings.Repeat("x", 1<<20))
	}
	if _, err := client.Delete(ctx, "x"); err != nil {
		t.Fatal(err)
	}
	full := func() bool {
		t.Helper()
		alarms, err := s.alarms(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return len(alarms) > 0
	}
	if err := s.relieveInTurn(ctx, &relief{}, &k); err != nil || !full() {
		t.Errorf("out of turn, space is made (%v)", err)
	}
	if _, err := client.Delete(ctx, other); err != nil {
		t.Fatal(err)
	}
	if err := s.relieveInTurn(ctx, &relief{}, &k); err != nil || full() {
		t.Errorf("in turn, no space is made (%v)", err)
	}
	cancel()
	<-k.gone
}
