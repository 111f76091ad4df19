// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"fmt"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	rbacapply "k8s.io/client-go/applyconfigurations/rbac/v1"

	"fairlead.dev/services/internal/kube"
	"fairlead.dev/services/internal/rpc"
)

// fieldManager is who writes auth's objects in the cluster.
const fieldManager = "fairlead-auth"

// bindAdministrators gives administrators every right in the cluster too, so that what the front door passes on to the
// cluster in their name works. The binding is this installation's own.
func (s *Server) bindAdministrators(ctx context.Context) error {
	installation := s.deps.Kube.Installation()
	name := "fairlead-admins"
	if installation != "" {
		name += "-" + installation
	}
	bind := rbacapply.ClusterRoleBinding(name).
		WithLabels(map[string]string{kube.LabelInstallation: installation}).
		WithSubjects(rbacapply.Subject().WithKind(rbacv1.GroupKind).WithAPIGroup(rbacv1.GroupName).WithName(rpc.ClusterPrefix + GroupAdmins)).
		WithRoleRef(rbacapply.RoleRef().WithKind(kindClusterRole).WithAPIGroup(rbacv1.GroupName).WithName("cluster-admin"))
	_, err := s.deps.Kube.Clientset().RbacV1().ClusterRoleBindings().
		Apply(ctx, bind, kmetav1.ApplyOptions{FieldManager: fieldManager, Force: true})
	if err != nil {
		return fmt.Errorf("cluster role binding %s: %w", name, err)
	}
	return nil
}

// exceedsInCluster returns the name by which another identity would have rights in the cluster that the caller may lack:
// rights that the cluster binds to a name of ours which is not the caller's there. Callers who may do everything in the
// cluster lack nothing. Who acts as another has its own names only: our roles let it act so, and not the cluster.
func (s *Server) exceedsInCluster(ctx context.Context, caller, other *rpc.Identity) (string, error) {
	foreign := map[subject]bool{}
	caller = caller.Real()
	own := inCluster(caller)
	if name := rpc.ClusterPrefix + other.User; name != own.User {
		foreign[subject{subjectUser, name}] = true
	}
	for _, group := range other.Groups {
		if name := rpc.ClusterPrefix + group; !slices.Contains(own.Groups, name) {
			foreign[subject{subjectGroup, name}] = true
		}
	}
	if len(foreign) == 0 {
		return "", nil
	}
	bound, err := s.boundInCluster(ctx, foreign)
	if bound == "" || err != nil {
		return "", err
	}
	all, err := s.mayDoAllInCluster(ctx, caller)
	if all || err != nil {
		return "", err
	}
	return bound, nil
}

// boundInCluster returns one of the names that a binding of the cluster names.
func (s *Server) boundInCluster(ctx context.Context, names map[subject]bool) (string, error) {
	api := s.deps.Kube.Clientset().RbacV1()
	everywhere, err := api.ClusterRoleBindings().List(ctx, kmetav1.ListOptions{})
	if err != nil {
		return "", fmt.Errorf("auth: list the cluster's cluster role bindings: %w", err)
	}
	for i := range everywhere.Items {
		if name := named(everywhere.Items[i].Subjects, names); name != "" {
			return name, nil
		}
	}
	within, err := api.RoleBindings("").List(ctx, kmetav1.ListOptions{})
	if err != nil {
		return "", fmt.Errorf("auth: list the cluster's role bindings: %w", err)
	}
	for i := range within.Items {
		if name := named(within.Items[i].Subjects, names); name != "" {
			return name, nil
		}
	}
	return "", nil
}

func named(subjects []rbacv1.Subject, names map[subject]bool) string {
	for _, s := range subjects {
		if names[subject{s.Kind, s.Name}] {
			return s.Name
		}
	}
	return ""
}

// mayDoAllInCluster asks the cluster whether the caller, under the name that it knows, may do everything.
func (s *Server) mayDoAllInCluster(ctx context.Context, caller *rpc.Identity) (bool, error) {
	return s.reviews.allows(ctx, caller, rpc.Attributes{Verb: wildcard, Group: wildcard, Resource: wildcard})
}
