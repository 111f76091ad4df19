// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// revisions reads what a history has from a place on.
func revisions(t *testing.T, h *history, at cursor, limit int) ([]int64, cursor, bool) {
	t.Helper()
	changes, next, ok := h.read(at, make([]*change, 0, limit))
	out := make([]int64, 0, len(changes))
	for _, c := range changes {
		out = append(out, c.revision)
	}
	return out, next, ok
}

func TestHistory(t *testing.T) {
	h := &history{maxCount: 4, maxBytes: 100}
	h.reset(10)
	for _, r := range []int64{11, 12, 12, 15} {
		h.add(&change{revision: r, size: 1})
	}
	cases := map[string]struct {
		after int64
		want  []int64
		ok    bool
	}{
		"before its start":  {9, nil, false},
		"from its start":    {10, []int64{11, 12, 12, 15}, true},
		"from within":       {11, []int64{12, 12, 15}, true},
		"between revisions": {13, []int64{15}, true},
		"from its end":      {15, []int64{}, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			at, ok := h.after(tc.after)
			if ok != tc.ok {
				t.Fatalf("after(%d): got %t, want %t", tc.after, ok, tc.ok)
			}
			if !ok {
				return
			}
			got, _, _ := revisions(t, h, at, 100)
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestHistoryForgetsTheOldest(t *testing.T) {
	h := &history{maxCount: 3, maxBytes: 100}
	h.reset(10)
	slow, _ := h.after(10)
	for r := int64(11); r <= 15; r++ {
		h.add(&change{revision: r, size: 1})
	}
	if _, _, ok := revisions(t, h, slow, 10); ok {
		t.Error("a reader whose changes are forgotten is not told")
	}
	if _, ok := h.after(11); ok {
		t.Error("the history claims to have what it forgot")
	}
	if at, ok := h.after(12); !ok {
		t.Error("the history denies what it has")
	} else if got, _, _ := revisions(t, h, at, 2); !cmp.Equal(got, []int64{13, 14}) {
		t.Errorf("got %v, want 13 and 14, for the limit is 2", got)
	}
	h.add(&change{revision: 16, size: 99})
	if len(h.changes) != 2 || h.bytes != 100 || h.base != 14 {
		t.Errorf("after a large change: %d changes of %d bytes, base %d; want 2 of 100, base 14", len(h.changes), h.bytes, h.base)
	}
	h.add(&change{revision: 17, size: 500})
	if len(h.changes) != 1 {
		t.Errorf("a change beyond the limit: %d changes, want it alone", len(h.changes))
	}
}

func TestHistorySkipsWhatAReaderKnows(t *testing.T) {
	h := &history{maxCount: 10, maxBytes: 100}
	h.reset(10)
	at, _ := h.after(12)
	for r := int64(11); r <= 14; r++ {
		h.add(&change{revision: r})
	}
	got, at, ok := revisions(t, h, at, 3)
	if d := cmp.Diff([]int64{13}, got); !ok || d != "" {
		t.Errorf("%t (-want +got):\n%s", ok, d)
	}
	got, at, _ = revisions(t, h, at, 3)
	if d := cmp.Diff([]int64{14}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	h.reset(20)
	if _, _, ok := revisions(t, h, at, 3); ok {
		t.Error("a reader from before a reset is not told")
	}
}
