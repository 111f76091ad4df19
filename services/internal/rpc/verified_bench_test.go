// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"fairlead.dev/services/internal/apierror"
)

// signatures is an authenticator that costs what checking a signature costs, and nothing else.
type signatures struct {
	key     ed25519.PublicKey
	id      *Identity
	changed chan struct{}
}

func (s *signatures) Authenticate(_ context.Context, token string) (*Identity, error) {
	signed, signature, _ := strings.Cut(token, "~")
	raw, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil || !ed25519.Verify(s.key, []byte(signed), raw) {
		return nil, apierror.Unauthorized("no")
	}
	return s.id, nil
}

func (s *signatures) Changed() <-chan struct{} { return s.changed }

// The limit of a call's authentication is one look into a map, by the hash of a token.
func BenchmarkAuthenticate(b *testing.B) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		b.Fatal(err)
	}
	claims := strings.Repeat("c", 400)
	token := claims + "~" + base64.RawURLEncoding.EncodeToString(ed25519.Sign(private, []byte(claims)))
	s := &signatures{key: public, id: &Identity{User: "ada", Expires: time.Now().Add(time.Hour)}, changed: make(chan struct{})}
	for name, authn := range map[string]Authenticator{"signature": s, "remembered": remember(s, time.Now)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := authn.Authenticate(b.Context(), token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
