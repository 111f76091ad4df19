// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"math"
	"testing"

	"github.com/anishathalye/porcupine"
)

// TestLinearModel has histories that are possible and such that are not.
func TestLinearModel(t *testing.T) {
	type call struct {
		from, to int64 // 0 for a call without an end
		in       linearInput
		out      linearOutput
	}
	ok := func(version string) linearOutput { return linearOutput{outcome: outcomeOK, version: version} }
	read := func(value, version string) linearOutput { return linearOutput{outcomeOK, value, version} }
	create := func(value string) linearInput { return linearInput{verb: verbCreate, key: "k", value: value} }
	update := func(value, expected string) linearInput {
		return linearInput{verb: verbUpdate, key: "k", value: value, expected: expected}
	}
	get, remove := linearInput{verb: verbGet, key: "k"}, linearInput{verb: verbDelete, key: "k"}
	gone, unknown := linearOutput{outcome: outcomeNotFound}, linearOutput{outcome: outcomeUnknown}
	for name, tc := range map[string]struct {
		calls []call
		want  bool
	}{
		"read what is written":         {[]call{{1, 2, create("a"), ok("5")}, {3, 4, get, read("a", "5")}}, true},
		"read what is not":             {[]call{{1, 2, create("a"), ok("5")}, {3, 4, get, read("b", "5")}}, false},
		"a stale read":                 {[]call{{1, 2, create("a"), ok("5")}, {3, 4, update("b", ""), ok("6")}, {5, 6, get, read("a", "5")}}, false},
		"a read beside the write":      {[]call{{1, 2, create("a"), ok("5")}, {3, 9, update("b", ""), ok("6")}, {5, 6, get, read("a", "5")}}, true},
		"back and forth":               {[]call{{1, 2, create("a"), ok("5")}, {3, 9, update("b", ""), ok("6")}, {4, 5, get, read("b", "6")}, {6, 7, get, read("a", "5")}}, false},
		"a lost write":                 {[]call{{1, 2, create("a"), ok("5")}, {3, 4, get, gone}}, false},
		"two creations":                {[]call{{1, 2, create("a"), ok("5")}, {3, 4, create("b"), ok("6")}}, false},
		"a change of an old version":   {[]call{{1, 2, create("a"), ok("5")}, {3, 4, update("b", "5"), ok("6")}, {5, 6, update("c", "5"), ok("7")}}, false},
		"a conflict without a reason":  {[]call{{1, 2, create("a"), ok("5")}, {3, 4, update("b", "5"), linearOutput{outcome: outcomeConflict}}}, false},
		"deleted and still there":      {[]call{{1, 2, create("a"), ok("5")}, {3, 4, remove, ok("6")}, {5, 6, get, read("a", "5")}}, false},
		"unknown, and it happened":     {[]call{{1, 0, create("a"), unknown}, {3, 4, get, read("a", "5")}}, true},
		"unknown, and it happens late": {[]call{{1, 0, create("a"), unknown}, {3, 4, get, gone}, {5, 6, get, read("a", "5")}}, true},
		"unknown, and it never did":    {[]call{{1, 0, create("a"), unknown}, {3, 4, get, gone}, {5, 6, create("b"), ok("5")}}, true},
		"unknown, and undone":          {[]call{{1, 0, create("a"), unknown}, {3, 4, get, read("a", "5")}, {5, 6, get, gone}}, false},
		"unknown, then its version":    {[]call{{1, 0, create("a"), unknown}, {3, 4, get, read("a", "5")}, {5, 6, update("b", "4"), ok("6")}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			var history []porcupine.Operation
			for i, c := range tc.calls {
				if c.to == 0 {
					c.to = math.MaxInt64
				}
				history = append(history, porcupine.Operation{ClientId: i, Input: c.in, Call: c.from, Output: c.out, Return: c.to})
			}
			if got := porcupine.CheckOperations(linearModel(), history); got != tc.want {
				t.Errorf("linearizable: %t, want %t", got, tc.want)
			}
		})
	}
}
