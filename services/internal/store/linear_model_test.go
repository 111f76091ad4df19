// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"fmt"

	"github.com/anishathalye/porcupine"
)

// The verbs of the history.
const (
	verbCreate = "create"
	verbGet    = "get"
	verbUpdate = "update"
	verbDelete = "delete"
)

// The outcomes of a call.
const (
	outcomeOK       = "ok"
	outcomeExists   = "exists"
	outcomeNotFound = "not found"
	outcomeConflict = "conflict"
	// outcomeUnknown is for a call that failed in a way that does not tell whether it happened.
	outcomeUnknown = "unknown"
)

// linearInput is a call on one key.
type linearInput struct {
	verb, key string
	// value is what the call writes. No two calls write the same.
	value string
	// expected is the version that an update asks for; empty for any.
	expected string
}

// linearOutput is what came of it.
type linearOutput struct {
	outcome string
	// value and version are those read, or the version written.
	value, version string
}

// linearState is the state of one key. The version is empty when a write, of which it is not known whether it happened, did.
type linearState struct {
	exists         bool
	value, version string
}

// linearModel is what a store is to its clients: a map whose calls each happen at one moment between their start and their
// end. A call of unknown outcome has no end, so that it may also happen after all others, where nobody sees it.
func linearModel() porcupine.Model {
	return porcupine.Model{
		Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
			byKey := map[string][]porcupine.Operation{}
			for _, op := range history {
				key := op.Input.(linearInput).key
				byKey[key] = append(byKey[key], op)
			}
			var out [][]porcupine.Operation
			for _, ops := range byKey {
				out = append(out, ops)
			}
			return out
		},
		Init: func() any { return linearState{} },
		Step: func(state, input, output any) (bool, any) {
			next, ok := linearStep(state.(linearState), input.(linearInput), output.(linearOutput))
			return ok, next
		},
		DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v: %+v", input, output) },
	}
}

// linearStep is the state after a call, and whether the call could have ended so.
func linearStep(s linearState, in linearInput, out linearOutput) (linearState, bool) {
	fits := in.expected == "" || s.version == "" || s.version == in.expected
	after := linearState{exists: in.verb != verbDelete, value: in.value, version: out.version}
	if in.verb == verbDelete {
		after = linearState{}
	}
	switch out.outcome {
	case outcomeUnknown:
		// Where it cannot take effect, it does not. With a version that is not known, it may; then, as anywhere else, it can
		// also be later.
		if s.exists != (in.verb != verbCreate) || !fits {
			return s, true
		}
		return after, true
	case outcomeExists:
		return s, s.exists
	case outcomeNotFound:
		return s, !s.exists
	case outcomeConflict:
		return s, s.exists && (s.version == "" || s.version != in.expected)
	}
	switch in.verb {
	case verbGet:
		// A read tells the version of a write that was not known to have happened.
		known := linearState{exists: true, value: s.value, version: out.version}
		return known, s.exists && s.value == out.value && (s.version == "" || s.version == out.version)
	case verbCreate:
		return after, !s.exists
	default:
		return after, s.exists && fits
	}
}
