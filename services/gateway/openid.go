// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"encoding/base64"
	"net/http"
	"time"

	"google.golang.org/grpc"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	"fairlead.dev/services/internal/apierror"
)

// The paths at which anyone finds the keys that sign tokens, as kube-apiserver has them.
const (
	pathOpenID = "/.well-known/openid-configuration"
	pathJWKS   = "/openid/v1/jwks"
	// keysAge is for how long others may remember the keys: less than a new key is known before it signs.
	keysAge = "max-age=60"
)

// openID tells everyone how to check our tokens.
type openID struct{ client authv1.TokenServiceClient }

func newOpenID(conn *grpc.ClientConn) *openID {
	return &openID{client: authv1.NewTokenServiceClient(conn)}
}

func (*openID) handles(path string) bool { return path == pathOpenID || path == pathJWKS }

// jwk is a public key as RFC 8037 writes it.
type jwk struct {
	KeyType   string `json:"kty"`
	Curve     string `json:"crv"`
	Algorithm string `json:"alg"`
	Use       string `json:"use"`
	KeyID     string `json:"kid"`
	X         string `json:"x"`
}

// ServeHTTP answers with the keys, or with where they are. It asks for no token.
func (o *openID) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		writeError(w, apierror.New(apierror.ReasonMethodNotAllowed, "%s can only be read", r.URL.Path))
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
	defer cancel()
	res, err := o.client.Keys(ctx, &authv1.KeysRequest{})
	if err != nil {
		writeError(w, apierror.FromStatus(err))
		return
	}
	w.Header().Set("Cache-Control", "public, "+keysAge)
	if r.URL.Path == pathJWKS {
		keys := make([]jwk, 0, len(res.GetKeys()))
		for _, k := range res.GetKeys() {
			keys = append(keys, jwk{
				KeyType: "OKP", Curve: "Ed25519", Algorithm: k.GetAlgorithm(), Use: "sig", KeyID: k.GetId(),
				X: base64.RawURLEncoding.EncodeToString(k.GetEd25519()),
			})
		}
		writeJSON(w, http.StatusOK, map[string]any{"keys": keys})
		return
	}
	if res.GetUrl() == "" {
		writeError(w, apierror.Unavailable(time.Second, "the server does not know its own address yet; try again in a moment"))
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"issuer": res.GetIssuer(), "jwks_uri": res.GetUrl() + pathJWKS, "response_types_supported": []string{"id_token"},
		"subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"EdDSA"},
	})
}
