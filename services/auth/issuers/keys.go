// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package issuers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"golang.org/x/time/rate"
)

// algorithms are those by which a token may be signed: none that shares its key with others, and not `none`.
func algorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{
		jose.RS256, jose.RS384, jose.RS512, jose.ES256, jose.ES384, jose.ES512, jose.PS256, jose.PS384, jose.PS512, jose.EdDSA,
	}
}

const (
	// strangersEvery and strangersAtOnce bound how often unknown keys have an issuer asked for its keys, so that made-up
	// tokens do not.
	strangersEvery, strangersAtOnce = 10 * time.Second, 3
	// keysTimeout is how long an issuer may take to tell its keys.
	keysTimeout = 10 * time.Second
)

// keySet is the keys of an issuer: those that it last told of. A key that it no longer tells of is worthless from then on.
type keySet struct {
	client *http.Client
	// strangers is asked before the issuer is, about a key that is not known.
	strangers *rate.Limiter
	// changed is called when the keys are others.
	changed func()

	fetching sync.Mutex // held by the one who asks the issuer

	mu    sync.Mutex
	url   string
	keys  []jose.JSONWebKey
	round int // how often the issuer was asked
}

func newKeySet(client *http.Client, changed func()) *keySet {
	return &keySet{client: client, changed: changed, strangers: rate.NewLimiter(rate.Every(strangersEvery), strangersAtOnce)}
}

var (
	errUnknownKey = errors.New("the token's key is none of its issuer's")
	errAway       = errors.New("the issuer does not tell its keys")
)

// VerifySignature implements oidc.KeySet. The error is errAway where it is not known whether the signature is good.
func (k *keySet) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	signed, err := jose.ParseSignedCompact(token, algorithms())
	if err != nil || len(signed.Signatures) != 1 {
		return nil, errUnknownKey
	}
	keys, round := k.known()
	payload, ok := verify(signed, keys)
	if ok {
		return payload, nil
	}
	if len(keys) > 0 && hasKey(signed, keys) {
		return nil, errUnknownKey // the key is known, and the signature is not its
	}
	if !k.strangers.Allow() {
		return nil, errUnknownKey
	}
	if err := k.refresh(ctx, round); err != nil {
		return nil, errAway
	}
	keys, _ = k.known()
	if payload, ok = verify(signed, keys); ok {
		return payload, nil
	}
	return nil, errUnknownKey
}

func (k *keySet) known() ([]jose.JSONWebKey, int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.keys, k.round
}

// verify returns what a signed token says, if one of the keys signed it.
func verify(signed *jose.JSONWebSignature, keys []jose.JSONWebKey) ([]byte, bool) {
	header := signed.Signatures[0].Header
	for i := range keys {
		if header.KeyID != "" && keys[i].KeyID != header.KeyID || keys[i].Algorithm != "" && keys[i].Algorithm != header.Algorithm {
			continue
		}
		if payload, err := signed.Verify(&keys[i]); err == nil {
			return payload, true
		}
	}
	return nil, false
}

func hasKey(signed *jose.JSONWebSignature, keys []jose.JSONWebKey) bool {
	id := signed.Signatures[0].Header.KeyID
	for i := range keys {
		if id != "" && keys[i].KeyID == id {
			return true
		}
	}
	return false
}

// from says where the keys are.
func (k *keySet) from(url string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.url = url
}

// refresh asks the issuer for its keys, unless that was done since the round that the caller has seen.
func (k *keySet) refresh(ctx context.Context, seen int) error {
	k.fetching.Lock()
	defer k.fetching.Unlock()
	k.mu.Lock()
	url, round := k.url, k.round
	k.mu.Unlock()
	if round != seen {
		return nil
	}
	keys, err := k.fetch(ctx, url)
	if err != nil {
		return err
	}
	k.mu.Lock()
	same := slices.EqualFunc(k.keys, keys, func(a, b jose.JSONWebKey) bool {
		return a.KeyID == b.KeyID && a.Algorithm == b.Algorithm && reflect.DeepEqual(a.Key, b.Key)
	})
	k.keys, k.round = keys, round+1
	k.mu.Unlock()
	if !same {
		k.changed()
	}
	return nil
}

func (k *keySet) fetch(ctx context.Context, url string) ([]jose.JSONWebKey, error) {
	// Whoever waits for it must not have it stopped for others.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keysTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("jwks_uri: %w", err)
	}
	res, err := k.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("read its keys: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("read its keys from %s: %s", url, res.Status)
	}
	var set jose.JSONWebKeySet
	if err := json.NewDecoder(res.Body).Decode(&set); err != nil {
		return nil, fmt.Errorf("read its keys from %s: %w", url, err)
	}
	var out []jose.JSONWebKey
	for _, key := range set.Keys {
		if key.Valid() && key.IsPublic() && (key.Use == "" || key.Use == "sig") {
			out = append(out, key)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s holds no public key for signatures", url)
	}
	return out, nil
}

var _ oidc.KeySet = (*keySet)(nil)
