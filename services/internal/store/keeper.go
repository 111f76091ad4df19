// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
	"strconv"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// keepersKey names the keys by which the processes that look after etcd queue up.
const keepersKey = "keepers/"

// leaveTimeout bounds how long a process that ends takes to give its place up.
const leaveTimeout = time.Second

// keeper is a process's place in the queue of those that look after etcd: the first compacts and defragments, and makes space,
// so that two never take two members away at once. The place is taken beforehand, since an etcd that is full takes no key.
type keeper struct {
	path string
	// gone is closed when the place may be lost.
	gone <-chan struct{}
}

// lost tells whether there is no place, or it may be lost.
func (k *keeper) lost() bool {
	if k.path == "" {
		return true
	}
	select {
	case <-k.gone:
		return true
	default:
		return false
	}
}

// queue takes a place until ctx ends. It outlasts a defragmentation, in which nobody may answer.
func (s *Store) queue(ctx context.Context) (*keeper, error) {
	call, cancel := s.limit(ctx)
	defer cancel()
	lease, err := s.client.Grant(call, int64(2*defragmentTimeout.Seconds()))
	if err != nil {
		return &keeper{}, fmt.Errorf("queue up to look after etcd: %w", err)
	}
	path := s.keys.internal(keepersKey) + strconv.FormatInt(int64(lease.ID), 16)
	if _, err := s.client.Put(call, path, "", clientv3.WithLease(lease.ID)); err != nil {
		return &keeper{}, fmt.Errorf("queue up to look after etcd: %w", err)
	}
	alive, err := s.client.KeepAlive(ctx, lease.ID)
	if err != nil {
		return &keeper{}, fmt.Errorf("keep the place among those that look after etcd: %w", err)
	}
	gone := make(chan struct{})
	s.caches.spawn(func() {
		defer close(gone)
		for range alive {
		}
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
		defer cancel()
		_, _ = s.client.Revoke(end, lease.ID) // else it expires
	})
	return &keeper{path: path, gone: gone}, nil
}

// first tells whether it is k's turn to look after etcd. While nobody has a place, as when etcd was full before anybody
// started, it is everybody's.
func (s *Store) first(ctx context.Context, k *keeper) (bool, error) {
	call, cancel := s.limit(ctx)
	defer cancel()
	resp, err := s.client.Get(call, s.keys.internal(keepersKey), clientv3.WithFirstCreate()...)
	if err != nil {
		return false, fmt.Errorf("read whose turn it is to look after etcd: %w", err)
	}
	return len(resp.Kvs) == 0 || string(resp.Kvs[0].Key) == k.path, nil
}

// turn tells whether it is this process's turn, for which it takes a place when it has none.
func (s *Store) turn(ctx context.Context, k *keeper) (bool, error) {
	if k.lost() {
		next, err := s.queue(ctx)
		if err != nil {
			s.log.Debug("no place among those that look after etcd; it is tried again", "error", err)
		}
		*k = *next
	}
	return s.first(ctx, k)
}
