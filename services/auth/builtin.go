// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/wire"
)

// Names that Fairlead gives.
const (
	// GroupAdmins is the group whose members may do everything. The cluster knows it as `fairlead:admins`.
	GroupAdmins = "admins"
	// UserAdmin is the first administrator.
	UserAdmin = "admin"

	roleClusterAdmin = "cluster-admin"
	roleDataPlane    = "fairlead:data-plane"
	roleAdmin        = "admin"
	roleEdit         = "edit"
	roleView         = "view"

	// labelAggregate and a role's name make the label by which rights are added to the roles for users.
	labelAggregate = "auth.fairlead.dev/aggregate-to-"
	// aggregatePrefix and a role's name make the name of the role that holds what is built into it.
	aggregatePrefix = "fairlead:aggregate-to-"
)

const (
	// labelBuiltIn marks what a server makes when it starts.
	labelBuiltIn = "auth.fairlead.dev/built-in"
	// annotationAutoupdate, while it is `true`, lets a server that starts give a built-in role the rules that it knows.
	annotationAutoupdate = "auth.fairlead.dev/autoupdate"
	isTrue               = "true"
)

func builtInMeta(name string) *metav1.ObjectMeta {
	return &metav1.ObjectMeta{
		Name: name, Labels: map[string]string{labelBuiltIn: isTrue}, Annotations: map[string]string{annotationAutoupdate: isTrue},
	}
}

// builtInRoles are the roles that always exist. Those for users are made of the kinds there are: status is for
// controllers, which do not pass here, and can only be read.
//
// Those for users are aggregated, so that a cluster role with the label `auth.fairlead.dev/aggregate-to-view` adds to what
// viewers may do, and so on. Editors may do what viewers may, and admins of a namespace what editors may.
func builtInRoles() []*authv1.ClusterRole {
	const update = "update"
	all := []string{wildcard}
	read := []string{"get", "list", "watch"}
	write := []string{"create", update, "patch", "delete", "deletecollection"}
	ours := pluralsByGroup()
	readOurs, writeOurs := make([]*authv1.PolicyRule, 0, len(ours)), make([]*authv1.PolicyRule, 0, len(ours))
	for group, plurals := range ours {
		readable := slices.Clone(plurals)
		for _, plural := range plurals {
			readable = append(readable, plural+"/status", plural+"/log")
		}
		readOurs = append(readOurs, &authv1.PolicyRule{Verbs: read, ApiGroups: []string{group}, Resources: readable})
		writeOurs = append(writeOurs, &authv1.PolicyRule{Verbs: write, ApiGroups: []string{group}, Resources: plurals})
	}
	// Service accounts are no secret, as in Kubernetes; roles and bindings are, to all but admins.
	readOurs = append(readOurs, &authv1.PolicyRule{Verbs: read, ApiGroups: []string{Group}, Resources: []string{"serviceaccounts"}})
	giveRoles := &authv1.PolicyRule{Verbs: slices.Concat(read, write), ApiGroups: []string{Group}, Resources: []string{"roles", "rolebindings", "serviceaccounts"}}
	issue := &authv1.PolicyRule{Verbs: []string{"create"}, ApiGroups: []string{Group}, Resources: []string{"serviceaccounts/token"}}
	return []*authv1.ClusterRole{
		{Metadata: builtInMeta(roleClusterAdmin), Rules: []*authv1.PolicyRule{
			{Verbs: all, ApiGroups: all, Resources: all},
			{Verbs: all, NonResourceUrls: all},
		}},
		{Metadata: builtInMeta(roleDataPlane), Rules: []*authv1.PolicyRule{
			{Verbs: []string{update}, ApiGroups: []string{"serving.fairlead.dev"}, Resources: []string{"routers"}},
			{Verbs: []string{update}, ApiGroups: []string{"eventing.fairlead.dev"}, Resources: []string{"dispatchers"}},
		}},
		aggregate(roleAdmin), part(roleAdmin, giveRoles, issue),
		aggregate(roleEdit, roleAdmin), part(roleEdit, sorted(writeOurs)...),
		aggregate(roleView, roleEdit), part(roleView, sorted(readOurs)...),
	}
}

// aggregate makes a role that gathers what is labelled to be added to it, and is itself added to others.
func aggregate(name string, to ...string) *authv1.ClusterRole {
	m := builtInMeta(name)
	for _, other := range to {
		m.Labels[labelAggregate+other] = isTrue
	}
	return &authv1.ClusterRole{Metadata: m, AggregationRule: &authv1.AggregationRule{
		ClusterRoleSelectors: []*metav1.LabelSelector{{MatchLabels: map[string]string{labelAggregate + name: isTrue}}},
	}}
}

// part makes the role that holds what is built into an aggregated one.
func part(name string, rules ...*authv1.PolicyRule) *authv1.ClusterRole {
	m := builtInMeta(aggregatePrefix + name)
	m.Labels[labelAggregate+name] = isTrue
	return &authv1.ClusterRole{Metadata: m, Rules: rules}
}

// pluralsByGroup are the namespaced kinds, but for auth's own.
func pluralsByGroup() map[string][]string {
	out := map[string][]string{}
	for _, k := range kinds.All() {
		if k.Group != Group && k.Namespaced {
			out[k.Group] = append(out[k.Group], k.Plural)
		}
	}
	return out
}

// sorted gives rules an order that does not change from start to start.
func sorted(rules []*authv1.PolicyRule) []*authv1.PolicyRule {
	return slices.SortedFunc(slices.Values(rules), func(a, b *authv1.PolicyRule) int {
		return cmp.Or(slices.Compare(a.GetApiGroups(), b.GetApiGroups()), slices.Compare(a.GetVerbs(), b.GetVerbs()))
	})
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
	return []*authv1.ClusterRoleBinding{bind(roleClusterAdmin, GroupAdmins), bind(roleDataPlane, wire.GroupServices)}
}

// makeBuiltIn makes the built-in roles and bindings that are absent, and brings roles up to date that may be.
func (s *Server) makeBuiltIn(ctx context.Context) error {
	for _, r := range builtInRoles() {
		if err := s.makeRole(ctx, r); err != nil {
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

func (s *Server) makeRole(ctx context.Context, r *authv1.ClusterRole) error {
	roles := store.For[*authv1.ClusterRole](s.deps.Store, s.kinds.clusterRole)
	if _, err := roles.Create(ctx, r); !apierror.IsAlreadyExists(err) {
		return err
	}
	_, err := roles.Update(ctx, store.KeyOf(r), "", func(old *authv1.ClusterRole) (*authv1.ClusterRole, error) {
		if old.GetMetadata().GetAnnotations()[annotationAutoupdate] == isTrue {
			if r.GetAggregationRule() == nil {
				old.Rules = r.GetRules()
			}
			old.AggregationRule = r.GetAggregationRule()
			if old.GetMetadata().GetLabels() == nil {
				old.Metadata.Labels = map[string]string{}
			}
			maps.Copy(old.GetMetadata().GetLabels(), r.GetMetadata().GetLabels())
		}
		return old, nil
	})
	return err
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
