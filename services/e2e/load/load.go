// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package load writes, watches and builds through the front door, as clients do that do not know what happens behind it,
// and keeps account of what was acknowledged. Tests of faults run it while they break things, and then have it checked
// that nothing is lost and nothing is stuck.
package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// Config says what to do, and where.
type Config struct {
	// Door is the front door.
	Door *Door
	// Namespace is where everything is made. It exists, and holds nothing else.
	Namespace string
	// Image is the image of the builds' steps; it ends well when called with `exit 0`. Needed when there are Builders.
	Image string
	// Writers write one after another, each to Objects objects of its own of each kind.
	Writers, Objects int
	// Watchers watch each kind.
	Watchers int
	// Builders each run one build after another.
	Builders int
	// Pause is between the writes of a writer.
	Pause time.Duration
	// Patience is how long is waited for what has to happen once nothing is broken any more.
	Patience time.Duration
}

// Report says what was done.
type Report struct {
	// Acknowledged and Unknown are how many writes were answered, and how many not, or with an error of the server.
	Acknowledged, Unknown int
	// Events are what all watchers saw; Relists how often one had to list anew; Resumed how often one began again.
	Events, Relists, Resumed int
	// Builds is how many builds ended.
	Builds int
}

func (r Report) String() string {
	return fmt.Sprintf("%d writes acknowledged, %d unknown; %d events, %d watches begun again, %d lists; %d builds",
		r.Acknowledged, r.Unknown, r.Events, r.Resumed, r.Relists, r.Builds)
}

// Load is a load that runs.
type Load struct {
	cfg      Config
	cancel   context.CancelFunc
	writing  sync.WaitGroup
	watching sync.WaitGroup
	stop     context.CancelFunc

	writers  []*writer
	watchers []*watcher
	builders []*builder

	mu     sync.Mutex
	faults []error
}

// kinds are what writers write: one kind of each service whose controllers make nothing of what is written.
func kinds() []resource {
	return []resource{
		{"auth.fairlead.dev/v1", "Role", "roles", `"rules":[{"apiGroups":["serving.knative.dev"],"resources":["services"],"verbs":["get"]}]`},
		{"eventing.knative.dev/v1", "Trigger", "triggers", `"spec":{"broker":"absent","subscriber":{"uri":"http://127.0.0.1:9/"}}`},
		{"serving.knative.dev/v1", "Route", "routes", `"spec":{"traffic":[{"revisionName":"absent","percent":100}]}`},
	}
}

// Start starts the load. It goes on until Check.
func Start(ctx context.Context, cfg Config) *Load {
	watch, stop := context.WithCancel(ctx)
	write, cancel := context.WithCancel(ctx)
	l := &Load{cfg: cfg, cancel: cancel, stop: stop}
	for _, r := range kinds() {
		for i := range cfg.Watchers {
			w := newWatcher(l, r, fmt.Sprintf("watcher %d of %s", i, r.plural))
			l.watchers = append(l.watchers, w)
			l.watching.Go(func() { w.run(watch) })
		}
		for i := range cfg.Writers {
			w := newWriter(l, r, i)
			l.writers = append(l.writers, w)
			l.writing.Go(func() { w.run(write) })
		}
	}
	for i := range cfg.Builders {
		b := &builder{load: l, prefix: fmt.Sprintf("b%d", i)}
		l.builders = append(l.builders, b)
		l.writing.Go(func() { b.run(write) })
	}
	return l
}

// Acknowledged is how many writes have been acknowledged so far.
func (l *Load) Acknowledged() int {
	n := 0
	for _, w := range l.writers {
		n += int(w.acknowledged.Load())
	}
	return n
}

// Check ends the load and tells what it did, and everything that is lost or stuck. Nothing may be broken any more.
func (l *Load) Check(ctx context.Context) (Report, error) {
	defer func() { l.stop(); l.watching.Wait() }()
	l.cancel()
	l.writing.Wait()
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Patience)
	defer cancel()
	var r Report
	for _, w := range l.writers {
		w.settle(ctx)
		r.Acknowledged += int(w.acknowledged.Load())
		r.Unknown += int(w.unknown.Load())
	}
	for _, b := range l.builders {
		r.Builds += b.settle(ctx)
	}
	for _, w := range l.watchers {
		w.settle(ctx, l.expected(w.resource))
		r.Events += w.events
		r.Relists += w.relists
		r.Resumed += w.resumed
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return r, errors.Join(l.faults...)
}

// expected is what there has to be of a kind, by name.
func (l *Load) expected(r resource) map[string]int64 {
	out := map[string]int64{}
	for _, w := range l.writers {
		if w.resource == r {
			for _, o := range w.objects {
				if o.known.present {
					out[o.name] = o.known.value
				}
			}
		}
	}
	return out
}

// faultf notes what must not be.
func (l *Load) faultf(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.faults) < 50 {
		l.faults = append(l.faults, fmt.Errorf(format, args...))
	}
}

// wait waits a little, more or less d; false when ctx has ended.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d/2 + rand.N(d+1)) //nolint:gosec // spreads load
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
