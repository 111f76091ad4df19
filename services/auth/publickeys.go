// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"

	"github.com/golang-jwt/jwt/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
)

// RotateKeys makes a new signing key.
func (t *tokenService) RotateKeys(ctx context.Context, r *authv1.RotateKeysRequest) (*authv1.RotateKeysResponse, error) {
	key, err := t.server.keys.rotate(ctx, r.GetDropPrevious())
	if err != nil {
		return nil, unavailable(err)
	}
	return &authv1.RotateKeysResponse{KeyId: key.id, SignsFrom: timestamppb.New(key.from)}, nil
}

// SignIn tells where to sign in.
func (t *tokenService) SignIn(context.Context, *authv1.SignInRequest) (*authv1.SignInResponse, error) {
	target, _ := t.server.kubeconfigTarget() // without it there is no URL to tell
	res := &authv1.SignInResponse{Url: target.url, CertificateAuthority: target.ca}
	for _, i := range t.server.issuers.Public() {
		res.Issuers = append(res.Issuers, &authv1.SignInIssuer{Url: i.URL, Audiences: i.Audiences, CertificateAuthority: i.Authority})
	}
	return res, nil
}

// Keys answers with the public keys.
func (t *tokenService) Keys(ctx context.Context, _ *authv1.KeysRequest) (*authv1.KeysResponse, error) {
	set, err := t.server.keys.get(ctx)
	if err != nil {
		return nil, unavailable(err)
	}
	target, _ := t.server.kubeconfigTarget() // without it there is no URL to tell
	res := &authv1.KeysResponse{Issuer: t.server.cfg.Issuer, Url: target.url}
	for _, key := range set.all() {
		res.Keys = append(res.Keys, &authv1.PublicKey{Id: key.id, Algorithm: jwt.SigningMethodEdDSA.Alg(), Ed25519: key.public()})
	}
	return res, nil
}
