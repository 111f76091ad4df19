// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"slices"

	clientv3 "go.etcd.io/etcd/client/v3"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
)

// fenceKey is where a context carries its guards.
type fenceKey struct{}

// WithFence returns a context whose writes happen only while all guards hold, besides those that ctx has already; otherwise
// they fail with a Conflict that wraps ErrFenced. Whoever works under a lease gives the comparison of its key in etcd, so
// that what it still does after losing the lease changes nothing.
func WithFence(ctx context.Context, guards ...clientv3.Cmp) context.Context {
	return context.WithValue(ctx, fenceKey{}, slices.Concat(fenceOf(ctx), guards))
}

// fenceOf returns the guards of a context.
func fenceOf(ctx context.Context) []clientv3.Cmp {
	guards, _ := ctx.Value(fenceKey{}).([]clientv3.Cmp)
	return guards
}

// guarded adds the guards of the context to the comparisons of a write.
func guarded(ctx context.Context, compare ...clientv3.Cmp) []clientv3.Cmp {
	return slices.Concat(compare, fenceOf(ctx))
}

// fenced is the error of a write whose object is as expected, but whose guards do not hold.
func (s *Store) fenced(k kinds.Kind, key Key) error {
	return apierror.Conflict(ResourceOf(k), key.Name, "another process leads by now").Wrap(ErrFenced)
}
