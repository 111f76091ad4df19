// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// clockSkew is by how much clocks of processes may differ.
	clockSkew = time.Minute
	// longestWait is after how long keys are looked at again at the latest, for clocks that step.
	longestWait = time.Hour
)

// rotate makes a new key, which signs once every process has had the time to learn of it, and returns it. If there is one
// already that does not sign yet, it is that one. With dropPrevious the new key signs at once, and all others go.
func (k *keyring) rotate(ctx context.Context, dropPrevious bool) (*signingKey, error) {
	var id string
	set, err := k.change(ctx, func(data map[string][]byte, set *keySet) (err error) {
		now := k.now()
		if !dropPrevious {
			if last := set.newest(); last.from.After(now) {
				id = last.id
				return nil
			}
			id, err = addKey(data, now.Add(k.cfg.KeyOverlap))
			return err
		}
		for _, key := range set.all() {
			dropKey(data, key.id)
		}
		id, err = addKey(data, now)
		return err
	})
	if err != nil {
		return nil, err
	}
	return set.byID[id], nil
}

// rotateByTime makes new keys when the newest is old, and drops those whose tokens have all expired, until ctx ends.
func (k *keyring) rotateByTime(ctx context.Context) {
	for ctx.Err() == nil {
		changed := k.signal.next()
		var wait time.Duration
		retry(ctx, k.log, "rotate signing keys", func(ctx context.Context) (err error) {
			wait, err = k.rotateIfDue(ctx)
			return err
		})
		timer := time.NewTimer(min(wait, longestWait))
		select {
		case <-ctx.Done():
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// rotateIfDue rotates keys if it is time, and returns in how long it will be.
func (k *keyring) rotateIfDue(ctx context.Context) (time.Duration, error) {
	set, err := k.get(ctx)
	if err != nil {
		return 0, err
	}
	now := k.now()
	if len(set.spent(now, k.cfg.MaxTokenLifetime)) > 0 || k.old(set, now) {
		set, err = k.change(ctx, func(data map[string][]byte, set *keySet) error {
			for _, key := range set.spent(now, k.cfg.MaxTokenLifetime) {
				dropKey(data, key.id)
			}
			if !k.old(set, now) {
				return nil // another process was faster
			}
			_, err := addKey(data, now.Add(k.cfg.KeyOverlap))
			return err
		})
		if err != nil {
			return 0, err
		}
	}
	due := set.newest().from.Add(k.cfg.KeyRotation)
	if len(set.signing) > 1 {
		if spent := set.signing[1].from.Add(k.cfg.MaxTokenLifetime + clockSkew); spent.Before(due) {
			due = spent
		}
	}
	return max(due.Sub(now), time.Second), nil
}

// old tells whether the newest key has signed for as long as it should.
func (k *keyring) old(set *keySet, now time.Time) bool {
	return !set.newest().from.Add(k.cfg.KeyRotation).After(now)
}

// change changes the entries of the Secret, from the state it has now: of two that do it at the same time one starts anew.
// It returns the keys as they are then. A change that changes nothing writes nothing.
func (k *keyring) change(ctx context.Context, edit func(data map[string][]byte, set *keySet) error) (*keySet, error) {
	if _, err := k.get(ctx); err != nil {
		return nil, err // there must be a Secret to change
	}
	secrets := k.cluster.Clientset().CoreV1().Secrets(k.cluster.SystemNamespace())
	for {
		secret, err := k.own(secrets.Get(ctx, k.secret, kmetav1.GetOptions{}))
		if err != nil {
			return nil, fmt.Errorf("auth: signing keys in Secret %s/%s: %w", k.cluster.SystemNamespace(), k.secret, err)
		}
		before, err := parseKeys(secret.Data)
		if err != nil {
			return nil, fmt.Errorf("auth: Secret %s/%s: %w", k.cluster.SystemNamespace(), k.secret, err)
		}
		wanted := secret.DeepCopy()
		if err := edit(wanted.Data, before); err != nil {
			return nil, fmt.Errorf("auth: %w", err)
		}
		after, err := parseKeys(wanted.Data)
		if err != nil {
			return nil, fmt.Errorf("auth: Secret %s/%s: %w", k.cluster.SystemNamespace(), k.secret, err)
		}
		if sameKeys(before, after) {
			return after, nil
		}
		_, err = secrets.Update(ctx, wanted, kmetav1.UpdateOptions{FieldManager: fieldManager})
		if apierrors.IsConflict(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("auth: write signing keys to Secret %s/%s: %w", k.cluster.SystemNamespace(), k.secret, err)
		}
		k.log.InfoContext(ctx, "auth: signing keys have changed", "newest", after.newest().id, "signs_from", after.newest().from, "keys", len(after.byID))
		k.replace(after)
		return after, nil
	}
}

func sameKeys(a, b *keySet) bool {
	if len(a.byID) != len(b.byID) {
		return false
	}
	for id := range a.byID {
		if b.byID[id] == nil {
			return false
		}
	}
	return true
}
