// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package condition_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/internal/condition"
)

func TestSet(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	later := start.Add(time.Hour)
	conds := condition.Set(nil, start, "Ready", condition.Unknown, "Waiting", "for pods")
	conds = condition.Set(conds, start, "Active", condition.True, "", "")
	if conds[0].GetType() != "Active" || conds[1].GetType() != "Ready" {
		t.Errorf("order: got %s, %s; want them sorted by type", conds[0].GetType(), conds[1].GetType())
	}
	before := cloneAll(conds)

	same := condition.Set(conds, later, "Ready", condition.Unknown, "StillWaiting", "for pods")
	if got := condition.Get(same, "Ready").GetLastTransitionTime().AsTime(); !got.Equal(start.Truncate(time.Second)) {
		t.Errorf("time moved to %s though the status stayed", got)
	}
	changed := condition.Set(conds, later, "Ready", condition.True, "", "")
	if got := condition.Get(changed, "Ready").GetLastTransitionTime().AsTime(); !got.Equal(later.Truncate(time.Second)) {
		t.Errorf("time is %s though the status changed at %s", got, later)
	}
	if d := cmp.Diff(before, conds, protocmp.Transform()); d != "" {
		t.Errorf("the argument was changed:\n%s", d)
	}
}

func cloneAll(conds []*metav1.Condition) []*metav1.Condition {
	return append([]*metav1.Condition{}, conds...)
}

func TestSummarize(t *testing.T) {
	now := time.Now()
	cases := map[string]struct {
		reason string
		a, b   string // statuses of A and B, empty for a missing one
		want   string
		from   string // whose reason it takes
	}{
		"all hold":        {"the summary holds when all do", condition.True, condition.True, condition.True, ""},
		"one fails":       {"a failure wins over what is unknown", condition.Unknown, condition.False, condition.False, "B"},
		"one is unknown":  {"what is unknown keeps the summary unknown", condition.True, condition.Unknown, condition.Unknown, "B"},
		"one is missing":  {"what is missing is unknown", condition.True, "", condition.Unknown, ""},
		"first of faults": {"the first failure is told", condition.False, condition.False, condition.False, "A"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var conds []*metav1.Condition
			for kind, status := range map[string]string{"A": tc.a, "B": tc.b} {
				if status != "" {
					conds = condition.Set(conds, now, kind, status, "Reason"+kind, "")
				}
			}
			got := condition.Get(condition.Summarize(conds, now, condition.Ready, "A", "B"), condition.Ready)
			if got.GetStatus() != tc.want {
				t.Errorf("%s: got %s, want %s", tc.reason, got.GetStatus(), tc.want)
			}
			if tc.from != "" && got.GetReason() != "Reason"+tc.from {
				t.Errorf("%s: reason is %q, want that of %s", tc.reason, got.GetReason(), tc.from)
			}
		})
	}
}
