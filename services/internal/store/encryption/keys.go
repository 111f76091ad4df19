// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package encryption

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
)

const (
	// keySize is the size of all keys: AES-256.
	keySize = 32
	// sealsPerDataKey is how many values a data key encrypts before the next is made. Nonces are random, and may be for 2³².
	sealsPerDataKey = 1 << 24
	// maxOpened is how many data keys of others are remembered.
	maxOpened = 1024
)

// validID is what ids of keys look like.
var validID = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)

// ErrUnknownKey is wrapped by the error for a value whose key is not there.
var ErrUnknownKey = errors.New("its key is not among the keys given")

// Keys are the operator's keys: one that encrypts, and others that still decrypt. They may be used by many goroutines. Nothing
// that Keys prints or returns holds key material.
type Keys struct {
	mu      sync.Mutex
	current string
	byID    map[string]cipher.AEAD
	// data is the data key in use.
	data *dataKey
	// opened are data keys that were met, by their encrypted form.
	opened map[string]cipher.AEAD
}

// dataKey is a key that encrypts values.
type dataKey struct {
	aead cipher.AEAD
	// header starts each value that it encrypts: the id of the operator's key, and this key, encrypted under it.
	header []byte
	seals  int
}

// New makes Keys of keys by id, each of 32 bytes. What is written is encrypted under the current one.
func New(current string, keys map[string][]byte) (*Keys, error) {
	k := &Keys{}
	if err := k.Replace(current, keys); err != nil {
		return nil, err
	}
	return k, nil
}

// Replace puts other keys in place, without a restart. Values under keys that are left out cannot be read any more. On an
// error, the keys before stay.
func (k *Keys) Replace(current string, keys map[string][]byte) error {
	byID := make(map[string]cipher.AEAD, len(keys))
	for _, id := range slices.Sorted(maps.Keys(keys)) {
		if !validID.MatchString(id) {
			// Not named: a key that was put in the place of its id must not be shown.
			return errors.New("the id of an encryption key has letters, digits, dots, underscores and hyphens, and at most 63 of them")
		}
		if len(keys[id]) != keySize {
			return fmt.Errorf("encryption key %q has %d bytes, want %d: make one with `head -c 32 /dev/urandom | base64`", id, len(keys[id]), keySize)
		}
		aead, err := newAEAD(keys[id])
		if err != nil {
			return fmt.Errorf("encryption key %q: %w", id, err)
		}
		byID[id] = aead
	}
	if byID[current] == nil {
		return fmt.Errorf("the id of the current encryption key is none of those given, which are %s", strings.Join(slices.Sorted(maps.Keys(byID)), ", "))
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.current, k.byID = current, byID
	k.data, k.opened = nil, map[string]cipher.AEAD{}
	return nil
}

// Current is the id of the key under which values are encrypted.
func (k *Keys) Current() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.current
}

// IDs are the ids of all keys, sorted.
func (k *Keys) IDs() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Sorted(maps.Keys(k.byID))
}

// String tells the ids, and nothing of the keys.
func (k *Keys) String() string {
	return fmt.Sprintf("encryption keys %s, current %s", strings.Join(k.IDs(), ", "), k.Current())
}

// GoString is String, so that no way to print Keys shows more.
func (k *Keys) GoString() string { return k.String() }

// dataKeyNow returns the data key to encrypt one value with, made anew when the one before is used up.
func (k *Keys) dataKeyNow() (cipher.AEAD, []byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.data == nil || k.data.seals >= sealsPerDataKey {
		made, err := newDataKey(k.current, k.byID[k.current])
		if err != nil {
			return nil, nil, err
		}
		k.data = made
	}
	k.data.seals++
	return k.data.aead, k.data.header, nil
}

// dataKeyOf returns the data key that a value's header holds.
func (k *Keys) dataKeyOf(h header) (cipher.AEAD, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	kek := k.byID[h.id]
	if kek == nil {
		return nil, fmt.Errorf("the value is encrypted under key %q: %w", h.id, ErrUnknownKey)
	}
	if aead := k.opened[string(h.raw)]; aead != nil {
		return aead, nil
	}
	key, err := kek.Open(nil, h.wrapped[:nonceSize], h.wrapped[nonceSize:], wrapData(h.id))
	if err != nil {
		return nil, fmt.Errorf("the value says that it is encrypted under key %q, which does not open it: the key or the value is another", h.id)
	}
	aead, err := newAEAD(key)
	clear(key)
	if err != nil {
		return nil, err
	}
	if len(k.opened) >= maxOpened {
		clear(k.opened)
	}
	k.opened[string(h.raw)] = aead
	return aead, nil
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, errors.New("it is no AES key")
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("AES-GCM: %w", err)
	}
	return aead, nil
}
