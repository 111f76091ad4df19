// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"fmt"
	"time"

	"fairlead.dev/services/internal/tracing"
)

// Outcome is what a step says about those after it.
type Outcome struct {
	// Done ends the list here.
	Done bool
	// RequeueAfter, above 0, asks for another run after that time; the shortest one of all steps counts.
	RequeueAfter time.Duration
}

// Go goes on to the next step.
var Go = Outcome{} //nolint:gochecknoglobals // a constant, were structs allowed to be

// Done ends the list of steps.
var Done = Outcome{Done: true} //nolint:gochecknoglobals // a constant, were structs allowed to be

// After goes on, and asks for another run after d.
func After(d time.Duration) Outcome { return Outcome{RequeueAfter: d} }

// Step is one named part of a reconciler, working on the state of one run.
type Step[S any] struct {
	Name string
	Run  func(ctx context.Context, s S) (Outcome, error)
}

// Steps runs the steps in order, until one is done or fails. An error names its step.
func Steps[S any](ctx context.Context, s S, steps ...Step[S]) (Result, error) {
	var res Result
	for _, step := range steps {
		out, err := runStep(ctx, s, step)
		if err != nil {
			return Result{}, fmt.Errorf("%s: %w", step.Name, err)
		}
		if out.RequeueAfter > 0 && (res.RequeueAfter == 0 || out.RequeueAfter < res.RequeueAfter) {
			res.RequeueAfter = out.RequeueAfter
		}
		if out.Done {
			break
		}
	}
	return res, nil
}

// runStep runs one step, measured and traced where the run is a controller's.
func runStep[S any](ctx context.Context, s S, step Step[S]) (out Outcome, err error) {
	defer observe(ctx, step.Name, &err)()
	ctx, end := tracing.Start(ctx, step.Name)
	defer end(&err)
	return step.Run(ctx, s)
}
