// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	// defragmentTimeout bounds a defragmentation, during which the member answers nobody.
	defragmentTimeout = time.Minute
	// quotaWarning is the share of the quota, in percent, from which the log warns, and free space is given back earlier.
	quotaWarning = 80
)

// lookAfter compacts at each interval until ctx ends, and makes space when etcd is full, while it is this process's turn. It
// looks whether etcd is full at intervals too, since the writes that are refused may be those of others.
func (s *Store) lookAfter(ctx context.Context) {
	ticker := time.NewTicker(s.opts.CompactionInterval)
	defer ticker.Stop()
	again := time.NewTimer(0) // it may have been full when another process ended
	defer again.Stop()
	var r relief
	var k keeper
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			s.compactInTurn(ctx, &k)
			continue
		case <-s.full:
		case <-again.C:
		}
		if wait := time.Until(r.notBefore); wait > 0 {
			again.Reset(wait)
			continue
		}
		if err := s.relieveInTurn(ctx, &r, &k); err != nil && ctx.Err() == nil {
			s.log.Warn("it is not known whether etcd has space; it is tried again", "error", err, "after", fullInterval)
			r.full = true
		}
		again.Reset(max(fullInterval, time.Until(r.notBefore)))
	}
}

// relieveInTurn makes space when etcd is full, if it is this process's turn.
func (s *Store) relieveInTurn(ctx context.Context, r *relief, k *keeper) error {
	mine, err := s.turn(ctx, k)
	if err != nil {
		return err
	}
	if !mine {
		*r = relief{}
		return nil
	}
	return s.relieve(ctx, r)
}

// compactInTurn compacts and defragments, if it is this process's turn.
func (s *Store) compactInTurn(ctx context.Context, k *keeper) {
	// A watch of a kind that rests would be taken up again from before the compaction.
	for _, c := range s.caches.all() {
		c.askProgress()
	}
	mine, err := s.turn(ctx, k)
	if err == nil && mine {
		mine, err = s.compact(ctx)
	}
	if err == nil && mine {
		err = s.maintain(ctx)
	}
	if err != nil && ctx.Err() == nil {
		s.log.Warn("etcd was not looked after; it is tried again at the next interval", "error", err)
	}
}

// maintain gives disk space that compaction freed back to the system, one member of etcd after another, and warns before the
// quota is used up. A member is defragmented when less than half of a database of some size is in use.
func (s *Store) maintain(ctx context.Context) error {
	for _, endpoint := range s.members() {
		if err := s.maintainMember(ctx, endpoint); err != nil {
			return fmt.Errorf("member %s: %w", endpoint, err)
		}
	}
	return nil
}

// members are the addresses of etcd's members; one that is empty stands for the embedded one.
func (s *Store) members() []string {
	if endpoints := s.client.Endpoints(); len(endpoints) > 0 {
		return endpoints
	}
	return []string{""}
}

func (s *Store) maintainMember(ctx context.Context, endpoint string) error {
	status, err := s.status(ctx, endpoint)
	if err != nil {
		return err
	}
	crowded := status.DbSizeQuota > 0 && status.DbSize*100 > status.DbSizeQuota*quotaWarning
	if quota := status.DbSizeQuota; quota > 0 && status.DbSizeInUse*100 > quota*quotaWarning {
		s.log.Warn("etcd's space runs out: when its quota is reached, nothing can be written; raise it, or delete what is not needed",
			"endpoint", endpoint, "used", status.DbSizeInUse, "quota", quota)
	}
	switch half := status.DbSizeInUse*2 <= status.DbSize; {
	case half && status.DbSize >= s.opts.DefragmentBytes, crowded && status.DbSizeInUse*4 < status.DbSize*3:
		return s.defragment(ctx, endpoint, status)
	default:
		return nil
	}
}

// status reads how large a member's database is.
func (s *Store) status(ctx context.Context, endpoint string) (*clientv3.StatusResponse, error) {
	call, cancel := s.limit(ctx)
	defer cancel()
	status, err := s.client.Status(call, endpoint)
	if err != nil {
		return nil, fmt.Errorf("read the status: %w", err)
	}
	s.metrics.database.WithLabelValues(endpoint, "allocated").Set(float64(status.DbSize))
	s.metrics.database.WithLabelValues(endpoint, "used").Set(float64(status.DbSizeInUse))
	return status, nil
}

// defragment gives what a member has allocated and does not use back to the system.
func (s *Store) defragment(ctx context.Context, endpoint string, status *clientv3.StatusResponse) error {
	call, cancel := context.WithTimeout(ctx, defragmentTimeout)
	defer cancel()
	start := s.opts.Now()
	if _, err := s.client.Defragment(call, endpoint); err != nil {
		return fmt.Errorf("defragment: %w", err)
	}
	s.log.Info("defragmented etcd", "endpoint", endpoint, "bytes", status.DbSize, "used", status.DbSizeInUse, "took", s.opts.Now().Sub(start))
	return nil
}
