// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"strings"

	"k8s.io/client-go/util/jsonpath"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/internal/store"
)

// absence is what it means that an object is not there.
type absence int

const (
	absentFails absence = iota
	absentWaits
	absentMeets
)

// goal is what is waited for.
type goal interface {
	// met tells whether an object that is there has the goal's state.
	met(obj store.Object) (bool, error)
	// state words how far the object is.
	state(obj store.Object) string
	// absent is what it means that the object is not there.
	absent() absence
}

const forForms = "condition=NAME[=VALUE], jsonpath='{PATH}'[=VALUE], create or delete"

// parseGoal reads the value of --for.
func parseGoal(text string) (goal, error) {
	name, rest, _ := strings.Cut(text, "=")
	switch strings.ToLower(name) {
	case "delete":
		if rest == "" {
			return gone{}, nil
		}
	case "create":
		if rest == "" {
			return there{}, nil
		}
	case "condition":
		condition, value, given := strings.Cut(rest, "=")
		if !given {
			value = "True"
		}
		if condition != "" && value != "" {
			return &conditionGoal{condition, value}, nil
		}
	case formPath:
		return newPathGoal(rest)
	}
	return nil, fmt.Errorf("--for=%s is nothing to wait for; it may be %s", text, forForms)
}

// gone waits until an object is deleted.
type gone struct{}

func (gone) met(store.Object) (bool, error) { return false, nil }
func (gone) absent() absence                { return absentMeets }

func (gone) state(obj store.Object) string {
	if left := obj.GetMetadata().GetFinalizers(); obj.GetMetadata().GetDeletionTimestamp() != nil && len(left) > 0 {
		return "it is being deleted, and waits for its finalizers " + strings.Join(left, ", ")
	}
	return "it is still there"
}

// there waits until an object exists.
type there struct{}

func (there) met(store.Object) (bool, error) { return true, nil }
func (there) absent() absence                { return absentWaits }
func (there) state(store.Object) string      { return "it does not exist" }

// conditionGoal waits until a condition of an object's newest generation has a status.
type conditionGoal struct{ name, value string }

func (g *conditionGoal) find(obj store.Object) *metav1.Condition {
	for _, c := range conditionsOf(obj) {
		if strings.EqualFold(c.GetType(), g.name) {
			return c
		}
	}
	return nil
}

// outdated tells whether the status is about an older generation than the newest.
func outdated(obj store.Object) bool {
	observed, ok := observedGeneration(obj)
	return ok && observed < obj.GetMetadata().GetGeneration()
}

func (g *conditionGoal) met(obj store.Object) (bool, error) {
	c := g.find(obj)
	return c != nil && strings.EqualFold(c.GetStatus(), g.value) && !outdated(obj), nil
}

func (*conditionGoal) absent() absence { return absentFails }

func (g *conditionGoal) state(obj store.Object) string {
	c := g.find(obj)
	switch {
	case c == nil:
		return "it has no condition " + g.name + " yet"
	case outdated(obj):
		return "its newest change has not been acted on yet"
	}
	text := c.GetType() + " is " + c.GetStatus()
	if c.GetReason() != "" {
		text += " (" + c.GetReason() + ")"
	}
	if c.GetMessage() != "" {
		text += ": " + c.GetMessage()
	}
	return text
}

// pathGoal waits until what a JSONPath leads to has a value, or is there.
type pathGoal struct {
	text  string
	path  *jsonpath.JSONPath
	value string
	any   bool
}

func newPathGoal(text string) (*pathGoal, error) {
	g := &pathGoal{text: text, any: true}
	end := strings.LastIndexByte(text, '}') + 1
	if i := strings.IndexByte(text[end:], '='); i >= 0 {
		g.text, g.value, g.any = text[:end+i], text[end+i+1:], false
	}
	g.text = strings.Trim(g.text, `'"`)
	if g.text == "" || !g.any && g.value == "" {
		return nil, fmt.Errorf("--for=jsonpath=%s lacks a path or a value; write --for=jsonpath='{.status.url}'=VALUE", text)
	}
	var err error
	if g.path, err = parsePath(g.text, true); err != nil {
		return nil, fmt.Errorf("--for=jsonpath: %w", err)
	}
	return g, nil
}

func (*pathGoal) absent() absence { return absentFails }

func (g *pathGoal) values(obj store.Object) ([]string, error) {
	data, err := objectJSON(obj)
	if err != nil {
		return nil, err
	}
	value, err := decodeJSON(data)
	if err != nil {
		return nil, err
	}
	return pathValues(g.path, value)
}

func (g *pathGoal) met(obj store.Object) (bool, error) {
	values, err := g.values(obj)
	if err != nil {
		return false, fmt.Errorf("--for=jsonpath: %w", err)
	}
	switch {
	case len(values) == 0:
		return false, nil
	case len(values) > 1:
		return false, fmt.Errorf("--for=jsonpath: %s leads to %d values, and has to lead to one", g.text, len(values))
	}
	return g.any || values[0] == g.value, nil
}

func (g *pathGoal) state(obj store.Object) string {
	values, _ := g.values(obj) // met has told the error
	if len(values) == 0 {
		return g.text + " has no value"
	}
	return fmt.Sprintf("%s is %q", g.text, strings.Join(values, ","))
}
