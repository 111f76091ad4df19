// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// state is what an object is: absent, or present with a value.
type state struct {
	present bool
	value   int64
}

func (s state) String() string {
	if !s.present {
		return "absent"
	}
	return fmt.Sprintf("value %d", s.value)
}

// account is what a writer knows of one of its objects. Nobody else writes it, so that it is what was last acknowledged,
// or what one of the writes since then made of it whose outcome is not known.
type account struct {
	name  string
	known state
	maybe []state
}

// writer creates, changes and deletes its objects, one write after another.
type writer struct {
	load     *Load
	resource resource
	objects  []*account
	next     int64

	acknowledged, unknown atomic.Int64
}

func newWriter(l *Load, r resource, n int) *writer {
	w := &writer{load: l, resource: r}
	for i := range l.cfg.Objects {
		w.objects = append(w.objects, &account{name: fmt.Sprintf("%s-%d-%d", strings.ToLower(r.kind), n, i)})
	}
	return w
}

func (w *writer) run(ctx context.Context) {
	for wait(ctx, w.load.cfg.Pause+time.Microsecond) {
		o := w.objects[rand.IntN(len(w.objects))] //nolint:gosec // any of them
		w.write(ctx, o)
		if rand.IntN(10) == 0 { //nolint:gosec // now and then
			w.check(ctx, o)
		}
	}
}

// write makes one write to an object, and keeps account of its outcome.
func (w *writer) write(ctx context.Context, o *account) {
	w.next++
	wanted := state{present: true, value: w.next}
	path, method, contentType, body := w.resource.path(w.load.cfg.Namespace, o.name), http.MethodPatch, "application/merge-patch+json", ""
	switch {
	case !o.known.present:
		method, contentType, path = http.MethodPost, "application/json", w.resource.path(w.load.cfg.Namespace)
		body = fmt.Sprintf(`{"apiVersion":%q,"kind":%q,"metadata":{"name":%q,"annotations":{%q:"%d"}},%s}`,
			w.resource.apiVersion, w.resource.kind, o.name, annotation, wanted.value, w.resource.rest)
	case rand.IntN(4) == 0: //nolint:gosec // one in four
		method, contentType, wanted = http.MethodDelete, "", state{}
	default:
		body = fmt.Sprintf(`{"metadata":{"annotations":{%q:"%d"}}}`, annotation, wanted.value)
	}
	// The end of the load does not cut a write short: its outcome would not be known.
	code, answer, err := w.load.cfg.Door.call(context.WithoutCancel(ctx), method, path, contentType, body)
	switch {
	case err == nil && code < http.StatusMultipleChoices:
		w.acknowledged.Add(1)
		o.known, o.maybe = wanted, nil
	case err != nil || code >= http.StatusInternalServerError || code == http.StatusTooManyRequests:
		w.unknown.Add(1)
		o.maybe = append(o.maybe, wanted)
		w.check(ctx, o)
	case (code == http.StatusConflict || code == http.StatusNotFound) && len(o.maybe) > 0:
		w.check(ctx, o) // an earlier write came to pass after all
	default:
		w.load.faultf("%s %s: %d %s, and the object should be as written before: %s", method, path, code, answer, o.known)
		w.check(ctx, o)
	}
}

// check reads an object and holds it against what it may be.
func (w *writer) check(ctx context.Context, o *account) {
	var m meta
	code, err := w.load.cfg.Door.read(ctx, w.resource.path(w.load.cfg.Namespace, o.name), &m)
	if ctx.Err() != nil {
		return // settle looks again
	}
	if err != nil || code != http.StatusOK && code != http.StatusNotFound {
		w.load.faultf("read %s: %d %v", o.name, code, err)
		return
	}
	seen := state{present: code == http.StatusOK}
	if seen.present {
		seen.value = m.value()
	}
	if seen != o.known && !slices.Contains(o.maybe, seen) {
		w.load.faultf("%s %s is %s, but %s was acknowledged (unknown since: %v)", w.resource.kind, o.name, seen, o.known, o.maybe)
	}
	o.known = seen
}

// settle checks every object once nothing is broken any more.
func (w *writer) settle(ctx context.Context) {
	for _, o := range w.objects {
		w.check(ctx, o)
		if ctx.Err() != nil {
			w.load.faultf("%s %s: the front door does not answer", w.resource.kind, o.name)
			return
		}
	}
}
