// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
	"time"
)

const (
	// defragmentTimeout bounds a defragmentation, during which the member answers nobody.
	defragmentTimeout = time.Minute
	// quotaWarning is the share of the quota, in percent, from which the log warns.
	quotaWarning = 80
)

// maintain gives disk space that compaction freed back to the system, one member of etcd after another, and warns before the
// quota is used up. A member is defragmented when less than half of a database of some size is in use.
func (s *Store) maintain(ctx context.Context) error {
	endpoints := s.client.Endpoints()
	if len(endpoints) == 0 {
		endpoints = []string{""} // the embedded member
	}
	for _, endpoint := range endpoints {
		if err := s.maintainMember(ctx, endpoint); err != nil {
			return fmt.Errorf("member %s: %w", endpoint, err)
		}
	}
	return nil
}

func (s *Store) maintainMember(ctx context.Context, endpoint string) error {
	call, cancel := s.limit(ctx)
	defer cancel()
	status, err := s.client.Status(call, endpoint)
	if err != nil {
		return fmt.Errorf("read the status: %w", err)
	}
	s.metrics.database.WithLabelValues(endpoint, "allocated").Set(float64(status.DbSize))
	s.metrics.database.WithLabelValues(endpoint, "used").Set(float64(status.DbSizeInUse))
	if quota := status.DbSizeQuota; quota > 0 && status.DbSizeInUse*100 > quota*quotaWarning {
		s.log.Warn("etcd's space runs out: when its quota is reached, nothing can be written; raise it, or delete what is not needed",
			"endpoint", endpoint, "used", status.DbSizeInUse, "quota", quota)
	}
	if status.DbSize < s.opts.DefragmentBytes || status.DbSizeInUse*2 > status.DbSize {
		return nil
	}
	call, cancel = context.WithTimeout(ctx, defragmentTimeout)
	defer cancel()
	start := s.opts.Now()
	if _, err := s.client.Defragment(call, endpoint); err != nil {
		return fmt.Errorf("defragment: %w", err)
	}
	s.log.Info("defragmented etcd", "endpoint", endpoint, "bytes", status.DbSize, "used", status.DbSizeInUse, "took", s.opts.Now().Sub(start))
	return nil
}
