// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package autoscaler decides how many pods a revision has: from the concurrency or the requests a second that routers
// report, averaged over a window, and from zero to one and back.
package autoscaler

import (
	"errors"
	"fmt"
	"time"
)

// Config holds what revisions' annotations do not say.
type Config struct {
	// TargetConcurrency is how many requests a pod is meant to handle at a time, where containerConcurrency sets no limit.
	TargetConcurrency float64
	// TargetRPS is how many requests a second a pod is meant to handle, for the metric rps.
	TargetRPS float64
	// TargetUtilization is the part of the target at which a pod counts as full, above 0 and at most 1.
	TargetUtilization float64
	// StableWindow is the time over which load is averaged.
	StableWindow time.Duration
	// PanicWindowPercentage is the part of the window that shows bursts, in percent.
	PanicWindowPercentage float64
	// PanicThresholdPercentage is the load in it, in percent of what the ready pods are meant for, from which only more pods are
	// made and none are taken away.
	PanicThresholdPercentage float64
	// MaxScaleUpRate and MaxScaleDownRate are by which factor the number of pods may change at a time.
	MaxScaleUpRate, MaxScaleDownRate float64
	// ScaleToZeroGrace is how long the last pod stays once the window is empty.
	ScaleToZeroGrace time.Duration
	// MaxScaleLimit is the most pods that any revision may have; 0 means no limit.
	MaxScaleLimit int32
	// Tick is the time between two looks at a revision that has pods to lose.
	Tick time.Duration
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		TargetConcurrency: 100, TargetRPS: 200, TargetUtilization: 0.7,
		StableWindow: time.Minute, PanicWindowPercentage: 10, PanicThresholdPercentage: 200,
		MaxScaleUpRate: 1000, MaxScaleDownRate: 2,
		ScaleToZeroGrace: 30 * time.Second,
		Tick:             2 * time.Second,
	}
}

// Validate tells every fault in the configuration.
func (c Config) Validate() error {
	var errs []error
	check := func(ok bool, field string, value any, want string) {
		if !ok {
			errs = append(errs, fmt.Errorf("autoscaler: %s is %v; it must be %s", field, value, want))
		}
	}
	check(c.TargetConcurrency >= minTarget, "targetConcurrency", c.TargetConcurrency, "at least 0.01")
	check(c.TargetRPS >= minTarget, "targetRPS", c.TargetRPS, "at least 0.01")
	check(c.TargetUtilization > 0 && c.TargetUtilization <= 1, "targetUtilization", c.TargetUtilization, "above 0 and at most 1")
	check(c.StableWindow >= MinWindow && c.StableWindow <= MaxWindow, "stableWindow", c.StableWindow, "between 6s and 1h")
	check(c.PanicWindowPercentage >= 1 && c.PanicWindowPercentage <= 100, "panicWindowPercentage", c.PanicWindowPercentage, "between 1 and 100")
	check(c.PanicThresholdPercentage > 100 && c.PanicThresholdPercentage <= 1000, "panicThresholdPercentage", c.PanicThresholdPercentage, "above 100 and at most 1000")
	check(c.MaxScaleUpRate > 1, "maxScaleUpRate", c.MaxScaleUpRate, "above 1")
	check(c.MaxScaleDownRate > 1, "maxScaleDownRate", c.MaxScaleDownRate, "above 1")
	check(c.ScaleToZeroGrace >= 0, "scaleToZeroGrace", c.ScaleToZeroGrace, "0s or more")
	check(c.MaxScaleLimit >= 0, "maxScaleLimit", c.MaxScaleLimit, "0 or more")
	check(c.Tick > 0, "tick", c.Tick, "above 0s")
	return errors.Join(errs...)
}
