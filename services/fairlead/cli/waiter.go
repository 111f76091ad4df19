// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/client"
	"fairlead.dev/services/internal/store"
)

// waiter waits for objects by one watch a kind.
type waiter struct {
	options *options
	goal    goal
	// limit ends the wait; 0 means never.
	limit time.Duration
	// once looks at the state of now only.
	once bool
	// done is told the TYPE/NAME of each object that is there.
	done func(name string)

	mu sync.Mutex
}

// pendingKind is a kind's objects that are waited for.
type pendingKind struct {
	kind    kinds.Kind
	objects map[store.Key]*pendingObject
}

// pendingObject is what is known of an object that is waited for.
type pendingObject struct {
	// uid tells it from another of its name; empty before it was seen.
	uid string
	// state is how far it was.
	state string
	// seen tells that the watch that runs told of it.
	seen bool
}

func newPending(k kinds.Kind, keys []store.Key) pendingKind {
	p := pendingKind{k, map[store.Key]*pendingObject{}}
	for _, key := range keys {
		p.objects[key] = &pendingObject{}
	}
	return p
}

// run returns when every object has the goal's state, fails, or the time is over.
func (w *waiter) run(ctx context.Context, c *client.Client, all []pendingKind) error {
	limited, cancel := context.WithCancel(ctx) // a deadline would reach the server, which may be first to end the watch
	defer cancel()
	if w.limit > 0 {
		defer time.AfterFunc(w.limit, cancel).Stop()
	}
	faults := make([]error, len(all))
	var wg sync.WaitGroup
	for i, p := range all {
		wg.Go(func() { faults[i] = w.waitForKind(limited, c, p) })
	}
	wg.Wait()
	if ctx.Err() != nil {
		return fmt.Errorf("wait: %w", ctx.Err())
	}
	return errors.Join(faults...)
}

// waitForKind waits for the objects of one kind.
func (w *waiter) waitForKind(ctx context.Context, c *client.Client, p pendingKind) error {
	k := &kindWait{waiter: w, client: c, pendingKind: p}
	yes := true
	err := c.Follow(ctx, p.kind, client.Following{
		Request: k.request(&metav1.WatchRequest{SendInitialEvents: &yes, ResourceVersionMatch: store.NotOlderThan}),
		Began:   k.began,
		Broken:  k.broken,
		Event:   func(e store.Event) (bool, error) { return k.event(ctx, e) },
	})
	if err != nil && ctx.Err() == nil {
		return errors.Join(append(k.faults, err)...)
	}
	what := "timed out waiting for the condition on"
	if w.once {
		what = "condition not met for"
	}
	for _, key := range k.left() {
		state := k.objects[key].state
		if state == "" && w.goal.absent() == absentWaits {
			state = "it does not exist"
		}
		text := fmt.Sprintf("%s %s/%s", what, p.kind.Plural, key.Name)
		if state != "" {
			text += ": " + state
		}
		k.faults = append(k.faults, errors.New(text))
	}
	return errors.Join(k.faults...)
}

// kindWait is the wait for the objects of one kind.
type kindWait struct {
	*waiter
	pendingKind

	client *client.Client
	faults []error
}

// request narrows a watch to the objects.
func (k *kindWait) request(r *metav1.WatchRequest) *metav1.WatchRequest {
	keys := k.left()
	r.Namespace = keys[0].Namespace
	for _, key := range keys {
		if key.Namespace != r.GetNamespace() {
			r.Namespace = ""
		}
	}
	if len(keys) == 1 {
		r.FieldSelector = "metadata.name=" + keys[0].Name
	}
	return r
}

// left are the objects that are still waited for, in order.
func (k *kindWait) left() []store.Key {
	return slices.SortedFunc(maps.Keys(k.objects), func(a, b store.Key) int { return strings.Compare(a.String(), b.String()) })
}

func (k *kindWait) began() {
	for _, o := range k.objects {
		o.seen = false
	}
}

// event takes an event, and tells whether nothing is left to wait for.
func (k *kindWait) event(ctx context.Context, e store.Event) (bool, error) {
	if e.Type == store.Bookmark {
		if e.Object.GetMetadata().GetAnnotations()[store.InitialEventsEnd] == "" {
			return false, nil
		}
		for _, key := range k.left() {
			if !k.objects[key].seen {
				k.absent(ctx, key)
			}
		}
		return k.once || len(k.objects) == 0, nil
	}
	key := store.KeyOf(e.Object)
	o, ok := k.objects[key]
	if !ok {
		return false, nil
	}
	uid := e.Object.GetMetadata().GetUid()
	switch {
	case e.Type == store.Deleted, o.uid != "" && o.uid != uid && k.goal.absent() == absentMeets:
		k.absent(ctx, key)
		return len(k.objects) == 0, nil
	}
	o.uid, o.seen = uid, true
	met, err := k.goal.met(e.Object)
	switch {
	case err != nil:
		return true, err
	case met:
		k.finish(key)
	default:
		k.progress(key, k.goal.state(e.Object))
	}
	return len(k.objects) == 0, nil
}

// absent takes it that an object is not there. The server words the error of that.
func (k *kindWait) absent(ctx context.Context, key store.Key) {
	switch k.goal.absent() {
	case absentMeets:
		k.finish(key)
	case absentWaits:
	case absentFails:
		_, err := k.client.Get(ctx, k.kind, key)
		if err == nil || ctx.Err() != nil || apierror.Is(err, apierror.ReasonServiceUnavailable) {
			return // it is there again, or the watch is about to tell
		}
		k.faults = append(k.faults, err)
		delete(k.objects, key)
	}
}

func (k *kindWait) broken(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.options.tellBroken(err)
}

func (k *kindWait) finish(key store.Key) {
	delete(k.objects, key)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.done(typeName(k.kind) + "/" + key.Name)
}

// progress notes how far an object is, and shows it to who looks on.
func (k *kindWait) progress(key store.Key, state string) {
	o := k.objects[key]
	if o.state == state {
		return
	}
	o.state = state
	if !k.options.streams.Terminal {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	fmt.Fprintf(k.options.streams.Err, "%s/%s: %s\n", typeName(k.kind), key.Name, plain(state))
}
