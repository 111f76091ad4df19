// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"

	mvccpb "go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/store/encryption"
)

// reencryptPasses is how often all values are looked through, while others write them.
const reencryptPasses = 5

// seal returns what is written to etcd under path for a value: the value itself, or its encrypted form where the kind asks for
// it.
func (s *Store) seal(k kinds.Kind, path string, value []byte) ([]byte, error) {
	if !k.Encrypted {
		return value, nil
	}
	if s.opts.Encryption == nil {
		return nil, apierror.Unavailable(0, "%s are encrypted at rest, and this server has no encryption keys; start it with some", ResourceOf(k))
	}
	sealed, err := s.opts.Encryption.Seal(path, value)
	if err != nil {
		return nil, apierror.Internal(err)
	}
	return sealed, nil
}

// open is the reverse of seal. It also takes what was written while the kind was not encrypted.
func (s *Store) open(_ kinds.Kind, path string, raw []byte) ([]byte, error) {
	if !encryption.Encrypted(raw) {
		return raw, nil
	}
	err := errors.New("this process has no encryption keys")
	if s.opts.Encryption != nil {
		var value []byte
		if value, err = s.opts.Encryption.Open(path, raw); err == nil {
			return value, nil
		}
	}
	s.log.Error("a value in etcd cannot be decrypted; give the server the key that it names, or restore it from a backup", "key", path, "error", err)
	return nil, apierror.Internal(err)
}

// Reencrypt rewrites the objects of k, and their history, that are under another key than the current one; and where k has come
// to be encrypted, or to be so no more, those that are still as they were. It returns how many values it wrote. Objects get a
// new resourceVersion by it. Every process must have the current key before.
func (s *Store) Reencrypt(ctx context.Context, k kinds.Kind) (written int, err error) {
	defer s.metrics.observe(ctx, "reencrypt", k, &err)()
	for range reencryptPasses {
		again := false
		for _, prefix := range []string{s.keys.kind(k), s.keys.pastKind(k)} {
			n, raced, err := s.reencryptBelow(ctx, k, prefix)
			written, again = written+n, again || raced
			if err != nil {
				return written, err
			}
		}
		if !again {
			return written, nil
		}
	}
	return written, apierror.Unavailable(retryAfter, "some %s change too often to be encrypted anew beside; try again", ResourceOf(k))
}

// reencryptBelow rewrites what is below a prefix, and tells whether anything changed meanwhile and may need it still.
func (s *Store) reencryptBelow(ctx context.Context, k kinds.Kind, prefix string) (written int, raced bool, err error) {
	start, end := prefix, clientv3.GetPrefixRangeEnd(prefix)
	for {
		call, cancel := s.limit(ctx)
		resp, err := s.client.Get(call, start, clientv3.WithRange(end), clientv3.WithLimit(listChunk))
		cancel()
		if err != nil {
			return written, raced, s.etcdError(ctx, err)
		}
		for _, kv := range resp.Kvs {
			if s.sealedWell(k, kv.Value) {
				continue
			}
			done, err := s.reencryptOne(ctx, k, kv)
			if err != nil {
				return written, raced, err
			}
			if !done {
				raced = true
				continue
			}
			written++
		}
		if !resp.More {
			return written, raced, nil
		}
		start = string(resp.Kvs[len(resp.Kvs)-1].Key) + "\x00"
	}
}

// sealedWell tells whether a value is as seal would make it now.
func (s *Store) sealedWell(k kinds.Kind, raw []byte) bool {
	if !k.Encrypted || !encryption.Encrypted(raw) {
		return k.Encrypted == encryption.Encrypted(raw)
	}
	id, err := encryption.KeyID(raw)
	return err == nil && s.opts.Encryption != nil && id == s.opts.Encryption.Current()
}

// reencryptOne rewrites a value, unless it has changed.
func (s *Store) reencryptOne(ctx context.Context, k kinds.Kind, kv *mvccpb.KeyValue) (bool, error) {
	path := string(kv.Key)
	value, err := s.open(k, path, kv.Value)
	if err != nil {
		return false, err
	}
	if value, err = s.seal(k, path, value); err != nil {
		return false, err
	}
	call, cancel := s.limit(ctx)
	defer cancel()
	compare := guarded(ctx, clientv3.Compare(clientv3.ModRevision(path), "=", kv.ModRevision))
	resp, err := s.client.Txn(call).If(compare...).Then(clientv3.OpPut(path, string(value), clientv3.WithLease(clientv3.LeaseID(kv.Lease)))).Commit()
	if err != nil {
		return false, s.writeError(ctx, err)
	}
	return resp.Succeeded, nil
}
