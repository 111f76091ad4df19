// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"strings"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
)

// The fields that field selectors may name.
const (
	nameField      = "metadata.name"
	namespaceField = "metadata.namespace"
)

// filter chooses objects of a kind.
type filter struct {
	namespace string
	labels    labels.Selector
	fields    fields.Selector
}

// newFilter checks the selectors; nil selects all.
func newFilter(k kinds.Kind, namespace string, l labels.Selector, f fields.Selector) (filter, error) {
	if l == nil {
		l = labels.Everything()
	}
	if f == nil {
		f = fields.Everything()
	}
	for _, r := range f.Requirements() {
		if r.Field != nameField && r.Field != namespaceField {
			return filter{}, apierror.BadRequest("field label not supported: %s; %s take %s and %s",
				r.Field, ResourceOf(k), nameField, namespaceField)
		}
	}
	if v, ok := f.RequiresExactMatch(namespaceField); ok && namespace == "" && k.Namespaced && v != "" {
		namespace = v
	}
	return filter{namespace: namespace, labels: l, fields: f}, nil
}

// selective tells whether the filter may leave out objects of its namespace.
func (f filter) selective() bool { return !f.labels.Empty() || !f.fields.Empty() }

// name is the one name that can match, if the filter asks for one.
func (f filter) name() (string, bool) { return f.fields.RequiresExactMatch(nameField) }

// matches tells whether the filter chooses an object; none is not chosen.
func (f filter) matches(e *entry) bool {
	if e == nil {
		return false
	}
	if f.namespace != "" || !f.fields.Empty() {
		key := e.key()
		if f.namespace != "" && key.Namespace != f.namespace {
			return false
		}
		if !f.fields.Empty() && !f.fields.Matches(fields.Set{nameField: key.Name, namespaceField: key.Namespace}) {
			return false
		}
	}
	return f.labels.Empty() || f.labels.Matches(labels.Set(e.labels))
}

// String names the filter, the same for filters that choose alike.
func (f filter) String() string {
	return strings.Join([]string{f.namespace, f.labels.String(), f.fields.String()}, "\x00")
}

// event is what a watcher with this filter is told of a change, if anything. An object that stops matching is deleted to
// the watcher: it gets the last state that it knew, at the version of the change.
func (f filter) event(c *change) (EventType, *entry) {
	now, before := f.matches(c.object), f.matches(c.previous)
	switch {
	case now && before:
		return Modified, c.object
	case now:
		return Added, c.object
	case before:
		return Deleted, c.gone()
	default:
		return "", nil
	}
}

// within is the start of the paths of all objects that the filter may choose.
func (f filter) within() string {
	if f.namespace == "" {
		return ""
	}
	return f.namespace + "/"
}
