// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"fmt"
	"testing"
)

func TestAssignSharesEvenlyAndMovesLittle(t *testing.T) {
	const n = 64
	ids := func(count int) []string {
		var out []string
		for i := range count {
			out = append(out, fmt.Sprintf("member-%d", i))
		}
		return out
	}
	if got := assign(nil, "g", n); got != nil {
		t.Errorf("without members: %v, want none assigned", got)
	}
	for members := 1; members <= 8; members++ {
		count := map[string]int{}
		for _, id := range assign(ids(members), "g", n) {
			count[id]++
		}
		if len(count) != members {
			t.Errorf("%d members: only %d have shards", members, len(count))
		}
		for id, c := range count {
			if c < n/members || c > n/members+1 {
				t.Errorf("%d members: %s has %d of %d shards", members, id, c, n)
			}
		}
	}
	three, four := assign(ids(3), "g", n), assign(ids(4), "g", n)
	moved := 0
	for i := range three {
		if three[i] != four[i] {
			moved++
		}
	}
	if moved > n/2 {
		t.Errorf("a fourth member moves %d of %d shards", moved, n)
	}
	other := assign(ids(3), "other", n)
	same := 0
	for i := range three {
		if three[i] == other[i] {
			same++
		}
	}
	if same == n {
		t.Error("all groups are shared in the same way: a member would lead everything")
	}
}
