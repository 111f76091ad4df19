// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"testing"

	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/rpc"
)

// TestUsersOfTheClusterAreNotOurs gives a user and a group of the cluster nothing of what those of the same name have here,
// whichever way they are known; its service accounts have what bindings give to that name.
func TestUsersOfTheClusterAreNotOurs(t *testing.T) {
	p := install(t).start(t)
	account := "system:serviceaccount:ci:robot"
	p.give(t, "eve", user("eve"), rule("get", builds, "builds"))
	p.give(t, "robot", user(account), rule("get", builds, "builds"))
	get := rpc.Attributes{Verb: "get", Group: builds, Resource: "builds", Namespace: "a", Name: "b"}
	for _, source := range []rpc.Source{rpc.SourceCluster, rpc.SourceClusterCertificate, rpc.SourceFrontProxy} {
		for _, id := range []*rpc.Identity{{User: "eve"}, {User: "x", Groups: []string{GroupAdmins}}, {User: UserAdmin}} {
			id.Source = source
			if err := p.auth.Authorizer().Authorize(t.Context(), id, get); !apierror.Is(err, apierror.ReasonForbidden) {
				t.Errorf("%+v: %v", id, err)
			}
		}
		if err := p.auth.Authorizer().Authorize(t.Context(), &rpc.Identity{User: account, Source: source}, get); err != nil {
			t.Errorf("%s: %v", source, err)
		}
	}
	for _, source := range []rpc.Source{"", rpc.SourceToken, rpc.SourceOIDC, rpc.SourceUserCertificate} {
		if err := p.auth.Authorizer().Authorize(t.Context(), &rpc.Identity{User: "eve", Source: source}, get); err != nil {
			t.Errorf("ours, by %q: %v", source, err)
		}
	}
}
