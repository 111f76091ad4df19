// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"fmt"
	"testing"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	"fairlead.dev/services/internal/rpc"
)

// A call costs a check of its token and one of its right, whatever number of bindings there are. The limit is one
// Ed25519 verification.
func BenchmarkAuthenticateAndAuthorize(b *testing.B) {
	i := install(b)
	p := i.start(b)
	made, err := p.auth.tokens.mint(b.Context(), tokenSpec{user: "user-7", lifetime: p.auth.cfg.TokenLifetime})
	if err != nil {
		b.Fatal(err)
	}
	ctx := b.Context()
	for n := range 1000 {
		name := fmt.Sprintf("user-%d", n)
		if _, err := p.auth.deps.Store.Create(ctx, p.auth.kinds.clusterRoleBinding, clusterBinding(name, "view", &authv1.Subject{Kind: "User", Name: name})); err != nil {
			b.Fatal(err)
		}
	}
	a := rpc.Attributes{Verb: "get", Group: builds, Resource: "builds", Namespace: "shop", Name: "web"}
	p.eventually(b, func() bool { return len(p.auth.policy.index()) > 1000 })
	for b.Loop() {
		id, err := p.auth.Authenticator().Authenticate(ctx, made.token)
		if err != nil {
			b.Fatal(err)
		}
		if err := p.auth.Authorizer().Authorize(ctx, id, a); err != nil {
			b.Fatal(err)
		}
	}
}
