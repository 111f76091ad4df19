// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	// fullInterval is the time between looks at an etcd that is full, when no write asks for one.
	fullInterval = 5 * time.Second
	// fullRest is the least time between two of them.
	fullRest = time.Second
	// roomy is the share of the quota, in percent, that a database must be below before writes are allowed again.
	roomy = 95
	// worthIt is the share of the quota, in percent, that must be in use at most for a defragmentation to help.
	worthIt = 90
)

// relief is what is known of an etcd that is or was full.
type relief struct {
	full bool
	// revision up to which everything was compacted last.
	revision int64
	// notBefore is when to look again at the earliest.
	notBefore time.Time
}

// rest keeps relief from taking more than a tenth of the time, since a member that defragments answers nobody.
func (r *relief) rest(took time.Duration) {
	r.notBefore = time.Now().Add(max(fullRest, 10*took))
}

// relieve makes space when etcd is full: it compacts all versions, since that takes space that writes need more, defragments
// where this helps, and lets writes in again when every member has space. A full etcd reads and deletes, so that whoever
// deletes enough gets it going.
func (s *Store) relieve(ctx context.Context, r *relief) error {
	alarms, err := s.alarms(ctx)
	if err != nil {
		return err
	}
	known := r.full
	if r.full = len(alarms) > 0; !r.full {
		return nil
	}
	start := time.Now()
	defer func() { r.rest(time.Since(start)) }()
	if !known {
		s.log.Error("etcd is full: its quota of disk space is used up, so that nothing can be written; " +
			"delete what is not needed, or raise the quota. Writes are let in again when there is space")
	}
	before := r.revision
	if r.revision, err = s.compactAll(ctx); err != nil {
		return err
	}
	full := false
	for _, endpoint := range s.members() {
		room, err := s.makeRoom(ctx, endpoint, r.revision > before)
		if err != nil {
			return fmt.Errorf("member %s: %w", endpoint, err)
		}
		full = full || !room
	}
	if full {
		return nil
	}
	call, cancel := s.limit(ctx)
	defer cancel()
	for _, alarm := range alarms {
		if _, err := s.client.AlarmDisarm(call, alarm); err != nil {
			return fmt.Errorf("clear the alarm: %w", err)
		}
	}
	s.log.Info("etcd has space again, and takes writes")
	r.full = false
	return nil
}

// alarms are those of members without space.
func (s *Store) alarms(ctx context.Context) ([]*clientv3.AlarmMember, error) {
	call, cancel := s.limit(ctx)
	defer cancel()
	resp, err := s.client.AlarmList(call)
	if err != nil {
		return nil, fmt.Errorf("list the alarms: %w", err)
	}
	var out []*clientv3.AlarmMember
	for _, a := range resp.Alarms {
		if a.Alarm == etcdserverpb.AlarmType_NOSPACE {
			out = append(out, &clientv3.AlarmMember{MemberID: a.MemberID, Alarm: a.Alarm})
		}
	}
	return out, nil
}

// compactAll removes all versions up to the newest revision, which it returns when that is done.
func (s *Store) compactAll(ctx context.Context) (int64, error) {
	revision, err := s.currentRevision(ctx)
	if err != nil {
		return 0, fmt.Errorf("read the revision: %w", err)
	}
	call, cancel := context.WithTimeout(ctx, defragmentTimeout)
	defer cancel()
	if _, err := s.client.Compact(call, revision, clientv3.WithCompactPhysical()); err != nil && !errors.Is(err, rpctypes.ErrCompacted) {
		return 0, fmt.Errorf("compact to revision %d: %w", revision, err)
	}
	return revision, nil
}

// makeRoom defragments a member, where this helps, and returns whether it has room then. moved tells that something was
// written or deleted since the last time; etcd may still count it as in use.
func (s *Store) makeRoom(ctx context.Context, endpoint string, moved bool) (bool, error) {
	status, err := s.status(ctx, endpoint)
	if err != nil {
		return false, err
	}
	quota := status.DbSizeQuota
	if quota == 0 {
		return false, errors.New("etcd does not tell its quota; clear the alarm by hand (etcdctl alarm disarm)")
	}
	if status.DbSize*100 < quota*roomy {
		return true, nil
	}
	if !moved && status.DbSizeInUse*100 > quota*worthIt {
		return false, nil
	}
	if err := s.defragment(ctx, endpoint, status); err != nil {
		return false, err
	}
	if status, err = s.status(ctx, endpoint); err != nil {
		return false, err
	}
	return status.DbSize*100 < quota*roomy, nil
}
