// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/encoding/protowire"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
)

const (
	// keptGenerations is how many states an object's history has at most, besides the one that it is in.
	keptGenerations = 20
	// pastSegment is the part of the keyspace that holds past generations. No API group can have its name.
	pastSegment = "_history"
)

// The fields of a past generation as it lies in etcd, in protobuf's wire format.
const (
	pastReplaced protowire.Number = 1
	pastRevision protowire.Number = 2
	pastValue    protowire.Number = 3
)

// Version is a state that an object was in before a change of its generation.
type Version struct {
	// Generation of the state.
	Generation int64
	// Object is the state, as it was just before the change, with the resourceVersion that it had.
	Object Object
	// Replaced is when the next generation took its place.
	Replaced time.Time
}

// past is the prefix of the past generations of an object, whatever its uid, with a slash at its end.
func (s keyspace) past(k kinds.Kind, key Key) string {
	return s.pastKind(k) + namespaceSegment(key) + "/" + key.Name + "/"
}

// pastKind is the prefix of the past generations of all objects of a kind.
func (s keyspace) pastKind(k kinds.Kind) string {
	return s.prefix + "/" + pastSegment + strings.TrimPrefix(s.kind(k), s.prefix)
}

// generation is the key of one past generation. Keys sort by generation.
func (s keyspace) generation(k kinds.Kind, key Key, uid string, generation int64) string {
	return fmt.Sprintf("%s%s/%020d", s.past(k, key), uid, generation)
}

func namespaceSegment(key Key) string {
	if key.Namespace == "" {
		return clusterSegment
	}
	return key.Namespace
}

// keepGeneration adds to op that the state before is kept, and that of the states kept only the newest stay.
func (s *Store) keepGeneration(k kinds.Kind, op *Operation, current *stored) error {
	m := current.object.GetMetadata()
	path := s.keys.generation(k, op.Key, m.GetUid(), m.GetGeneration())
	value, err := s.seal(k, path, encodePast(s.opts.Now(), current.revision, current.value))
	if err != nil {
		return err
	}
	op.put(path, value, current.lease)
	if oldest := m.GetGeneration() - keptGenerations + 1; oldest > 1 {
		op.remove(s.keys.past(k, op.Key), s.keys.generation(k, op.Key, m.GetUid(), oldest))
	}
	return nil
}

// History returns the states that an object was in before the changes of its generation, newest first, at most 20. The state
// that it is in is not among them. The history of an object goes with it.
func (s *Store) History(ctx context.Context, k kinds.Kind, key Key) (versions []Version, err error) {
	defer s.metrics.observe(ctx, "history", k, &err)()
	path, err := s.keys.object(k, key)
	if err != nil {
		return nil, err
	}
	call, cancel := s.limit(ctx)
	defer cancel()
	// Both in one transaction: of one revision.
	resp, err := s.client.Txn(call).Then(
		clientv3.OpGet(path),
		clientv3.OpGet(s.keys.past(k, key), clientv3.WithPrefix(), clientv3.WithSort(clientv3.SortByKey, clientv3.SortDescend)),
	).Commit()
	if err != nil {
		return nil, s.etcdError(ctx, err)
	}
	now := resp.Responses[0].GetResponseRange().GetKvs()
	if len(now) == 0 {
		return nil, apierror.NotFound(ResourceOf(k), key.Name)
	}
	current, err := s.decodeStored(k, path, now[0].Value, now[0].ModRevision)
	if err != nil {
		return nil, err
	}
	own := s.keys.past(k, key) + current.object.GetMetadata().GetUid() + "/"
	for _, kv := range resp.Responses[1].GetResponseRange().GetKvs() {
		text, mine := strings.CutPrefix(string(kv.Key), own)
		if !mine || len(versions) == keptGenerations {
			continue
		}
		v, err := s.decodePast(k, string(kv.Key), kv.Value)
		if err != nil {
			return nil, err
		}
		if v.Generation, err = strconv.ParseInt(text, 10, 64); err != nil {
			return nil, apierror.Internal(fmt.Errorf("etcd key %q: %w", kv.Key, err))
		}
		versions = append(versions, v)
	}
	return versions, nil
}

// decodePast decodes what etcd holds for a past generation.
func (s *Store) decodePast(k kinds.Kind, path string, raw []byte) (Version, error) {
	plain, err := s.open(k, path, raw)
	if err != nil {
		return Version{}, err
	}
	replaced, revision, value, err := parsePast(plain)
	if err != nil {
		return Version{}, apierror.Internal(fmt.Errorf("etcd key %q: %w", path, err))
	}
	obj, err := decode(k, value, revision)
	if err != nil {
		return Version{}, apierror.Internal(fmt.Errorf("etcd key %q: %w", path, err))
	}
	return Version{Object: obj, Replaced: replaced}, nil
}

// encodePast is what is kept of a state: when it was replaced, the revision that had written it, and its bytes.
func encodePast(replaced time.Time, revision int64, value []byte) []byte {
	const head = 32 // more than the tags and numbers before value take
	b := make([]byte, 0, head+len(value))
	b = protowire.AppendTag(b, pastReplaced, protowire.VarintType)
	b = protowire.AppendVarint(b, uint64(replaced.UnixMilli()))
	b = protowire.AppendTag(b, pastRevision, protowire.VarintType)
	b = protowire.AppendVarint(b, uint64(revision))
	b = protowire.AppendTag(b, pastValue, protowire.BytesType)
	return protowire.AppendBytes(b, value)
}

// parsePast is the reverse of encodePast. It passes over fields of later versions.
func parsePast(b []byte) (replaced time.Time, revision int64, value []byte, err error) {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return time.Time{}, 0, nil, fmt.Errorf("a past generation does not decode: %w", protowire.ParseError(n))
		}
		b = b[n:]
		var v uint64
		switch {
		case number == pastValue && kind == protowire.BytesType:
			value, n = protowire.ConsumeBytes(b)
		case kind == protowire.VarintType:
			v, n = protowire.ConsumeVarint(b)
		default:
			n = protowire.ConsumeFieldValue(number, kind, b)
		}
		if n < 0 {
			return time.Time{}, 0, nil, fmt.Errorf("a past generation does not decode: %w", protowire.ParseError(n))
		}
		b = b[n:]
		switch {
		case number == pastReplaced && kind == protowire.VarintType:
			replaced = time.UnixMilli(int64(v))
		case number == pastRevision && kind == protowire.VarintType:
			revision = int64(v)
		}
	}
	if value == nil {
		return time.Time{}, 0, nil, errors.New("a past generation holds no object")
	}
	return replaced, revision, value, nil
}
