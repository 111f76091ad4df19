// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package encryption encrypts what the store keeps in etcd.
//
// It is an envelope: each process encrypts with a data key of its own, AES-256-GCM, and writes that key beside each value,
// encrypted under a key of the operator's. A value names the key that it needs, and is bound to its place in etcd, so that
// it does not decrypt when it is put in the place of another.
//
//	0x00 "FLE" 1 | length, id of the key | data key: nonce, ciphertext | nonce, ciphertext
//
// No encoded object starts with a zero byte, so that values written before a kind was encrypted are told apart.
package encryption
