// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package matrix

import (
	"slices"
	"testing"
)

// A new RPC is in the matrix as soon as it is generated, or this fails.
func TestEveryRPCHasARow(t *testing.T) {
	rows, faults := RowsOf(Services())
	for _, fault := range faults {
		t.Error(fault)
	}
	for _, r := range Rows() {
		if !slices.ContainsFunc(rows, func(known Row) bool { return known.Method == r.Method }) {
			t.Errorf("%s has a row, and is no RPC: remove it from services/e2e/matrix/rows.go", r.Method)
		}
	}
	t.Logf("%d RPCs", len(rows))
}
