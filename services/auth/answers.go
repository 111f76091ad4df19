// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"crypto/sha256"
	"maps"
	"sync"
	"time"
)

const (
	// askTimeout is how long the cluster may take to answer.
	askTimeout = 5 * time.Second
	// maxAsking is how many questions are put to the cluster at a time.
	maxAsking = 32
	// maxAnswers bounds how many answers are remembered.
	maxAnswers = 10_000
)

// question is what an answer is remembered by. Questions hold tokens, so that only their hash is kept.
type question [sha256.Size]byte

// answers remembers for a moment what the cluster said, and asks it each question once at a time.
type answers[V any] struct {
	now   func() time.Time
	slots chan struct{}

	mu     sync.Mutex
	known  map[question]answer[V]
	asking map[question]*asking[V]
}

type answer[V any] struct {
	value V
	until time.Time
}

// asking is a question that is being put.
type asking[V any] struct {
	done  chan struct{}
	value V
	err   error
}

func newAnswers[V any]() *answers[V] {
	return &answers[V]{
		now: time.Now, slots: make(chan struct{}, maxAsking), known: map[question]answer[V]{}, asking: map[question]*asking[V]{},
	}
}

// get returns the answer to a question: the one that is remembered, or what ask says, which also tells for how long its
// answer holds from the moment of asking. Errors are not remembered. The question is put to its end even if ctx ends
// before, since others may wait for the answer too.
func (a *answers[V]) get(ctx context.Context, q question, ask func(context.Context) (V, time.Duration, error)) (V, error) {
	a.mu.Lock()
	if known, ok := a.known[q]; ok && a.now().Before(known.until) {
		a.mu.Unlock()
		return known.value, nil
	}
	one, ok := a.asking[q]
	if !ok {
		one = &asking[V]{done: make(chan struct{})}
		a.asking[q] = one
		go a.put(context.WithoutCancel(ctx), q, one, ask)
	}
	a.mu.Unlock()
	select {
	case <-one.done:
		return one.value, one.err
	case <-ctx.Done():
		var none V
		return none, context.Cause(ctx) //nolint:wrapcheck // why the caller no longer waits
	}
}

// put puts a question to the cluster, once it is its turn.
func (a *answers[V]) put(ctx context.Context, q question, one *asking[V], ask func(context.Context) (V, time.Duration, error)) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var holds time.Duration
	var asked time.Time
	select {
	case a.slots <- struct{}{}:
		asked = a.now()
		one.value, holds, one.err = ask(ctx)
		<-a.slots
	case <-ctx.Done():
		one.err = context.Cause(ctx)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if one.err == nil && holds > 0 {
		a.makeRoom()
		a.known[q] = answer[V]{one.value, asked.Add(holds)}
	}
	delete(a.asking, q)
	close(one.done)
}

// makeRoom forgets what has ceased to hold, and everything if that is not enough, once too much is remembered.
func (a *answers[V]) makeRoom() {
	if len(a.known) < maxAnswers {
		return
	}
	now := a.now()
	maps.DeleteFunc(a.known, func(_ question, known answer[V]) bool { return !now.Before(known.until) })
	if len(a.known) >= maxAnswers {
		clear(a.known)
	}
}
