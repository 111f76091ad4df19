// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"fairlead.dev/services/internal/apierror"
)

const (
	// startTimeout bounds what must happen before a process is ready. One that is not ready by then ends, so that whoever
	// runs it knows.
	startTimeout = 2 * time.Minute
	// startEvery is how often it is looked at whether the start is over.
	startEvery = 20 * time.Millisecond
)

// startup is what has to happen once before a process is ready.
type startup struct {
	mu      sync.Mutex
	waiting []string
	steps   []startStep
	over    bool
}

type startStep struct {
	what string
	run  func(context.Context) error
}

// Once has something happen once, before the process is ready; what says what it waits for, such as `its signing keys`.
// A step that fails ends the process. Steps begin together, once every part has started.
func (p *Process) Once(what string, step func(context.Context) error) {
	p.started.steps = append(p.started.steps, startStep{what, step})
	p.started.waiting = append(p.started.waiting, what)
}

// err is what the start waits for, or nil.
func (s *startup) err(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return nil
	}
	return apierror.Unavailable(time.Second, "still starting: it waits for %s", strings.Join(s.waiting, ", "))
}

func (s *startup) done(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = slices.DeleteFunc(s.waiting, func(w string) bool { return w == what })
}

func (s *startup) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
}

// announce takes the steps of the start, and says when they are over.
func (p *Process) announce(ctx context.Context) error {
	sctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	failed := make(chan error, len(p.started.steps))
	var wg sync.WaitGroup
	for _, step := range p.started.steps {
		wg.Go(func() {
			if err := step.run(sctx); err != nil {
				failed <- fmt.Errorf("%s: %w", step.what, err)
				cancel()
				return
			}
			p.started.done(step.what)
		})
	}
	wg.Wait()
	select {
	case err := <-failed:
		if ctx.Err() != nil {
			return nil
		}
		return err
	default:
	}
	p.started.finish()
	p.log.InfoContext(ctx, "ready", p.where()...)
	<-ctx.Done()
	return nil
}

// where are the addresses at which the process listens, for the log.
func (p *Process) where() []any {
	var attrs []any
	for _, a := range p.flags.addresses {
		if a.listener != nil {
			attrs = append(attrs, strings.TrimSuffix(a.flag, "-listen"), a.String())
		}
	}
	return attrs
}
