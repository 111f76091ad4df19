// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"time"
)

// asking decides when to ask etcd how far the feed's watch is. Events tell it, mostly; but what is written beside the objects,
// such as leases, moves etcd's revision without one.
type asking struct {
	// stands tells that the watch exists. Asked before, etcd may answer for others on the stream, in a way that looks like
	// this watch's.
	stands bool
	// pending is a question from before that.
	pending bool
	// target is the revision that somebody waits for while the timer is armed.
	target int64
	timer  *time.Timer
	armed  bool
	// asked tells that the timer is armed to ask once more.
	asked bool
}

// created notes that the watch exists.
func (a *asking) created(ctx context.Context, f *feed) error {
	if a.stands {
		return nil
	}
	a.stands = true
	f.stands.Store(true)
	a.soon(f)
	if !a.pending {
		return nil
	}
	return a.now(ctx, f)
}

// now asks.
func (a *asking) now(ctx context.Context, f *feed) error {
	if a.pending = !a.stands; a.pending {
		return nil
	}
	return f.store.etcdError(ctx, f.store.client.RequestProgress(ctx))
}

// soon asks after a moment, unless an event comes that answers.
func (a *asking) soon(f *feed) {
	if !a.armed {
		a.target = max(f.wanted.Load(), f.position.revision()+1)
		a.arm(askDelay)
	}
}

// moved looks, once etcd has answered, whether the next question is due: those who came since do not wait until the one
// before would have been repeated.
func (a *asking) moved(ctx context.Context, f *feed) error {
	if !a.asked || f.position.revision() < a.target {
		return nil
	}
	return a.again(ctx, f)
}

// due fires when it is time to see whether somebody still waits.
func (a *asking) due() <-chan time.Time {
	if !a.armed {
		return nil
	}
	return a.timer.C
}

// again asks if nothing has answered by now.
func (a *asking) again(ctx context.Context, f *feed) error {
	a.stop()
	wanted, at := f.wanted.Load(), f.position.revision()
	switch {
	case f.waiters.Load() == 0:
		f.wanted.CompareAndSwap(wanted, 0)
		return nil
	case at >= a.target && wanted <= at:
		return nil
	case at >= a.target: // somebody came since
		a.target = wanted
		a.arm(askDelay)
		return nil
	}
	a.target = max(a.target, wanted)
	a.arm(askInterval)
	a.asked = true
	return a.now(ctx, f)
}

func (a *asking) arm(d time.Duration) {
	if a.timer == nil {
		a.timer = time.NewTimer(d)
	} else {
		a.timer.Reset(d)
	}
	a.armed = true
}

func (a *asking) stop() {
	a.armed, a.asked = false, false
	if a.timer != nil {
		a.timer.Stop()
	}
}
