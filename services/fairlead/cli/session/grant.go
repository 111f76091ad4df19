// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/oauth2"
)

const (
	// requestTimeout is how long an issuer may take to answer.
	requestTimeout = 30 * time.Second
	// renewBefore is how long before its end a token is renewed, so that it does not end under way.
	renewBefore = 30 * time.Second
	// scopeOffline asks for a refresh token.
	scopeOffline = "offline_access"
)

// Grant is what an issuer gave to a client, or what it takes to ask for it.
type Grant struct {
	// Issuer is the issuer's URL.
	Issuer string
	// IssuerCA is the PEM of the certificates by which it is known, in base64 as kubeconfigs have it; empty for those of
	// the system.
	IssuerCA string
	// ClientID and ClientSecret are those of the client; most have no secret.
	ClientID, ClientSecret string
	// IDToken is the token.
	IDToken string
	// RefreshToken gets the next one; empty where the issuer gave none.
	RefreshToken string
}

// Client is a client of an issuer.
type Client struct {
	grant    Grant
	http     *http.Client
	provider *oidc.Provider
	config   oauth2.Config
}

// NewClient asks an issuer of itself. Scopes are asked for beside those that it has of the usual ones.
func NewClient(ctx context.Context, g Grant, scopes ...string) (*Client, error) {
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}, DisableKeepAlives: true}
	if g.IssuerCA != "" {
		pem, err := base64.StdEncoding.DecodeString(g.IssuerCA)
		pool := x509.NewCertPool()
		if err != nil || !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("the certificates of issuer %s are none in PEM", g.Issuer)
		}
		transport.TLSClientConfig.RootCAs = pool
	}
	c := &Client{grant: g, http: &http.Client{Transport: transport, Timeout: requestTimeout}}
	var err error
	if c.provider, err = oidc.NewProvider(c.context(ctx), g.Issuer); err != nil {
		return nil, fmt.Errorf("issuer %s: %w", g.Issuer, err)
	}
	var told struct {
		Scopes []string `json:"scopes_supported"`
	}
	if err := c.provider.Claims(&told); err != nil {
		return nil, fmt.Errorf("issuer %s: %w", g.Issuer, err)
	}
	wanted := []string{oidc.ScopeOpenID}
	for _, usual := range []string{scopeOffline, "profile", "email", "groups"} {
		if slices.Contains(told.Scopes, usual) || len(told.Scopes) == 0 && usual == scopeOffline {
			wanted = append(wanted, usual)
		}
	}
	for _, scope := range scopes {
		if !slices.Contains(wanted, scope) {
			wanted = append(wanted, scope)
		}
	}
	c.config = oauth2.Config{ClientID: g.ClientID, ClientSecret: g.ClientSecret, Endpoint: c.provider.Endpoint(), Scopes: wanted}
	return c, nil
}

// context has requests made by the client's own way.
func (c *Client) context(ctx context.Context) context.Context { return oidc.ClientContext(ctx, c.http) }

var errNoIDToken = errors.New("the issuer gave no id_token: is it an OpenID Connect issuer, and may the client have the scope openid?")

// take takes the tokens of an answer. The nonce is that of the request; empty where there was none.
func (c *Client) take(ctx context.Context, token *oauth2.Token, nonce string) (*Grant, error) {
	raw, ok := token.Extra("id_token").(string)
	if !ok || raw == "" {
		return nil, errNoIDToken
	}
	checked, err := c.provider.Verifier(&oidc.Config{ClientID: c.grant.ClientID}).Verify(c.context(ctx), raw)
	if err != nil {
		return nil, fmt.Errorf("the issuer gave a token that is not good: %w", err)
	}
	if nonce != "" && checked.Nonce != nonce {
		return nil, errors.New("the issuer gave a token that was not asked for here; sign in again")
	}
	g := c.grant
	g.IDToken, g.RefreshToken = raw, cmp.Or(token.RefreshToken, g.RefreshToken)
	return &g, nil
}

// ErrSignIn tells that there is nothing for it but to sign in anew.
var ErrSignIn = errors.New("sign in again: fairlead login")

// Fresh returns the grant with a token that holds: its own, or, once that ends, the next one.
func (g *Grant) Fresh(ctx context.Context) (*Grant, error) {
	if expires := Expires(g.IDToken); expires.IsZero() || time.Now().Add(renewBefore).Before(expires) {
		return g, nil
	}
	if g.RefreshToken == "" {
		return nil, fmt.Errorf("the token has expired, and its issuer gave none to renew it with; %w", ErrSignIn)
	}
	c, err := NewClient(ctx, *g)
	if err != nil {
		return nil, err
	}
	token, err := c.config.TokenSource(c.context(ctx), &oauth2.Token{RefreshToken: g.RefreshToken}).Token()
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		return nil, fmt.Errorf("the token has expired, and its issuer does not renew it (%s); %w", cmp.Or(refused.ErrorCode, refused.Response.Status), ErrSignIn)
	}
	if err != nil {
		return nil, fmt.Errorf("renew the token at %s: %w", g.Issuer, err)
	}
	return c.take(ctx, token, "")
}

// Expires tells when a token ends; zero where it does not say so, or is no JWT. Nothing of it is verified.
func Expires(token string) time.Time {
	var claims jwt.RegisteredClaims
	if _, _, err := jwt.NewParser().ParseUnverified(token, &claims); err != nil || claims.ExpiresAt == nil {
		return time.Time{}
	}
	return claims.ExpiresAt.Time
}

// ID returns a token's id; empty where it has none, or is no JWT. Nothing of it is verified.
func ID(token string) string {
	var claims jwt.RegisteredClaims
	if _, _, err := jwt.NewParser().ParseUnverified(token, &claims); err != nil {
		return ""
	}
	return claims.ID
}
