// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	// keySuffix ends the entries of the Secret that hold keys; what stands before it is the key's id.
	keySuffix = ".pem"
	// fromSuffix ends the entries that tell, in RFC 3339, from when a key signs: until the next one does. A key without
	// one checks tokens, and signs none.
	fromSuffix = ".from"
	// firstKey is the entry that names a key without such an entry, which signed from the beginning.
	firstKey = "current"
	pemType  = "PRIVATE KEY"
)

// signingKey is one key of the Secret.
type signingKey struct {
	id      string
	private ed25519.PrivateKey
	// signs tells that the key signs tokens, from `from` until the next one does.
	signs bool
	from  time.Time
}

// public returns the key by which the signatures are checked.
func (k *signingKey) public() ed25519.PublicKey {
	public, _ := k.private.Public().(ed25519.PublicKey) // crypto.PublicKey, for all keys alike
	return public
}

// keySet is what the Secret holds.
type keySet struct {
	byID map[string]*signingKey
	// signing are the keys that have signed, do, or will, in this order.
	signing []*signingKey
}

// signer returns the key that signs at a time. A clock that is behind all keys gets the first.
func (s *keySet) signer(now time.Time) *signingKey {
	key := s.signing[0]
	for _, next := range s.signing[1:] {
		if !next.from.After(now) {
			key = next
		}
	}
	return key
}

// newest is the last key that was made.
func (s *keySet) newest() *signingKey { return s.signing[len(s.signing)-1] }

// spent returns the keys whose tokens have all expired, given how long a token lives at most.
func (s *keySet) spent(now time.Time, lifetime time.Duration) []*signingKey {
	var out []*signingKey
	for i, key := range s.signing[:len(s.signing)-1] {
		if s.signing[i+1].from.Add(lifetime + clockSkew).Before(now) {
			out = append(out, key)
		}
	}
	return out
}

// all returns every key, in an order that stays.
func (s *keySet) all() []*signingKey {
	out := make([]*signingKey, 0, len(s.byID))
	for _, key := range s.byID {
		out = append(out, key)
	}
	slices.SortFunc(out, byAge)
	return out
}

func byAge(a, b *signingKey) int { return cmp.Or(a.from.Compare(b.from), cmp.Compare(a.id, b.id)) }

// parseKeys reads the entries of the Secret. No error repeats any part of a key.
func parseKeys(data map[string][]byte) (*keySet, error) {
	set := &keySet{byID: map[string]*signingKey{}}
	for entry, value := range data {
		id, ok := strings.CutSuffix(entry, keySuffix)
		if !ok {
			continue
		}
		private, err := parseKey(entry, value)
		if err != nil {
			return nil, err
		}
		key := &signingKey{id: id, private: private, signs: id == string(data[firstKey])}
		if from, ok := data[id+fromSuffix]; ok {
			if key.from, err = time.Parse(time.RFC3339, string(bytes.TrimSpace(from))); err != nil {
				return nil, fmt.Errorf("entry %s holds no time such as 2006-01-02T15:04:05Z", id+fromSuffix)
			}
			key.signs = true
		}
		set.byID[id] = key
		if key.signs {
			set.signing = append(set.signing, key)
		}
	}
	if len(set.signing) == 0 {
		return nil, fmt.Errorf("no key signs: there is no entry ID%s with its ID%s", keySuffix, fromSuffix)
	}
	slices.SortFunc(set.signing, byAge)
	return set, nil
}

func parseKey(entry string, value []byte) (ed25519.PrivateKey, error) {
	block, _ := pem.Decode(value)
	if block == nil || block.Type != pemType {
		return nil, fmt.Errorf("entry %s holds no PEM block of type %s", entry, pemType)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("entry %s holds no PKCS #8 key", entry)
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("entry %s holds no Ed25519 key", entry)
	}
	return key, nil
}

// addKey adds a new key to the entries of a Secret, which signs from a time on. Its id derives from it.
func addKey(data map[string][]byte, from time.Time) (string, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", fmt.Errorf("make a key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", fmt.Errorf("encode a key: %w", err)
	}
	sum := sha256.Sum256(public)
	id := hex.EncodeToString(sum[:8])
	if _, ok := data[id+keySuffix]; ok {
		return "", errors.New("make a key: its id is taken")
	}
	data[id+keySuffix] = pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der})
	data[id+fromSuffix] = []byte(from.UTC().Format(time.RFC3339))
	return id, nil
}

// dropKey removes a key from the entries of a Secret.
func dropKey(data map[string][]byte, id string) {
	delete(data, id+keySuffix)
	delete(data, id+fromSuffix)
	if string(data[firstKey]) == id {
		delete(data, firstKey)
	}
}
