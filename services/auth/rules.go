// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"fmt"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/component-helpers/auth/rbac/validation"

	"fairlead.dev/services/internal/rpc"
)

const (
	wildcard   = "*"
	verbCreate = "create"
)

// allows tells whether a rule allows a call.
func allows(r rbacv1.PolicyRule, a rpc.Attributes) bool {
	if !has(r.Verbs, a.Verb) {
		return false
	}
	if a.Path != "" {
		return slices.ContainsFunc(r.NonResourceURLs, func(url string) bool { return matchesPath(url, a.Path) })
	}
	return has(r.APIGroups, a.Group) && allowsResource(r.Resources, a.Resource, a.Subresource) && allowsName(r.ResourceNames, a)
}

// allowsName tells whether a rule for some names allows a call. One that names no object is not allowed by it, nor is the
// creation of one: its name may not be known yet.
func allowsName(names []string, a rpc.Attributes) bool {
	if len(names) == 0 {
		return true
	}
	create := a.Verb == verbCreate && a.Subresource == ""
	return !create && a.Name != "" && slices.Contains(names, a.Name)
}

// matchesPath tells whether a path is one of those that a rule names: `/a` is only itself, `/a*` all that begins with it.
func matchesPath(rule, path string) bool {
	if prefix, ok := strings.CutSuffix(rule, wildcard); ok {
		return strings.HasPrefix(path, prefix)
	}
	return rule == path
}

func has(set []string, value string) bool {
	return slices.Contains(set, wildcard) || slices.Contains(set, value)
}

func allowsResource(set []string, resource, subresource string) bool {
	if subresource == "" {
		return has(set, resource)
	}
	return has(set, resource+"/"+subresource) || slices.Contains(set, wildcard+"/"+subresource)
}

// missing returns what of wanted is not covered by held, as a person reads it; nothing if all is.
func missing(held, wanted []rbacv1.PolicyRule) []string {
	// Covers takes rules apart into single rights. Most need not be: those who write roles hold more than they give.
	wanted = slices.DeleteFunc(slices.Clone(wanted), func(w rbacv1.PolicyRule) bool {
		return slices.ContainsFunc(held, func(h rbacv1.PolicyRule) bool { return contains(h, w) })
	})
	ok, uncovered := validation.Covers(held, wanted)
	if ok {
		return nil
	}
	texts := make([]string, 0, len(uncovered))
	for _, r := range uncovered {
		texts = append(texts, describe(r))
	}
	return texts
}

// contains tells whether a rule alone allows all that another one does, as far as that is seen without taking them apart.
func contains(r, other rbacv1.PolicyRule) bool {
	all := func(set, wanted []string) bool {
		return !slices.ContainsFunc(wanted, func(value string) bool { return !has(set, value) })
	}
	if len(other.NonResourceURLs) > 0 || len(r.ResourceNames) > 0 {
		return false
	}
	return all(r.Verbs, other.Verbs) && all(r.APIGroups, other.APIGroups) && all(r.Resources, other.Resources)
}

func describe(r rbacv1.PolicyRule) string {
	if len(r.NonResourceURLs) > 0 {
		return fmt.Sprintf("%s %s", strings.Join(r.Verbs, ","), strings.Join(r.NonResourceURLs, ","))
	}
	text := fmt.Sprintf("%s %s in API group %q", strings.Join(r.Verbs, ","), strings.Join(r.Resources, ","), strings.Join(r.APIGroups, ","))
	if len(r.ResourceNames) > 0 {
		text += " named " + strings.Join(r.ResourceNames, ",")
	}
	return text
}
