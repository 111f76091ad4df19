// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package differential

import (
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// Accepted is a sort of difference that is meant, or known. In its texts `*` stands for anything.
type Accepted struct {
	// Reason says why.
	Reason string `json:"reason"`
	// Cases are those in which it is found, as FILE/CASE; all by default.
	Cases []string `json:"cases,omitempty"`
	// Kinds and Do are kinds and verbs; all by default.
	Kinds []string `json:"kinds,omitempty"`
	Do    []string `json:"do,omitempty"`
	// Fields are what differs.
	Fields []string `json:"fields"`
	// Theirs and Ours are the values, as JSON; anything by default. `nothing` is what is not there.
	Theirs string `json:"theirs,omitempty"`
	Ours   string `json:"ours,omitempty"`

	used bool
}

// List is all that is accepted.
type List []*Accepted

// ReadList reads a list, each entry of which has a reason.
func ReadList(data []byte) (List, error) {
	var out List
	if err := yaml.UnmarshalStrict(data, &out); err != nil {
		return nil, fmt.Errorf("differential: %w", err)
	}
	for i, a := range out {
		if a.Reason == "" || len(a.Fields) == 0 {
			return nil, fmt.Errorf("differential: entry %d: it needs a reason and fields", i+1)
		}
	}
	return out, nil
}

// Accept tells whether a difference is accepted, and marks what accepts it as used.
func (l List) Accept(d Difference) bool {
	found := false
	for _, a := range l {
		if a.covers(d) {
			a.used, found = true, true
		}
	}
	return found
}

// Unused returns what has accepted nothing.
func (l List) Unused() List {
	return slices.DeleteFunc(slices.Clone(l), func(a *Accepted) bool { return a.used })
}

func (a *Accepted) covers(d Difference) bool {
	return matches(a.Cases, d.Case) && matches(a.Kinds, d.Kind) && matches(a.Do, d.Do) && matches(a.Fields, d.Field) &&
		value(a.Theirs, d.Theirs) && value(a.Ours, d.Ours)
}

func matches(patterns []string, s string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool { return glob(p, s) })
}

func value(pattern, s string) bool {
	if s == "" {
		s = "nothing"
	}
	return pattern == "" || glob(pattern, s)
}

func glob(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	first, last := parts[0], parts[len(parts)-1]
	if len(parts) == 1 {
		return pattern == s
	}
	if len(s) < len(first)+len(last) || !strings.HasPrefix(s, first) || !strings.HasSuffix(s, last) {
		return false
	}
	s = s[len(first) : len(s)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		_, rest, found := strings.Cut(s, part)
		if !found {
			return false
		}
		s = rest
	}
	return true
}
