// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
)

// revokeTimeout bounds the end of a lease that nothing uses.
const revokeTimeout = 5 * time.Second

// CreateFor is Create for an object that goes by itself after ttl, to the second, with its history; finalizers do not hold it,
// and changes do not make it last longer. etcd keeps the time, so that it goes whoever runs, and at the earliest when it is
// due: a new leader of etcd counts anew.
func (s *Store) CreateFor(ctx context.Context, k kinds.Kind, obj Object, ttl time.Duration) (created Object, err error) {
	defer s.metrics.observe(ctx, "create", k, &err)()
	if ttl < time.Second {
		return nil, apierror.BadRequest("an object can be kept for a second and longer, and not for %s", ttl)
	}
	if s.dryRun {
		return s.create(ctx, k, obj, 0)
	}
	lease, err := s.grant(ctx, ttl)
	if err != nil {
		return nil, err
	}
	created, err = s.create(ctx, k, obj, int64(lease))
	if err != nil {
		s.revoke(ctx, lease) // with what may have been written after all
		return nil, err
	}
	return created, nil
}

func (s *Store) grant(ctx context.Context, ttl time.Duration) (clientv3.LeaseID, error) {
	call, cancel := s.limit(ctx)
	defer cancel()
	seconds := int64((ttl + time.Second - 1) / time.Second)
	resp, err := s.client.Grant(call, seconds)
	if err != nil {
		return 0, s.writeError(ctx, err)
	}
	return resp.ID, nil
}

// revoke ends a lease, if etcd answers; otherwise it ends by itself.
func (s *Store) revoke(ctx context.Context, lease clientv3.LeaseID) {
	call, cancel := context.WithTimeout(context.WithoutCancel(ctx), revokeTimeout)
	defer cancel()
	if _, err := s.client.Revoke(call, lease); err != nil {
		s.log.Debug("a lease that nothing uses was not ended; it ends by itself", "lease", lease, "error", err)
	}
}
