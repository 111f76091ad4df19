// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/rpc"
)

const (
	// maxTokenBytes bounds what is parsed of what strangers send.
	maxTokenBytes = 16 << 10
	howToRenew    = "ask for a new one with fairlead.auth.v1.TokenService/Issue, or ask who issued it"
)

// claims are what a token says.
type claims struct {
	jwt.RegisteredClaims

	Groups []string `json:"groups,omitempty"`
}

// tokenSpec is a token before it is signed.
type tokenSpec struct {
	user      string
	groups    []string
	audiences []string
	lifetime  time.Duration
}

// issued is a token. It must never be logged.
type issued struct {
	token   string
	id      string
	expires time.Time
}

// tokens makes tokens and checks them.
type tokens struct {
	cfg         Config
	keys        *keyring
	revocations *revocations
	now         func() time.Time
}

// mint makes a token for whom the spec names. Whether it may be made is for the caller to know.
func (t *tokens) mint(ctx context.Context, spec tokenSpec) (*issued, error) {
	set, err := t.keys.get(ctx)
	if err != nil {
		return nil, unavailable(err)
	}
	now := t.now()
	expires := now.Add(spec.lifetime).Truncate(time.Second)
	id, err := newTokenID(expires)
	if err != nil {
		return nil, err
	}
	audiences := spec.audiences
	if len(audiences) == 0 {
		audiences = []string{t.cfg.Audience}
	}
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, &claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: t.cfg.Issuer, Subject: spec.user, Audience: audiences, ID: id,
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(expires),
		},
		Groups: spec.groups,
	})
	key := set.signer(now)
	token.Header["kid"] = key.id
	signed, err := token.SignedString(key.private)
	if err != nil {
		return nil, fmt.Errorf("auth: sign a token: %w", err)
	}
	return &issued{token: signed, id: id, expires: expires}, nil
}

// Authenticate returns whom a token stands for. No error holds any part of the token.
func (t *tokens) Authenticate(ctx context.Context, token string) (*rpc.Identity, error) {
	c, err := t.verify(ctx, token)
	if err != nil {
		return nil, err
	}
	revoked, err := t.revocations.has(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	if revoked {
		return nil, apierror.Unauthorized("the token has been revoked; %s", howToRenew)
	}
	return &rpc.Identity{User: c.Subject, Groups: c.Groups, TokenID: c.ID, Expires: c.ExpiresAt.Time, Source: rpc.SourceToken}, nil
}

// verify checks all of a token but whether it is revoked.
func (t *tokens) verify(ctx context.Context, token string) (*claims, error) {
	if len(token) > maxTokenBytes {
		return nil, apierror.Unauthorized("what was sent as a token is too long for one; send one that was issued here")
	}
	set, err := t.keys.get(ctx)
	if err != nil {
		return nil, unavailable(err)
	}
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg()}),
		jwt.WithAudience(t.cfg.Audience),
		jwt.WithExpirationRequired(),
		jwt.WithTimeFunc(t.now),
	)
	c := &claims{}
	_, err = parser.ParseWithClaims(token, c, func(parsed *jwt.Token) (any, error) {
		id, _ := parsed.Header["kid"].(string)
		key, ok := set.byID[id]
		if !ok {
			return nil, errors.New("unknown key")
		}
		return key.public(), nil
	})
	switch {
	case errors.Is(err, jwt.ErrTokenSignatureInvalid), errors.Is(err, jwt.ErrTokenUnverifiable), errors.Is(err, jwt.ErrTokenMalformed):
		return nil, apierror.Unauthorized("the token is none that this installation has issued; %s", howToRenew)
	case errors.Is(err, jwt.ErrTokenExpired):
		return nil, apierror.Unauthorized("the token has expired; %s", howToRenew)
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		return nil, apierror.Unauthorized("the token is for another audience than %q; %s", t.cfg.Audience, howToRenew)
	case err != nil, c.Subject == "", c.ID == "", !slices.Contains(t.cfg.issuers(), c.Issuer):
		return nil, apierror.Unauthorized("the token is not valid; %s", howToRenew)
	}
	return c, nil
}

func unavailable(err error) error {
	return apierror.Unavailable(time.Second, "signing keys cannot be read from the cluster; try again in a moment").Wrap(err)
}

// tokenIDs are the ids that newTokenID makes.
var tokenIDs = regexp.MustCompile(`^[0-9a-z]{1,12}-[0-9a-f]{24}$`)

// newTokenID makes an id that tells when its token expires, so that a revocation need not be kept longer.
func newTokenID(expires time.Time) (string, error) {
	var b [12]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", fmt.Errorf("auth: make a token's id: %w", err)
	}
	return strconv.FormatInt(expires.Unix(), 36) + "-" + hex.EncodeToString(b[:]), nil
}

// expiryOf returns when the token of an id expires; false for what is no id of ours.
func expiryOf(id string) (time.Time, bool) {
	if !tokenIDs.MatchString(id) {
		return time.Time{}, false
	}
	stamp, _, _ := strings.Cut(id, "-")
	seconds, err := strconv.ParseInt(stamp, 36, 64)
	if err != nil {
		return time.Time{}, false
	}
	return time.Unix(seconds, 0), true
}
