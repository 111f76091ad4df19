// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// compactionKey names the key by which the processes of an installation share the work of compaction.
const compactionKey = "compaction"

// mark tells which revision was the newest at a time.
type mark struct {
	Revision int64 `json:"revision"`
	Unix     int64 `json:"unix"`
}

// compact notes the newest revision, and removes the versions up to the newest revision that was noted KeepRevisions ago. Of
// several processes, one does it in each interval, and is told so.
func (s *Store) compact(ctx context.Context) (mine bool, err error) {
	call, cancel := s.limit(ctx)
	defer cancel()
	path := s.keys.internal(compactionKey)
	resp, err := s.client.Get(call, path)
	if err != nil {
		return false, fmt.Errorf("read the marks: %w", err)
	}
	var marks []mark
	var version int64
	if len(resp.Kvs) > 0 {
		version = resp.Kvs[0].ModRevision
		if err := json.Unmarshal(resp.Kvs[0].Value, &marks); err != nil {
			s.log.Warn("the marks of compaction are not understood; they start anew", "key", path, "error", err)
		}
	}
	now := s.opts.Now()
	marks, target, due := nextMarks(marks, mark{resp.Header.Revision, now.Unix()}, s.opts.CompactionInterval, s.opts.KeepRevisions)
	if !due {
		return false, nil
	}
	value, err := json.Marshal(marks)
	if err != nil {
		return false, fmt.Errorf("encode the marks: %w", err)
	}
	txn, err := s.client.Txn(call).
		If(clientv3.Compare(clientv3.ModRevision(path), "=", version)).
		Then(clientv3.OpPut(path, string(value))).Commit()
	if err != nil {
		return false, fmt.Errorf("write the marks: %w", err)
	}
	if !txn.Succeeded || target == 0 {
		return txn.Succeeded, nil
	}
	if _, err := s.client.Compact(call, target); err != nil && !errors.Is(err, rpctypes.ErrCompacted) {
		return false, fmt.Errorf("compact to revision %d: %w", target, err)
	}
	s.metrics.compacted.Set(float64(target))
	s.log.Debug("compacted etcd", "revision", target)
	return true, nil
}

// nextMarks adds the mark of now, and returns the revision up to which versions can go, 0 if none. It is not due while the
// newest mark is younger than about an interval: another process made it.
func nextMarks(marks []mark, now mark, interval, keep time.Duration) (next []mark, target int64, due bool) {
	for _, m := range marks {
		age := time.Duration(now.Unix-m.Unix) * time.Second
		switch {
		case age < 0:
			// Its process' clock is ahead; it would keep versions for too long.
		case age < interval*3/4:
			return marks, 0, false
		case age >= keep:
			target = max(target, m.Revision)
		default:
			next = append(next, m)
		}
	}
	return append(next, now), target, true
}
