// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"golang.org/x/sync/errgroup"
)

// Tiers are what a process runs, from the ground up: what keeps state, what works on it, and what takes requests in. They
// end from the top down. A part that ends by itself ends the process.
type Tiers struct {
	State, Work, Front *Tier
}

// Tier is a set of runs that end together.
type Tier struct {
	group *errgroup.Group
	ctx   context.Context //nolint:containedctx // the context of the tier's runs, ended by end
	end   context.CancelFunc
}

func newTier(parent context.Context) *Tier {
	ctx, end := context.WithCancel(parent)
	g, gctx := errgroup.WithContext(ctx)
	return &Tier{group: g, ctx: gctx, end: end}
}

// Run runs something until the tier ends.
func (t *Tier) Run(name string, run func(context.Context) error) {
	t.group.Go(func() error {
		if err := run(t.ctx); err != nil && !errors.Is(err, context.Canceled) {
			return fmt.Errorf("%s: %w", name, err)
		}
		if t.ctx.Err() == nil {
			return fmt.Errorf("%s ended by itself", name)
		}
		return nil
	})
}

func newTiers(ctx context.Context) *Tiers {
	return &Tiers{State: newTier(ctx), Work: newTier(ctx), Front: newTier(ctx)}
}

// wait waits until ctx ends or something fails, and then ends the tiers.
func (t *Tiers) wait(ctx context.Context, log *slog.Logger, ending func()) error {
	select {
	case <-ctx.Done():
		log.InfoContext(context.WithoutCancel(ctx), "ending")
	case <-t.Front.ctx.Done():
	case <-t.Work.ctx.Done():
	case <-t.State.ctx.Done():
	}
	ending()
	return t.endAll()
}

func (t *Tiers) endAll() error {
	errs := make([]error, 0, 3)
	for _, one := range []*Tier{t.Front, t.Work, t.State} {
		one.end()
		errs = append(errs, one.group.Wait())
	}
	return errors.Join(errs...)
}
