// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package router

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
)

// Why a request gets no pod.
var (
	errQueueFull = errors.New("too many requests wait for a pod of it; try again later")
	errGone      = errors.New("it has been deleted")
)

// failureError is why a revision cannot answer, as serving tells it.
type failureError string

func (e failureError) Error() string { return string(e) }

type revisionKey struct{ namespace, name string }

func (k revisionKey) String() string { return k.namespace + "/" + k.name }

// surroundings is what all backends of a router share.
type surroundings struct {
	queueDepth int
	prober     prober
	// waits is called when a request begins to wait where none waited, active when one comes in where none was in flight.
	waits, active func()
	now           func() time.Time
}

// settings are what of a revision concerns a request: its limits, of which 0 means none, and how its pods are spoken to.
type settings struct {
	timeout, responseStart, idle time.Duration
	h2c                          bool
}

// backend is one revision as the router knows it: its pods, and the requests that wait for one.
type backend struct {
	key revisionKey
	env *surroundings

	mu        sync.Mutex
	limit     int // most requests a pod handles at a time; 0 means no limit
	settings  settings
	probePath string
	failure   string
	gone      bool
	pods      []*pod
	next      int // where the round robin goes on
	waiters   *list.List
	meter     meter
}

// pod is one pod of a backend, and is guarded by it.
type pod struct {
	address  string
	seen     time.Time // when it came into the table
	told     bool      // Kubernetes says it is ready
	proven   bool      // it has answered us
	suspect  bool      // it could not be reached, whatever Kubernetes says
	provenAt time.Time
	probing  bool
	removed  bool
	inFlight int
}

func (p *pod) usable() bool { return !p.removed && (p.proven || p.told && !p.suspect) }

// grant ends a wait: with a pod, or with the reason why there is none.
type grant struct {
	pod *pod
	err error
}

type waiter chan grant

func newBackend(key revisionKey, env *surroundings) *backend {
	return &backend{key: key, env: env, waiters: list.New()}
}

// begin counts a request in, end counts it out.
func (b *backend) begin() {
	b.mu.Lock()
	first := b.meter.idle()
	b.meter.begin(b.env.now())
	b.mu.Unlock()
	if first {
		b.env.active()
	}
}

func (b *backend) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.meter.end(b.env.now())
}

// current returns what of the revision concerns a request.
func (b *backend) current() settings {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.settings
}

// waiting is how many requests wait for a pod.
func (b *backend) waiting() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.waiters.Len()
}

// removed tells whether the revision is gone.
func (b *backend) removed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.gone
}

// cold tells whether no pod can take requests.
func (b *backend) cold() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.anyUsable()
}

// acquire returns a pod that may take one more request, waiting for one until ctx ends. A request that has waited before
// goes to the front. The caller gives the pod back with release.
func (b *backend) acquire(ctx context.Context, front bool) (*pod, error) {
	b.mu.Lock()
	if err := b.refusal(); err != nil {
		b.mu.Unlock()
		return nil, err
	}
	if b.waiters.Len() == 0 || front {
		if p := b.pick(); p != nil {
			p.inFlight++
			b.mu.Unlock()
			return p, nil
		}
	}
	if b.waiters.Len() >= b.env.queueDepth {
		b.mu.Unlock()
		return nil, errQueueFull
	}
	w := make(waiter, 1)
	var place *list.Element
	if front {
		place = b.waiters.PushFront(w)
	} else {
		place = b.waiters.PushBack(w)
	}
	first := b.waiters.Len() == 1
	b.probe() //nolint:contextcheck // probes are for all who wait, and end with the router
	b.mu.Unlock()
	if first {
		b.env.waits()
	}
	select {
	case g := <-w:
		return g.pod, g.err
	case <-ctx.Done():
		return b.giveUp(place, w, context.Cause(ctx))
	}
}

