// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package platform

import (
	"context"
	"log/slog"
	"time"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/store"
)

// reencryptAgain is after how long it is tried again to rewrite what was not.
const reencryptAgain = 30 * time.Second

// reencryption rewrites what lies in etcd under old keys, at its start and when the keys change, so that an operator can take
// an old key out once it is said to be done. No kind is encrypted today: it has work from the first `encrypted: true` on.
type reencryption struct {
	kinds []kinds.Kind
	// rewrite is Store.Reencrypt.
	rewrite func(context.Context, kinds.Kind) (written int, err error)
	// changed tells of other keys.
	changed <-chan struct{}
	log     *slog.Logger
}

// run rewrites until ctx ends. It is for one process of those that share the kinds: two would do all twice.
func (r *reencryption) run(ctx context.Context) error {
	for {
		var again <-chan time.Time
		if !r.all(ctx) {
			again = time.After(reencryptAgain)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-r.changed:
		case <-again:
		}
	}
}

// all rewrites the objects of each kind that is encrypted, and tells whether that is done.
func (r *reencryption) all(ctx context.Context) (done bool) {
	done = true
	for _, k := range r.kinds {
		if !k.Encrypted {
			continue
		}
		written, err := r.rewrite(ctx, k)
		switch {
		case ctx.Err() != nil:
			return false
		case err != nil:
			done = false
			r.log.WarnContext(ctx, "not all is under the current encryption key; it is tried again, and until then old keys are needed",
				"kind", store.ResourceOf(k), "rewritten", written, "error", err, "after", reencryptAgain)
		default:
			r.log.InfoContext(ctx, "all is under the current encryption key", "kind", store.ResourceOf(k), "rewritten", written)
		}
	}
	return done
}

// reencrypt rewrites what this process serves, in one process of its name, until ctx ends.
func (b *Platform) reencrypt(ctx context.Context) error {
	r := &reencryption{kinds: b.Kinds(), rewrite: b.store.Reencrypt, changed: b.keysChanged, log: b.process.Log()}
	return b.lease.Group("encryption-"+b.process.Name(), 1).Lead(ctx, r.run)
}
