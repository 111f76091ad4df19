// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package limits is how the processes of Fairlead are told how much one user may ask of them.
package limits

import (
	"strings"

	"fairlead.dev/services/fairlead/process"
	"fairlead.dev/services/internal/fairness"
	"fairlead.dev/services/internal/wire"
)

// Limits are the limits of a part of a process.
type Limits struct {
	concurrency, perUser, streams *int
	rate                          *float64
}

// New binds the flags.
func New(f *process.Flags) Limits {
	return Limits{
		concurrency: f.Int("max-requests", fairness.DefaultConcurrency, "requests that a process serves at a time; more wait in turn, user by user, and are refused with 429 when that takes long"),
		perUser:     f.Int("max-requests-per-user", fairness.DefaultPerUser, "requests of one user that a process serves or has wait at a time; more are refused with 429"),
		streams:     f.Int("max-streams-per-user", fairness.DefaultStreamsPerUser, "watches and other streams that one user may have open in a process; more are refused with 429"),
		rate:        f.Float("requests-per-second-per-user", 0, "requests a second that one user may send to a process, two seconds' worth of them at once; more are refused with 429; 0 means any number"),
	}
}

// Validate says what is wrong with the flags.
func (l Limits) Validate(f *process.Faults) {
	for name, value := range map[string]int{"max-requests": *l.concurrency, "max-requests-per-user": *l.perUser, "max-streams-per-user": *l.streams} {
		if value < 1 {
			f.Addf(name, "is %d; choose 1 or more", value)
		}
	}
	if *l.rate < 0 {
		f.Addf("requests-per-second-per-user", "is %g; choose more than 0, or 0 for any number", *l.rate)
	}
}

// Open makes limits of that name in metrics. Services of Fairlead are never held up: they work for everybody.
func (l Limits) Open(p *process.Process, name string) (*fairness.Limits, error) {
	return fairness.New(fairness.Config{ //nolint:wrapcheck // says it all
		Name: name, Concurrency: *l.concurrency, PerUser: *l.perUser, StreamsPerUser: *l.streams, RatePerUser: *l.rate,
		Exempt:  func(user string) bool { return strings.HasPrefix(user, wire.ServiceUserPrefix) },
		Metrics: p.Metrics(),
	})
}
