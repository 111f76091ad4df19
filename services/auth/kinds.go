// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
)

// Group is the API group of auth's kinds.
const Group = "auth.fairlead.dev"

const (
	kindRole        = "Role"
	kindClusterRole = "ClusterRole"

	subjectUser           = "User"
	subjectGroup          = "Group"
	subjectServiceAccount = "ServiceAccount"
)

// authKinds are the kinds that auth owns.
type authKinds struct {
	role, clusterRole, roleBinding, clusterRoleBinding, serviceAccount kinds.Kind
}

func findKinds() (authKinds, error) {
	var k authKinds
	for _, f := range []struct {
		into    *kinds.Kind
		message proto.Message
	}{
		{&k.role, &authv1.Role{}},
		{&k.clusterRole, &authv1.ClusterRole{}},
		{&k.roleBinding, &authv1.RoleBinding{}},
		{&k.clusterRoleBinding, &authv1.ClusterRoleBinding{}},
		{&k.serviceAccount, &authv1.ServiceAccount{}},
	} {
		found, ok := kinds.ByMessage(f.message.ProtoReflect().Descriptor().FullName())
		if !ok {
			return k, fmt.Errorf("auth: %T is no kind", f.message)
		}
		*f.into = found
	}
	return k, nil
}

// rights are the kinds from which the policy follows.
func (k authKinds) rights() []kinds.Kind {
	return []kinds.Kind{k.role, k.clusterRole, k.roleBinding, k.clusterRoleBinding}
}

func resourceOf(k kinds.Kind) apierror.Resource {
	return apierror.Resource{Group: k.Group, Plural: k.Plural, Kind: k.Kind}
}
