// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"fairlead.dev/services/internal/store/etcdtest"
)

func TestNextMarks(t *testing.T) {
	const minute = 60
	cases := map[string]struct {
		marks  []mark
		now    mark
		next   []mark
		target int64
		due    bool
	}{
		"the first":               {nil, mark{5, 0}, []mark{{5, 0}}, 0, true},
		"too early":               {[]mark{{5, 0}}, mark{9, 3 * minute}, []mark{{5, 0}}, 0, false},
		"nothing is old enough":   {[]mark{{5, 0}}, mark{9, 5 * minute}, []mark{{5, 0}, {9, 5 * minute}}, 0, true},
		"the oldest goes":         {[]mark{{5, 0}, {9, 5 * minute}}, mark{12, 10 * minute}, []mark{{9, 5 * minute}, {12, 10 * minute}}, 5, true},
		"after a long rest":       {[]mark{{5, 0}, {9, 5 * minute}}, mark{12, 60 * minute}, []mark{{12, 60 * minute}}, 9, true},
		"a mark from tomorrow":    {[]mark{{5, 100 * minute}}, mark{9, 0}, []mark{{9, 0}}, 0, true},
		"a little before its due": {[]mark{{5, 0}}, mark{9, 4 * minute}, []mark{{5, 0}, {9, 4 * minute}}, 0, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			next, target, due := nextMarks(tc.marks, tc.now, 5*time.Minute, 10*time.Minute)
			if d := cmp.Diff(tc.next, next); d != "" || target != tc.target || due != tc.due {
				t.Errorf("target %d, due %t; want %d, %t; marks (-want +got):\n%s", target, due, tc.target, tc.due, d)
			}
		})
	}
}

func TestCompactionKeepsTheTimePromised(t *testing.T) {
	client := etcdtest.Start(t)
	now := time.Unix(1_700_000_000, 0)
	stores := make([]*Store, 2) // two processes share the work
	for i := range stores {
		s, err := New(client, Options{Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		stores[i] = s
	}
	var at []int64
	for minute := 0; minute <= 20; minute += 5 {
		resp, err := client.Put(t.Context(), "x", "y")
		if err != nil {
			t.Fatal(err)
		}
		at = append(at, resp.Header.Revision)
		for _, s := range stores {
			if _, err := s.compact(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		now = now.Add(5 * time.Minute)
	}
	// The clock stood at 20 minutes: what was written at 10 and later is kept, what was before 10 is not.
	for i, revision := range at {
		_, err := client.Get(t.Context(), "x", clientv3.WithRev(revision))
		if gone := errors.Is(err, rpctypes.ErrCompacted); gone != (i < 2) || (err != nil && !gone) {
			t.Errorf("the state of minute %d: got %v", i*5, err)
		}
	}
	resp, err := client.Get(t.Context(), stores[0].keys.internal(compactionKey))
	if err != nil {
		t.Fatal(err)
	}
	if v := resp.Kvs[0].Version; v != int64(len(at)) {
		t.Errorf("the marks were written %d times, want once an interval, %d times", v, len(at))
	}
}

func TestDefragmentation(t *testing.T) {
	client := etcdtest.Start(t)
	s, err := New(client, Options{DefragmentBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	size := func() int64 {
		t.Helper()
		status, err := client.Status(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		return status.DbSize
	}
	// A compaction returns when everything is on disk, where sizes are measured.
	compact := func(revision int64) {
		t.Helper()
		if _, err := client.Compact(t.Context(), revision, clientv3.WithCompactPhysical()); err != nil {
			t.Fatal(err)
		}
	}
	var revision int64
	for i := range 8 {
		resp, err := client.Put(t.Context(), strconv.Itoa(i), strings.Repeat("x", 1<<20))
		if err != nil {
			t.Fatal(err)
		}
		revision = resp.Header.Revision
	}
	compact(revision)
	full := size()
	if err := s.maintain(t.Context()); err != nil || size() < full || full < 8<<20 {
		t.Fatalf("what is in use: %v, size %d of %d", err, size(), full)
	}
	resp, err := client.Delete(t.Context(), "0", clientv3.WithRange("9"))
	if err != nil {
		t.Fatal(err)
	}
	compact(resp.Header.Revision)
	// What was compacted away counts as in use until nothing reads it any more, and etcd has written once again.
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for size()*2 > full {
		if err := s.maintain(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Put(ctx, "small", "x"); err != nil {
			t.Fatalf("the database has %d bytes, and had %d before most was deleted: %v", size(), full, err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}
