// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import "testing"

func TestCollectorPercent(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		reason string
		live   uint64
		want   int
	}{
		{"a small heap grows to the floor", 16 << 20, 400},
		{"next to nothing is no reason to divide by it", 0, 6400},
		{"a heap of the floor's size doubles", 64 << 20, 100},
		{"a large heap doubles, as Go has it", 1 << 30, 100},
	} {
		if got := collectorPercent(tc.live); got != tc.want {
			t.Errorf("%s: got %d, want %d", tc.reason, got, tc.want)
		}
	}
}
