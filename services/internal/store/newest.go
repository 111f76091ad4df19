// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"sync"
	"time"

	"fairlead.dev/services/internal/apierror"
)

// newest tells etcd's revision to readers that must see all that was written before they came. Those that come while one
// question is under way share the next one: an answer serves only those who came before it was asked.
type newest struct {
	ask func() (int64, error)
	// spawn runs in the background, unless the store has stopped.
	spawn func(func()) bool

	mu     sync.Mutex
	next   *question
	asking bool
}

// questionPatience is how long readers wait for the answer to the question before theirs.
const questionPatience = time.Second

// question is a question to etcd; done is closed once it is answered.
type question struct {
	done     chan struct{}
	revision int64
	err      error
}

// revision returns a revision that etcd had reached after the call, or later.
func (n *newest) revision(ctx context.Context) (int64, error) {
	n.mu.Lock()
	if n.next == nil {
		n.next = &question{done: make(chan struct{})}
	}
	q := n.next
	if !n.asking {
		if !n.spawn(n.run) {
			n.mu.Unlock()
			return 0, errStopped()
		}
		n.asking = true
	}
	n.mu.Unlock()
	select {
	case <-q.done:
		return q.revision, q.err
	case <-ctx.Done():
		return 0, apierror.From(ctx.Err())
	}
}

// run asks as long as somebody waits. While a question stays unanswered, as when a connection is dead, others may be asked
// beside it.
func (n *newest) run() {
	for {
		n.mu.Lock()
		q := n.next
		n.next = nil
		n.asking = q != nil
		n.mu.Unlock()
		if q == nil {
			return
		}
		overdue := false
		timer := time.AfterFunc(questionPatience, func() {
			n.mu.Lock()
			defer n.mu.Unlock()
			overdue = true
			n.asking = n.next != nil && n.spawn(n.run)
		})
		q.revision, q.err = n.ask()
		close(q.done)
		timer.Stop()
		n.mu.Lock()
		done := overdue
		n.mu.Unlock()
		if done {
			return
		}
	}
}