// giveUp ends a wait that came to nothing. A pod granted in the same instant goes to the next in line.
func (b *backend) giveUp(place *list.Element, w waiter, cause error) (*pod, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiters.Remove(place)
	select {
	case g := <-w:
		if g.pod != nil {
			g.pod.inFlight--
			b.dispatch()
		}
	default:
	}
	return nil, cause
}

// release gives a pod back.
func (b *backend) release(p *pod) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p.inFlight--
	b.dispatch()
}

// doubt says that a pod could not be reached: it gets no request until it has answered a probe.
func (b *backend) doubt(p *pod) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p.suspect, p.proven = true, false
	b.probe()
}

func (b *backend) anyUsable() bool {
	for _, p := range b.pods {
		if p.usable() {
			return true
		}
	}
	return false
}

// refusal is why no request is taken now.
func (b *backend) refusal() error {
	switch {
	case b.gone:
		return errGone
	case b.failure != "" && !b.anyUsable():
		return failureError(b.failure)
	}
	return nil
}

// pick chooses the pod with the fewest requests, in turn where several have as few.
func (b *backend) pick() *pod {
	best := -1
	for i := range b.pods {
		n := (b.next + i) % len(b.pods)
		p := b.pods[n]
		if !p.usable() || b.limit > 0 && p.inFlight >= b.limit {
			continue
		}
		if best < 0 || p.inFlight < b.pods[best].inFlight {
			best = n
		}
	}
	if best < 0 {
		return nil
	}
	b.next = best + 1
	return b.pods[best]
}

// dispatch gives pods to those who wait, in order, and the reason to all of them when there is none to wait for.
func (b *backend) dispatch() {
	err := b.refusal()
	for place := b.waiters.Front(); place != nil; place = b.waiters.Front() {
		w, ok := place.Value.(waiter)
		if !ok {
			panic(fmt.Sprintf("router: a %T waits", place.Value))
		}
		if err != nil {
			b.waiters.Remove(place)
			w <- grant{err: err}
			continue
		}
		p := b.pick()
		if p == nil {
			return
		}
		p.inFlight++
		b.waiters.Remove(place)
		w <- grant{pod: p}
	}
}

// update takes over what a new table says; nil says that the revision is gone.
func (b *backend) update(to *servingv1.RevisionBackend) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gone = to == nil
	b.limit = int(to.GetContainerConcurrency())
	b.settings = settings{
		timeout:       time.Duration(to.GetTimeoutSeconds()) * time.Second,
		responseStart: time.Duration(to.GetResponseStartTimeoutSeconds()) * time.Second,
		idle:          time.Duration(to.GetIdleTimeoutSeconds()) * time.Second,
		h2c:           to.GetH2C(),
	}
	b.probePath, b.failure = to.GetProbePath(), to.GetFailure()
	known := make(map[string]*pod, len(b.pods))
	for _, p := range b.pods {
		known[p.address] = p
	}
	b.pods = b.pods[:0:0]
	for _, e := range to.GetPods() {
		p := known[e.GetAddress()]
		delete(known, e.GetAddress())
		switch {
		case p == nil:
			p = &pod{address: e.GetAddress(), seen: b.env.now(), told: e.GetReady()}
		case p.told && !e.GetReady():
			p.told, p.proven = false, false
		case !p.told && e.GetReady():
			p.told, p.suspect = true, false
		}
		b.pods = append(b.pods, p)
	}
	for _, p := range known {
		p.removed = true
	}
	b.dispatch()
	b.probe()
}

// read returns what was measured since the last reading, and whether it is worth telling.
func (b *backend) read(now time.Time) (*servingv1.RevisionLoad, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r, worth := b.meter.read(now)
	return &servingv1.RevisionLoad{
		Namespace: b.key.namespace, Revision: b.key.name,
		AverageConcurrency: r.average, Requests: r.requests,
		Waiting: int64(b.waiters.Len()), InFlight: int64(r.inFlight),
	}, worth
}
