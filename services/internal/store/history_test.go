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
		h.add(&change{revision: r, joint: r == 12, size: 1})
	}
	cases := map[string]struct {
		after int64
		again bool
		want  []int64
		ok    bool
	}{
		"before its start":                       {9, false, nil, false},
		"from its start":                         {10, false, []int64{11, 12, 12, 15}, true},
		"from within":                            {11, false, []int64{12, 12, 15}, true},
		"between revisions":                      {13, false, []int64{15}, true},
		"from its end":                           {15, false, []int64{}, true},
		"again, from its start":                  {10, true, nil, false},
		"again, a revision of one change":        {11, true, []int64{12, 12, 15}, true},
		"again, a revision of several":           {12, true, []int64{12, 12, 15}, true},
		"again, a revision without a change":     {13, true, []int64{15}, true},
		"again, its end":                         {15, true, []int64{}, true},
		"not again, a revision of several":       {12, false, []int64{15}, true},
		"again, a revision that is yet to come":  {20, true, []int64{}, true},
		"again, before its start, of one change": {9, true, nil, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			at, ok := h.after(tc.after, tc.again)
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
	slow, _ := h.after(10, false)
	for r := int64(11); r <= 15; r++ {
		h.add(&change{revision: r, size: 1})
	}
	if _, _, ok := revisions(t, h, slow, 10); ok {
		t.Error("a reader whose changes are forgotten is not told")
	}
	if _, ok := h.after(11, false); ok {
		t.Error("the history claims to have what it forgot")
	}
	if at, ok := h.after(12, false); !ok {
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
	at, _ := h.after(12, false)
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

// TestHistoryOfJointChanges has a reader come from a revision that holds several changes: as it comes, when it is partly
// forgotten, and as what the history begins after.
func TestHistoryOfJointChanges(t *testing.T) {
	h := &history{maxCount: 2, maxBytes: 100}
	h.reset(10)
	ahead, ok := h.after(11, true)
	if !ok {
		t.Fatal("no place for a revision that is yet to come")
	}
	for range 2 {
		h.add(&change{revision: 11, joint: true})
	}
	if got, _, _ := revisions(t, h, ahead, 10); !cmp.Equal(got, []int64{11, 11}) {
		t.Errorf("a reader that waits for the revision gets %v, want both changes", got)
	}
	h.add(&change{revision: 12})
	if _, ok := h.after(11, true); ok {
		t.Error("the history claims to have a revision of which it forgot a part")
	}
	if at, ok := h.after(11, false); !ok {
		t.Error("the history denies what follows a revision of which it forgot a part")
	} else if got, _, _ := revisions(t, h, at, 10); !cmp.Equal(got, []int64{12}) {
		t.Errorf("after the revision: got %v, want 12", got)
	}
	h.add(&change{revision: 13})
	h.add(&change{revision: 14})
	if _, ok := h.after(12, true); !ok {
		t.Error("the history denies what follows a revision of one change")
	}
	h.reset(20)
	if _, ok := h.after(20, true); ok {
		t.Error("the history claims to know what is in the revision that it begins after")
	}
	h.foundSingle(20)
	if _, ok := h.after(20, true); !ok {
		t.Error("the history forgot what was found out")
	}
}
