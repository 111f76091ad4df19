// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package encryption

import (
	"bytes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
)

const (
	// nonceSize and tagSize are those of AES-GCM.
	nonceSize = 12
	tagSize   = 16
	// wrappedSize is what an encrypted data key takes.
	wrappedSize = nonceSize + keySize + tagSize
)

// magic starts every encrypted value; its last byte is the version of the format.
var magic = []byte{0, 'F', 'L', 'E', 1}

// header is what stands before the ciphertext of a value.
type header struct {
	// raw is the header itself.
	raw []byte
	// id of the key under which the data key is encrypted.
	id string
	// wrapped is the data key, encrypted.
	wrapped []byte
}

// Encrypted tells whether a value is encrypted, or meant to be.
func Encrypted(value []byte) bool { return len(value) > 0 && value[0] == 0 }

// KeyID is the id of the key that an encrypted value needs.
func KeyID(value []byte) (string, error) {
	h, _, err := parse(value)
	return h.id, err
}

// Seal encrypts a value for its place: the key in etcd, without which it does not decrypt.
func (k *Keys) Seal(place string, plain []byte) ([]byte, error) {
	aead, head, err := k.dataKeyNow()
	if err != nil {
		return nil, err
	}
	out := make([]byte, len(head)+nonceSize, len(head)+nonceSize+len(plain)+tagSize)
	copy(out, head)
	nonce := out[len(head):]
	if _, err := rand.Read(nonce); err != nil {
		return nil, fmt.Errorf("make a nonce: %w", err)
	}
	return aead.Seal(out, nonce, plain, []byte(place)), nil
}

// Open is the reverse of Seal.
func (k *Keys) Open(place string, value []byte) ([]byte, error) {
	h, rest, err := parse(value)
	if err != nil {
		return nil, err
	}
	aead, err := k.dataKeyOf(h)
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, rest[:nonceSize], rest[nonceSize:], []byte(place))
	if err != nil {
		return nil, errors.New("the value does not decrypt: it was changed, or belongs to another place")
	}
	return plain, nil
}

// newDataKey makes a data key under the operator's key of an id.
func newDataKey(id string, kek cipher.AEAD) (*dataKey, error) {
	secret := make([]byte, keySize+nonceSize)
	if _, err := rand.Read(secret); err != nil {
		return nil, fmt.Errorf("make a data key: %w", err)
	}
	key, nonce := secret[:keySize], secret[keySize:]
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	head := append(bytes.Clone(magic), byte(len(id)))
	head = append(append(head, id...), nonce...)
	head = kek.Seal(head, nonce, key, wrapData(id))
	clear(secret)
	return &dataKey{aead: aead, header: head}, nil
}

// wrapData binds an encrypted data key to its use.
func wrapData(id string) []byte { return append([]byte("fairlead data key "), id...) }

// parse reads a value's header, and returns what follows: nonce and ciphertext.
func parse(value []byte) (header, []byte, error) {
	rest, ok := bytes.CutPrefix(value, magic)
	if !ok {
		return header{}, nil, errors.New("the value is not encrypted in a way that this version knows")
	}
	if len(rest) == 0 || len(rest) < 1+int(rest[0])+wrappedSize+nonceSize+tagSize {
		return header{}, nil, errors.New("the encrypted value is cut off")
	}
	size := int(rest[0])
	id, rest := string(rest[1:1+size]), rest[1+size:]
	if !validID.MatchString(id) {
		return header{}, nil, errors.New("the encrypted value names no key")
	}
	h := header{raw: value[:len(magic)+1+size+wrappedSize], id: id, wrapped: rest[:wrappedSize]}
	return h, rest[wrappedSize:], nil
}
