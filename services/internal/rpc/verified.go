// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"crypto/sha256"
	"sync"
	"sync/atomic"
	"time"
)

// maxVerified bounds how many tokens are remembered.
const maxVerified = 10_000

// verified remembers whom tokens stand for, since checking a signature costs more than most calls. What it remembers it
// forgets when the authenticator says that its answers change, so that a revoked token is worthless at once; and it
// remembers nothing of an authenticator that does not say so, of tokens of the cluster, and of those without an end.
type verified struct {
	authn    Authenticator
	changing Changing
	now      func() time.Time
	round    atomic.Pointer[verifiedRound]
}

// verifiedRound is what is remembered between two changes.
type verifiedRound struct {
	over <-chan struct{}

	mu    sync.RWMutex
	known map[[sha256.Size]byte]*Identity
}

// remember returns an authenticator that gives the answers of another one, sooner.
func remember(authn Authenticator, now func() time.Time) Authenticator {
	changing, ok := authn.(Changing)
	if !ok {
		return authn
	}
	return &verified{authn: authn, changing: changing, now: now}
}

func (v *verified) Changed() <-chan struct{} { return v.changing.Changed() }

// Authenticate tells who holds a token. The identity is shared between calls.
func (v *verified) Authenticate(ctx context.Context, token string) (*Identity, error) {
	key := sha256.Sum256([]byte(token))
	round := v.current()
	if id := round.get(key); id != nil && v.now().Before(id.Expires) {
		return id, nil
	}
	id, err := v.authn.Authenticate(ctx, token)
	if err != nil {
		return nil, err
	}
	if id != nil && !id.Source.OfCluster() && !id.Expires.IsZero() {
		round.put(key, id) // into the round in which the question was asked: if that is over, nobody sees it
	}
	return id, nil
}

func (v *verified) current() *verifiedRound {
	round := v.round.Load()
	if round != nil && !closed(round.over) {
		return round
	}
	next := &verifiedRound{over: v.changing.Changed(), known: map[[sha256.Size]byte]*Identity{}}
	if v.round.CompareAndSwap(round, next) {
		return next
	}
	return v.round.Load()
}

func (r *verifiedRound) get(key [sha256.Size]byte) *Identity {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.known[key]
}

func (r *verifiedRound) put(key [sha256.Size]byte, id *Identity) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.known) >= maxVerified {
		clear(r.known)
	}
	r.known[key] = id
}

// closed tells whether a channel that nobody sends on is closed; nil never is.
func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
