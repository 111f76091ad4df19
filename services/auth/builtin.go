// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"fmt"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/store"
)

// Names that Fairlead gives.
const (
	// GroupAdmins is the group whose members may do everything. The cluster knows it as `fairlead:admins`.
	GroupAdmins = "admins"
	// UserAdmin is the first administrator.
	UserAdmin = "admin"
	// GroupServices is the group of Fairlead's own services and of its data plane.
	GroupServices = "system:fairlead:services"
	// ServiceUserPrefix is what the users of Fairlead's own services begin with.
	ServiceUserPrefix = "system:fairlead:"
	// ClusterPrefix is what our users and groups begin with where the cluster sees them.
	ClusterPrefix = "fairlead:"

	roleClusterAdmin = "cluster-admin"
	roleDataPlane    = "fairlead:data-plane"
	roleAdmin        = "admin"
	roleEdit         = "edit"
	roleView         = "view"
)

// labelBuiltIn marks what a server makes when it starts.
const labelBuiltIn = "auth.fairlead.dev/built-in"

func builtInMeta(name string) *metav1.ObjectMeta {
	return &metav1.ObjectMeta{Name: name, Labels: map[string]string{labelBuiltIn: "true"}}
}

// builtInRoles are the roles that always exist.
func builtInRoles() []*authv1.ClusterRole {
	all := []string{wildcard}
	read := []string{"get", "list", "watch"}
	write := []string{"create", "update", "patch", "delete", "deletecollection"}
	ours := []string{"build.knative.dev", "serving.knative.dev", "eventing.knative.dev"}
	inRoles := []string{"roles", "rolebindings"}
	readOurs := &authv1.PolicyRule{Verbs: read, ApiGroups: ours, Resources: all}
	writeOurs := &authv1.PolicyRule{Verbs: write, ApiGroups: ours, Resources: all}
	return []*authv1.ClusterRole{
		{Metadata: builtInMeta(roleClusterAdmin), Rules: []*authv1.PolicyRule{
			{Verbs: all, ApiGroups: all, Resources: all},
			{Verbs: all, NonResourceUrls: all},
		}},
		{Metadata: builtInMeta(roleDataPlane), Rules: []*authv1.PolicyRule{
			{Verbs: []string{"update"}, ApiGroups: []string{"serving.fairlead.dev"}, Resources: []string{"routers"}},
			{Verbs: []string{"update"}, ApiGroups: []string{"eventing.fairlead.dev"}, Resources: []string{"dispatchers"}},
		}},
		{Metadata: builtInMeta(roleAdmin), Rules: []*authv1.PolicyRule{
			readOurs, writeOurs,
			{Verbs: append(append([]string(nil), read...), write...), ApiGroups: []string{Group}, Resources: inRoles},
		}},
		{Metadata: builtInMeta(roleEdit), Rules: []*authv1.PolicyRule{readOurs, writeOurs}},
		{Metadata: builtInMeta(roleView), Rules: []*authv1.PolicyRule{readOurs}},
	}
}

// builtInBindings say who has the roles that somebody must have.
func builtInBindings() []*authv1.ClusterRoleBinding {
	bind := func(role, group string) *authv1.ClusterRoleBinding {
		return &authv1.ClusterRoleBinding{
			Metadata: builtInMeta(role),
			Subjects: []*authv1.Subject{{Kind: subjectGroup, ApiGroup: Group, Name: group}},
			RoleRef:  &authv1.RoleRef{ApiGroup: Group, Kind: kindClusterRole, Name: role},
		}
	}
	return []*authv1.ClusterRoleBinding{bind(roleClusterAdmin, GroupAdmins), bind(roleDataPlane, GroupServices)}
}

// makeBuiltIn makes the built-in roles and bindings that are absent. Those that exist stay as they are.
func (s *Server) makeBuiltIn(ctx context.Context) error {
	for _, r := range builtInRoles() {
		if _, err := s.deps.Store.Create(ctx, s.kinds.clusterRole, r); err != nil && !apierror.IsAlreadyExists(err) {
			return fmt.Errorf("cluster role %s: %w", r.GetMetadata().GetName(), err)
		}
	}
	for _, b := range builtInBindings() {
		if _, err := s.deps.Store.Create(ctx, s.kinds.clusterRoleBinding, b); err != nil && !apierror.IsAlreadyExists(err) {
			return fmt.Errorf("cluster role binding %s: %w", b.GetMetadata().GetName(), err)
		}
	}
	return nil
}

// builtInKnown tells whether the policy knows everything that makeBuiltIn has made.
func (s *Server) builtInKnown() bool {
	for _, r := range builtInRoles() {
		if _, ok := s.policy.clusterRoles.Cached(store.KeyOf(r)); !ok {
			return false
		}
	}
	for _, b := range builtInBindings() {
		if _, ok := s.policy.clusterRoleBindings.Cached(store.KeyOf(b)); !ok {
			return false
		}
	}
	return true
}
