// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// revisions reads what a changelog has from a place on.
func revisions(t *testing.T, l *changelog, at cursor, limit int) ([]int64, cursor, bool) {
	t.Helper()
	changes, next, ok := l.read(at, make([]*change, 0, limit))
	out := make([]int64, 0, len(changes))
	for _, c := range changes {
		out = append(out, c.revision)
	}
	return out, next, ok
}

func TestChangelog(t *testing.T) {
	l := &changelog{maxCount: 4, maxBytes: 100}
	l.reset(10)
	for _, r := range []int64{11, 12, 12, 15} {
		l.add(&change{revision: r, joint: r == 12, size: 1})
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
			at, ok := l.after(tc.after, tc.again)
			if ok != tc.ok {
				t.Fatalf("after(%d): got %t, want %t", tc.after, ok, tc.ok)
			}
			if !ok {
				return
			}
			got, _, _ := revisions(t, l, at, 100)
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestChangelogForgetsTheOldest(t *testing.T) {
	l := &changelog{maxCount: 3, maxBytes: 100}
	l.reset(10)
	slow, _ := l.after(10, false)
	for r := int64(11); r <= 15; r++ {
		l.add(&change{revision: r, size: 1})
	}
	if _, _, ok := revisions(t, l, slow, 10); ok {
		t.Error("a reader whose changes are forgotten is not told")
	}
	if _, ok := l.after(11, false); ok {
		t.Error("the changelog claims to have what it forgot")
	}
	if at, ok := l.after(12, false); !ok {
		t.Error("the changelog denies what it has")
	} else if got, _, _ := revisions(t, l, at, 2); !cmp.Equal(got, []int64{13, 14}) {
		t.Errorf("got %v, want 13 and 14, for the limit is 2", got)
	}
	l.add(&change{revision: 16, size: 99})
	if len(l.changes) != 2 || l.bytes != 100 || l.base != 14 {
		t.Errorf("after a large change: %d changes of %d bytes, base %d; want 2 of 100, base 14", len(l.changes), l.bytes, l.base)
	}
	l.add(&change{revision: 17, size: 500})
	if len(l.changes) != 1 {
		t.Errorf("a change beyond the limit: %d changes, want it alone", len(l.changes))
	}
}

func TestChangelogSkipsWhatAReaderKnows(t *testing.T) {
	l := &changelog{maxCount: 10, maxBytes: 100}
	l.reset(10)
	at, _ := l.after(12, false)
	for r := int64(11); r <= 14; r++ {
		l.add(&change{revision: r})
	}
	got, at, ok := revisions(t, l, at, 3)
	if d := cmp.Diff([]int64{13}, got); !ok || d != "" {
		t.Errorf("%t (-want +got):\n%s", ok, d)
	}
	got, at, _ = revisions(t, l, at, 3)
	if d := cmp.Diff([]int64{14}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	l.reset(20)
	if _, _, ok := revisions(t, l, at, 3); ok {
		t.Error("a reader from before a reset is not told")
	}
}

// TestChangelogOfJointChanges has a reader come from a revision that holds several changes: as it comes, when it is partly
// forgotten, and as what the changelog begins after.
func TestChangelogOfJointChanges(t *testing.T) {
	l := &changelog{maxCount: 2, maxBytes: 100}
	l.reset(10)
	ahead, ok := l.after(11, true)
	if !ok {
		t.Fatal("no place for a revision that is yet to come")
	}
	for range 2 {
		l.add(&change{revision: 11, joint: true})
	}
	if got, _, _ := revisions(t, l, ahead, 10); !cmp.Equal(got, []int64{11, 11}) {
		t.Errorf("a reader that waits for the revision gets %v, want both changes", got)
	}
	l.add(&change{revision: 12})
	if _, ok := l.after(11, true); ok {
		t.Error("the changelog claims to have a revision of which it forgot a part")
	}
	if at, ok := l.after(11, false); !ok {
		t.Error("the changelog denies what follows a revision of which it forgot a part")
	} else if got, _, _ := revisions(t, l, at, 10); !cmp.Equal(got, []int64{12}) {
		t.Errorf("after the revision: got %v, want 12", got)
	}
	l.add(&change{revision: 13})
	l.add(&change{revision: 14})
	if _, ok := l.after(12, true); !ok {
		t.Error("the changelog denies what follows a revision of one change")
	}
	l.reset(20)
	if _, ok := l.after(20, true); ok {
		t.Error("the changelog claims to know what is in the revision that it begins after")
	}
	l.foundSingle(20)
	if _, ok := l.after(20, true); !ok {
		t.Error("the changelog forgot what was found out")
	}
}
