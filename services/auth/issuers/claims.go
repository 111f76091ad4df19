// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package issuers

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"fairlead.dev/services/internal/rpc"
)

const (
	// reservedPrefix begins the names that are Kubernetes' and Fairlead's own. No issuer gives them.
	reservedPrefix = "system:"
	// maxNameBytes bounds the names of users and groups.
	maxNameBytes = 1024
	// maxGroups bounds how many groups a token may name.
	maxGroups = 1000
	// extraCredentialID is under which a token's id is told, as Kubernetes does.
	extraCredentialID = "authentication.kubernetes.io/credential-id"
)

// authenticator is an issuer as it was configured.
type authenticator struct {
	url, discovery string
	authority      string         // PEM
	roots          *x509.CertPool // nil for those of the system
	audiences      []string

	required []rule
	username source
	groups   source
	uid      source
	extra    []extraSource
	users    []condition
}

// source is where a part of an identity comes from: a claim, or an expression.
type source struct {
	claim, prefix string
	expression    *expression
}

func (s source) none() bool { return s.claim == "" && s.expression == nil }

type extraSource struct {
	source

	key string
}

// rule is what a token must say: a claim with a value, or what a condition says.
type rule struct {
	condition

	claim, value string
}

// condition is an expression that must be true, and what is said where it is not.
type condition struct {
	expression *expression
	message    string
}

// refusal is why a token that its issuer signed is not taken. It is told to its bearer, and holds nothing of the token but
// names of claims.
type refusal struct{ text string }

func (r *refusal) Error() string { return r.text }

func refuse(format string, args ...any) error { return &refusal{fmt.Sprintf(format, args...)} }

func (c condition) check(ctx context.Context, of map[string]any, what string) error {
	ok, err := c.expression.holds(ctx, of)
	switch {
	case err != nil:
		return refuse("a %s rule cannot be applied to it", what)
	case ok:
		return nil
	case c.message != "":
		return refuse("%s", c.message)
	}
	return refuse("it does not fulfil a %s rule", what)
}

// identity makes an identity of a token's claims.
func (a *authenticator) identity(ctx context.Context, payload []byte) (*rpc.Identity, error) {
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		return nil, refuse("its claims are no JSON object")
	}
	of := map[string]any{varClaims: claims}
	for _, r := range a.required {
		if r.claim == "" {
			if err := r.check(ctx, of, "claim validation"); err != nil {
				return nil, err
			}
			continue
		}
		if value, ok := claims[r.claim].(string); !ok || value != r.value {
			return nil, refuse("its claim %q does not have the value that is required", r.claim)
		}
	}
	id := &rpc.Identity{Source: rpc.SourceOIDC}
	for _, part := range []func(context.Context, map[string]any, map[string]any, *rpc.Identity) error{a.setUser, a.setGroups, a.setUID, a.setExtra} {
		if err := part(ctx, claims, of, id); err != nil {
			return nil, err
		}
	}
	if err := a.validateUser(ctx, id); err != nil {
		return nil, err
	}
	if jti, ok := claims["jti"].(string); ok && jti != "" && clean(jti) {
		if id.Extra == nil {
			id.Extra = map[string][]string{}
		}
		id.Extra[extraCredentialID] = []string{"JTI=" + jti}
	}
	return id, nil
}

func (a *authenticator) setUser(ctx context.Context, claims, of map[string]any, id *rpc.Identity) error {
	name, err := a.username.text(ctx, claims, of)
	switch {
	case err != nil, name == "":
		return refuse("%s gives no user", a.username.said("username"))
	case a.username.claim == claimEmail:
		if verified, told := claims["email_verified"]; told && verified != true {
			return refuse("its email address is not verified")
		}
	}
	id.User = a.username.prefix + name
	switch {
	case strings.HasPrefix(id.User, reservedPrefix):
		return refuse("names that begin with %q are not its issuer's to give", reservedPrefix)
	case !clean(id.User):
		return refuse("%s gives no name that can be used: only up to %d bytes of printable characters are, without a space at the ends", a.username.said("username"), maxNameBytes)
	}
	return nil
}

// setGroups leaves out what no issuer can give: names that are reserved, and such as could not be written down elsewhere.
func (a *authenticator) setGroups(ctx context.Context, claims, of map[string]any, id *rpc.Identity) error {
	if a.groups.none() {
		return nil
	}
	names, err := a.groups.texts(ctx, claims, of)
	if err != nil {
		return refuse("%s gives no groups: text or a list of it is expected", a.groups.said("groups"))
	}
	if len(names) > maxGroups {
		return refuse("it names %d groups; %d are the most", len(names), maxGroups)
	}
	for _, name := range names {
		if name = a.groups.prefix + name; !strings.HasPrefix(name, reservedPrefix) && clean(name) {
			id.Groups = append(id.Groups, name)
		}
	}
	return nil
}

func (a *authenticator) setUID(ctx context.Context, claims, of map[string]any, id *rpc.Identity) error {
	if a.uid.none() {
		return nil
	}
	uid, err := a.uid.text(ctx, claims, of)
	if err != nil || uid != "" && !clean(uid) {
		return refuse("%s gives no uid", a.uid.said("uid"))
	}
	id.UID = uid
	return nil
}

func (a *authenticator) setExtra(ctx context.Context, claims, of map[string]any, id *rpc.Identity) error {
	for _, e := range a.extra {
		values, err := e.texts(ctx, claims, of)
		if err != nil {
			return refuse("the expression of the extra %q gives no text", e.key)
		}
		if len(values) == 0 {
			continue
		}
		if id.Extra == nil {
			id.Extra = map[string][]string{}
		}
		id.Extra[e.key] = values
	}
	return nil
}

func (a *authenticator) validateUser(ctx context.Context, id *rpc.Identity) error {
	if len(a.users) == 0 {
		return nil
	}
	groups, extra := id.Groups, id.Extra
	if groups == nil {
		groups = []string{}
	}
	if extra == nil {
		extra = map[string][]string{}
	}
	of := map[string]any{varUser + ".username": id.User, varUser + ".uid": id.UID, varUser + ".groups": groups, varUser + ".extra": extra}
	for _, c := range a.users {
		if err := c.check(ctx, of, "user validation"); err != nil {
			return err
		}
	}
	return nil
}

// said names the source in an error.
func (s source) said(of string) string {
	if s.claim != "" {
		return fmt.Sprintf("its claim %q", s.claim)
	}
	return "the expression of the " + of
}

var errNoText = errors.New("the claim is no text")

func (s source) text(ctx context.Context, claims, of map[string]any) (string, error) {
	if s.expression != nil {
		return s.expression.text(ctx, of)
	}
	value, ok := claims[s.claim]
	if !ok {
		return "", nil
	}
	text, ok := value.(string)
	if !ok {
		return "", errNoText
	}
	return text, nil
}

func (s source) texts(ctx context.Context, claims, of map[string]any) ([]string, error) {
	if s.expression != nil {
		return s.expression.texts(ctx, of)
	}
	switch value := claims[s.claim].(type) {
	case nil:
		return nil, nil
	case string:
		if value == "" {
			return nil, nil
		}
		return []string{value}, nil
	case []any:
		var out []string
		for _, one := range value {
			text, ok := one.(string)
			if !ok {
				return nil, errNoText
			}
			if text != "" {
				out = append(out, text)
			}
		}
		return out, nil
	}
	return nil, errNoText
}

// clean tells whether a name comes through HTTP headers and logs as it is.
func clean(name string) bool {
	return len(name) <= maxNameBytes && utf8.ValidString(name) && strings.TrimSpace(name) == name &&
		!strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsGraphic(r) })
}
