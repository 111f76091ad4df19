// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/component-helpers/auth/rbac/validation"
)

// TestMissing holds every pair of some rules to what Kubernetes says of it: a rule that is seen to hold another one whole is
// not to hold more.
func TestMissing(t *testing.T) {
	t.Parallel()
	sets := [][]string{{"a"}, {"a", "b"}, {"*"}, {"a", "*"}, nil}
	resources := [][]string{{"r"}, {"r", "r/s"}, {"r/s"}, {"*/s"}, {"*"}, nil}
	names := [][]string{nil, {"n"}, {"n", "m"}}
	var all []rbacv1.PolicyRule
	for _, verbs := range sets {
		for _, groups := range sets[:3] {
			for _, r := range resources {
				for _, n := range names {
					all = append(all, rbacv1.PolicyRule{Verbs: verbs, APIGroups: groups, Resources: r, ResourceNames: n})
				}
			}
		}
	}
	all = append(all, rbacv1.PolicyRule{Verbs: []string{"a"}, NonResourceURLs: []string{"/a"}}, rbacv1.PolicyRule{Verbs: []string{"*"}, NonResourceURLs: []string{"*"}})
	for _, held := range all {
		for _, wanted := range all {
			want, _ := validation.Covers([]rbacv1.PolicyRule{held}, []rbacv1.PolicyRule{wanted})
			if got := len(missing([]rbacv1.PolicyRule{held}, []rbacv1.PolicyRule{wanted})) == 0; got != want {
				t.Errorf("%+v covers %+v: got %t, want %t", held, wanted, got, want)
			}
		}
	}
}
