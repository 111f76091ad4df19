// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/internal/condition"

	"fairlead.dev/services/eventing/program"
)

func TestJudge(t *testing.T) {
	const grace = 10 * time.Second
	cases := map[string]struct {
		reason string
		state  program.State
		want   string
		keep   bool
	}{
		"ready":           {"a dispatcher serves it", program.State{Connected: true, Known: true, Ready: true}, "True ", false},
		"ready somewhere": {"one dispatcher is enough", program.State{Connected: true, Known: true, Ready: true, Error: "other"}, "True ", false},
		"failed":          {"the dispatcher says why", program.State{Connected: true, Known: true, Error: "no disk"}, "False StreamFailed", false},
		"not yet":         {"a new object", program.State{Connected: true}, "Unknown DispatcherPending", true},
		"just lost":       {"the dispatcher may come back", program.State{Away: grace - 1}, "Unknown DispatcherPending", true},
		"lost":            {"it does not come back", program.State{Away: grace}, "False DispatcherAway", false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			v, keep := judge(tc.state, grace, ReasonStreamFailed)
			if d := cmp.Diff(tc.want, v.status+" "+v.reason); d != "" || keep != tc.keep {
				t.Errorf("%s: keep %t (-want +got):\n%s", tc.reason, keep, d)
			}
		})
	}
}

func TestKeptConditionsStay(t *testing.T) {
	now := time.Now()
	v, keep := judge(program.State{}, time.Minute, ReasonStreamFailed)
	var c []*metav1.Condition
	if c = set(c, now, ConditionStreamReady, v, keep); condition.Get(c, ConditionStreamReady).GetStatus() != condition.Unknown {
		t.Errorf("a new object: got %v", c)
	}
	c = set(c, now, ConditionStreamReady, yes(), false)
	if c = set(c, now, ConditionStreamReady, v, keep); !condition.IsTrue(c, ConditionStreamReady) {
		t.Errorf("after a restart: got %v", c)
	}
}
