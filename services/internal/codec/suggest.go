// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package codec

import "strings"

// suggest returns the field's name that was probably meant, or nothing.
func (t *table) suggest(name string) string {
	const longest = 64 // no field's name is longer; it bounds the work for names that are
	if len(name) > longest {
		return ""
	}
	plain := fold(name)
	best, least := "", 1+min(2, len(plain)/3)
	for _, f := range t.fields {
		if n := distance(plain, fold(f.name), least); n < least {
			best, least = f.name, n
		}
	}
	return best
}

// fold makes names equal that differ in the style of writing only: service_account, serviceAccount.
func fold(name string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(name))
}

// distance counts the letters to add, drop, replace or swap with a neighbour to make b of a; limit or more is told as
// limit.
func distance(a, b string, limit int) int {
	if a == b {
		return 0
	}
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return min(last[len(b)], limit)
}
