// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"testing"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/internal/store"
)

// TestBound has the policy made anew for the roles that a binding names, and for no others: all calls would pay for it.
func TestBound(t *testing.T) {
	t.Parallel()
	p := install(t).start(t)
	role := func(namespace string) *authv1.Role {
		return &authv1.Role{Metadata: &metav1.ObjectMeta{Namespace: namespace, Name: "reader"}, Rules: []*authv1.PolicyRule{rule("get", builds, "builds")}}
	}
	if _, err := p.auth.deps.Store.Create(t.Context(), p.auth.kinds.role, role("shop")); err != nil {
		t.Fatal(err)
	}
	if p.auth.policy.bound(role("shop")) {
		t.Error("no binding names the role, but it counts")
	}
	if _, err := p.auth.deps.Store.Create(t.Context(), p.auth.kinds.roleBinding, &authv1.RoleBinding{
		Metadata: &metav1.ObjectMeta{Namespace: "shop", Name: "readers"}, Subjects: []*authv1.Subject{user("ann")},
		RoleRef: &authv1.RoleRef{ApiGroup: p.auth.kinds.role.Group, Kind: kindRole, Name: "reader"},
	}); err != nil {
		t.Fatal(err)
	}
	// The role was there before the binding, and is followed from then on.
	p.eventually(t, func() bool { return len(p.auth.policy.index()[subjectOf(user("ann"))]) == 1 })
	if !p.auth.policy.bound(role("shop")) {
		t.Error("a binding names the role, but it does not count")
	}
	if p.auth.policy.bound(role("other")) {
		t.Error("a role of that name in another namespace counts")
	}
	if err := deleteRole(t, p); err != nil {
		t.Fatal(err)
	}
	p.eventually(t, func() bool { return len(p.auth.policy.index()[subjectOf(user("ann"))]) == 0 })
}

func deleteRole(t *testing.T, p *process) error {
	t.Helper()
	_, err := p.auth.policy.roles.Delete(t.Context(), store.Key{Namespace: "shop", Name: "reader"}, store.DeleteOptions{})
	return err
}
