// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cases

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// compare returns in which ways an answer is not what the step expects.
func (c call) compare(a answer, way string, vars variables) ([]string, error) {
	var faults []string
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	expect := c.step.Expect
	got := abridge(a.text)
	if a.status != nil {
		got = abridge(text(a.status))
	}
	if way == OverGRPC && a.code.String() != expect.GRPC {
		fault("code:\n  - %s\n  + %s: %s", expect.GRPC, a.code, got)
	}
	if way != OverGRPC && a.http != expect.HTTP {
		fault("code:\n  - %d\n  + %d: %s", expect.HTTP, a.http, got)
	}
	for _, f := range c.compareStatus(a, vars) {
		fault("%s", f)
	}
	facts, err := c.facts(way, vars)
	if err != nil {
		return nil, err
	}
	for _, f := range facts {
		faults = append(faults, Match(f, a.object)...)
	}
	if len(expect.Events) > 0 || expect.Ends {
		wanted, err := documents(expect.Events, vars)
		if err != nil {
			return nil, err
		}
		faults = append(faults, match("events", wanted, a.events)...)
	}
	if expect.Ends && !a.ended {
		fault("the watch does not end")
	}
	faults = append(faults, c.compareWarnings(a)...)
	if way == OverGRPC {
		return faults, nil
	}
	for _, name := range slices.Sorted(maps.Keys(expect.Headers)) {
		if v := a.header.Get(name); !strings.Contains(v, expect.Headers[name]) || expect.Headers[name] == "" && v != "" {
			fault("header %s:\n  - %s\n  + %s", name, expect.Headers[name], v)
		}
	}
	for _, part := range expect.Text {
		if !strings.Contains(a.text, part) {
			fault("text:\n  - %s\n  + %s", part, abridge(a.text))
		}
	}
	return faults, nil
}

func (c call) compareStatus(a answer, vars variables) []string {
	expect := c.step.Expect
	if a.status == nil {
		if expect.Reason != "" {
			return []string{"there is no Status of an error"}
		}
		return nil
	}
	var faults []string
	if string(a.status.Reason) != expect.Reason {
		faults = append(faults, fmt.Sprintf("reason:\n  - %s\n  + %s: %s", expect.Reason, a.status.Reason, abridge(a.status.Message)))
	}
	for _, part := range expect.Message {
		if part, err := vars.text(part); err != nil || !strings.Contains(a.status.Message, part) {
			faults = append(faults, fmt.Sprintf("message:\n  - %s\n  + %s", part, abridge(a.status.Message)))
		}
	}
	if len(expect.Causes) == 0 {
		return faults
	}
	if a.status.Details == nil || len(a.status.Details.Causes) != len(expect.Causes) {
		return append(faults, fmt.Sprintf("causes:\n  - %s\n  + %s", text(expect.Causes), abridge(text(a.status.Details))))
	}
	for i, want := range expect.Causes {
		got := a.status.Details.Causes[i]
		if got.Field != want.Field || want.Reason != "" && string(got.Type) != want.Reason || !strings.Contains(got.Message, want.Message) {
			faults = append(faults, fmt.Sprintf("causes[%d]:\n  - %s\n  + %s", i, text(want), abridge(text(got))))
		}
	}
	return faults
}

func (c call) compareWarnings(a answer) []string {
	want := c.step.Expect.Warnings
	if len(want) == 0 {
		return nil
	}
	if want[0] == "none" {
		want = nil
	}
	fits := len(want) == len(a.warnings)
	for i := 0; fits && i < len(want); i++ {
		fits = strings.Contains(a.warnings[i], want[i])
	}
	if fits {
		return nil
	}
	return []string{fmt.Sprintf("warnings:\n  - %q\n  + %q", want, a.warnings)}
}

// facts are what the answer must hold over one way.
func (c call) facts(way string, vars variables) ([]any, error) {
	there := []json.RawMessage{c.step.Expect.Object, c.step.Expect.REST}
	if way == OverGRPC {
		there[1] = c.step.Expect.RPC
	}
	there = slices.DeleteFunc(there, func(f json.RawMessage) bool { return len(f) == 0 })
	return documents(there, vars)
}

func documents(all []json.RawMessage, vars variables) ([]any, error) {
	out := make([]any, len(all))
	for i, one := range all {
		var err error
		if out[i], err = vars.document(one); err != nil {
			return nil, err
		}
	}
	return out, nil
}
