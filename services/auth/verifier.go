// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"fairlead.dev/services/auth/issuers"
	"fairlead.dev/services/internal/rpc"
)

// Verifier tells who callers are and what they may do. Every process that serves has one, so that none asks another: it
// follows the keys in the cluster, and revocations, roles and bindings in etcd.
type Verifier struct {
	cfg         Config
	deps        Deps
	kinds       authKinds
	keys        *keyring
	revocations *revocations
	policy      *policy
	tokens      *tokens
	reviews     *accessReviews
	issuers     *issuers.Set

	authn *authenticator
	authz *authorizer
}

// NewVerifier makes a Verifier. It asks nothing of store or cluster yet. Processes that serve auth's kinds take the one of
// their Server instead.
func NewVerifier(cfg Config, deps Deps) (*Verifier, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Store == nil || deps.Etcd == nil || deps.Kube == nil {
		return nil, errors.New("auth: Deps needs Store, Etcd and Kube")
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	k, err := findKinds()
	if err != nil {
		return nil, err
	}
	changed := newSignal()
	believed, err := newIssuers(cfg, deps.Log, changed)
	if err != nil {
		return nil, err
	}
	v := &Verifier{
		cfg: cfg, deps: deps, kinds: k,
		keys:        newKeyring(deps.Kube, cfg, deps.Log, changed),
		revocations: newRevocations(deps.Etcd, cfg.Prefix, deps.Log, changed),
		policy:      newPolicy(deps.Store, k),
		reviews:     newAccessReviews(deps.Kube), issuers: believed,
	}
	v.tokens = &tokens{cfg: cfg, keys: v.keys, revocations: v.revocations, now: time.Now}
	v.authn = &authenticator{tokens: v.tokens, issuers: believed, cluster: newClusterTokens(deps.Kube, cfg.Audience), signal: changed}
	v.authz = &authorizer{policy: v.policy, reviews: v.reviews}
	return v, nil
}

// newIssuers makes the issuers that are configured.
func newIssuers(cfg Config, log *slog.Logger, changed *signal) (*issuers.Set, error) {
	configured, err := cfg.openIDConnect()
	if err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	believed, err := issuers.New(configured, issuers.Options{Own: cfg.issuers(), Changed: changed.raise, Log: log})
	if err != nil {
		return nil, fmt.Errorf("auth: authentication configuration: %w", err)
	}
	return believed, nil
}

// Run follows keys, revocations, roles and bindings until ctx ends. Until it has begun, calls wait.
func (v *Verifier) Run(ctx context.Context) error {
	v.run(ctx, func() { v.policy.follow(ctx, v.policy.knowsRoles) })
	return nil
}

// run follows what a Verifier goes by, and does what else it is given, until ctx ends.
func (v *Verifier) run(ctx context.Context, others ...func()) {
	var wg sync.WaitGroup
	wg.Go(func() { v.keys.follow(ctx) })
	wg.Go(func() { v.revocations.follow(ctx) })
	wg.Go(func() { v.issuers.Run(ctx) })
	for _, other := range others {
		wg.Go(other)
	}
	wg.Wait()
}

// Authenticator tells who holds a token. It is an rpc.Changing: it tells when tokens are revoked, and keys change.
func (v *Verifier) Authenticator() rpc.Authenticator { return v.authn }

// Authorizer tells what callers may do. It is an rpc.Changing: it tells when roles and bindings change.
func (v *Verifier) Authorizer() rpc.Authorizer { return v.authz }

// Access tells what callers may do in the cluster.
func (v *Verifier) Access() Access { return &access{v.reviews} }

// authenticator knows tokens of ours by their signature, and those of issuers that are believed by theirs, and has the
// cluster say whose the others are.
type authenticator struct {
	tokens  *tokens
	issuers *issuers.Set
	cluster *clusterTokens
	signal  *signal
}

// Authenticate returns whom a token stands for. No error holds any part of the token.
func (a *authenticator) Authenticate(ctx context.Context, token string) (*rpc.Identity, error) {
	if claims, ok := foreign(token, a.tokens.cfg.issuers()); ok {
		if a.issuers.Knows(claims.Issuer) {
			return a.issuers.Authenticate(ctx, claims.Issuer, token) //nolint:wrapcheck // an error of ours
		}
		return a.cluster.authenticate(ctx, token, claims)
	}
	return a.tokens.Authenticate(ctx, token)
}

// Changed returns a channel that is closed when tokens are revoked, or keys change.
func (a *authenticator) Changed() <-chan struct{} { return a.signal.next() }
