// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"fairlead.dev/services/internal/apierror"
)

// startTimeout is how long a call waits for a server that has just begun.
const startTimeout = 10 * time.Second

// revocations knows which tokens are revoked. They lie in etcd until their tokens have expired anyway, and every process
// watches them.
type revocations struct {
	client *clientv3.Client
	prefix string
	log    *slog.Logger
	signal *signal
	// loaded is closed when what is in etcd has been read once.
	loaded chan struct{}
	once   sync.Once

	mu      sync.RWMutex
	revoked map[string]struct{}
}

func newRevocations(client *clientv3.Client, prefix string, log *slog.Logger, changed *signal) *revocations {
	return &revocations{
		client: client, prefix: "/" + strings.Trim(prefix, "/") + "/_auth/revoked-tokens/", log: log, signal: changed,
		loaded: make(chan struct{}), revoked: map[string]struct{}{},
	}
}

// add revokes the token of an id until it expires by itself.
func (r *revocations) add(ctx context.Context, id string, left time.Duration) error {
	lease, err := r.client.Grant(ctx, int64(left/time.Second)+60)
	if err != nil {
		return fmt.Errorf("auth: revoke a token: %w", err)
	}
	if _, err := r.client.Put(ctx, r.prefix+id, "", clientv3.WithLease(lease.ID)); err != nil {
		return fmt.Errorf("auth: revoke a token: %w", err)
	}
	r.mu.Lock()
	r.revoked[id] = struct{}{}
	r.mu.Unlock()
	r.signal.raise()
	return nil
}

// has tells whether the token of an id is revoked.
func (r *revocations) has(ctx context.Context, id string) (bool, error) {
	if err := waitFor(ctx, r.loaded, "revocations have not been read yet"); err != nil {
		return false, err
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	_, revoked := r.revoked[id]
	return revoked, nil
}

// waitFor waits for something that happens when a server begins.
func waitFor(ctx context.Context, happened <-chan struct{}, what string) error {
	select {
	case <-happened:
		return nil
	default:
	}
	timer := time.NewTimer(startTimeout)
	defer timer.Stop()
	select {
	case <-happened:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return apierror.Unavailable(time.Second, "the server is starting: %s; try again in a moment", what)
	}
}

// follow keeps the revocations as etcd has them, until ctx ends.
func (r *revocations) follow(ctx context.Context) {
	for ctx.Err() == nil {
		retry(ctx, r.log, "follow revocations", r.watch)
	}
}

// watch reads all revocations and then their changes. It returns nil when they have to be read anew.
func (r *revocations) watch(ctx context.Context) error {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	read, done := context.WithTimeout(ctx, startTimeout)
	defer done()
	all, err := r.client.Get(read, r.prefix, clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	revoked := make(map[string]struct{}, len(all.Kvs))
	for _, kv := range all.Kvs {
		revoked[strings.TrimPrefix(string(kv.Key), r.prefix)] = struct{}{}
	}
	r.mu.Lock()
	r.revoked = revoked
	r.mu.Unlock()
	r.signal.raise()
	r.once.Do(func() { close(r.loaded) })
	for response := range r.client.Watch(ctx, r.prefix, clientv3.WithPrefix(), clientv3.WithRev(all.Header.Revision+1)) {
		if err := response.Err(); err != nil {
			return fmt.Errorf("watch: %w", err)
		}
		r.apply(response.Events)
	}
	return nil
}

func (r *revocations) apply(events []*clientv3.Event) {
	r.mu.Lock()
	defer r.signal.raise() // after the lock is gone
	defer r.mu.Unlock()
	for _, e := range events {
		id := strings.TrimPrefix(string(e.Kv.Key), r.prefix)
		if e.Type == clientv3.EventTypeDelete {
			delete(r.revoked, id)
			continue
		}
		r.revoked[id] = struct{}{}
	}
}
