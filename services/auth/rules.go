// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"fmt"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/component-helpers/auth/rbac/validation"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	"fairlead.dev/services/internal/rpc"
)

const wildcard = "*"

// toKubernetes returns rules in the type of Kubernetes' RBAC, whose schema they have.
func toKubernetes(rules []*authv1.PolicyRule) []rbacv1.PolicyRule {
	out := make([]rbacv1.PolicyRule, len(rules))
	for i, r := range rules {
		out[i] = rbacv1.PolicyRule{
			Verbs: r.GetVerbs(), APIGroups: r.GetApiGroups(), Resources: r.GetResources(),
			ResourceNames: r.GetResourceNames(), NonResourceURLs: r.GetNonResourceUrls(),
		}
	}
	return out
}

// allows tells whether a rule allows a call.
func allows(r rbacv1.PolicyRule, a rpc.Attributes) bool {
	return has(r.Verbs, a.Verb) && has(r.APIGroups, a.Group) && allowsResource(r.Resources, a.Resource, a.Subresource) &&
		(len(r.ResourceNames) == 0 || slices.Contains(r.ResourceNames, a.Name))
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
