// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"slices"
	"strconv"
)

// assign says which of the members is to have each of n shards: the one with the highest hash of its id and the shard,
// of those that do not have their part already. All members come to the same result, few shards move when one comes or
// goes, and no member has more than one shard above another's. The result is nil without members.
func assign(ids []string, group string, n int) []string {
	if len(ids) == 0 {
		return nil
	}
	slices.Sort(ids)
	least, above := n/len(ids), n%len(ids) // so many members have one more
	count := make(map[string]int, len(ids))
	out := make([]string, n)
	for i := range out {
		best, highest := "", uint64(0)
		for _, id := range ids {
			room := count[id] < least || count[id] == least && above > 0
			if score := hash(id, group, strconv.Itoa(i)); room && (best == "" || score > highest) {
				best, highest = id, score
			}
		}
		if count[best]++; count[best] > least {
			above--
		}
		out[i] = best
	}
	return out
}

// hash is FNV-1a over the parts, mixed so that its last bits are as good as its first. It is part of what members agree on.
func hash(parts ...string) uint64 {
	h := uint64(14695981039346656037)
	for _, p := range parts {
		for i := range len(p) {
			h = (h ^ uint64(p[i])) * 1099511628211
		}
		h = (h ^ 0xff) * 1099511628211 // no part has this byte: they are UTF-8
	}
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
