// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package delivery reads DeliverySpecs: how often, how fast and how long deliveries are tried.
package delivery

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sosodev/duration"

	eventingv1 "fairlead.dev/gen/go/fairlead/eventing/v1"
)

// What holds where neither Trigger nor Broker says otherwise.
const (
	DefaultRetry         int32 = 10
	DefaultBackoffPolicy       = "exponential"
	DefaultBackoffDelay        = "PT0.2S"
	DefaultTimeout             = "PT30S"
)

// longest is the longest duration that a DeliverySpec may hold.
const longest = 24 * time.Hour

// Policy is how deliveries of a trigger are tried.
type Policy struct {
	// Retry is how many tries follow the first one.
	Retry int32
	// BackoffPolicy is `exponential` or `linear`.
	BackoffPolicy string
	// BackoffDelay is the unit of the wait between tries.
	BackoffDelay time.Duration
	// Timeout bounds one try.
	Timeout time.Duration
}

// Of returns the policy of a trigger: what its own spec says, field by field, or its broker's, or the defaults.
func Of(trigger, broker *eventingv1.DeliverySpec) Policy {
	defaults := &eventingv1.DeliverySpec{}
	SetDefaults(defaults)
	defaults.Timeout = new(DefaultTimeout)
	var p Policy
	for _, s := range []*eventingv1.DeliverySpec{defaults, broker, trigger} {
		if s == nil {
			continue
		}
		if s.Retry != nil {
			p.Retry = s.GetRetry()
		}
		if s.BackoffPolicy != nil {
			p.BackoffPolicy = s.GetBackoffPolicy()
		}
		if d, err := ParseDuration(s.GetBackoffDelay()); err == nil && s.BackoffDelay != nil {
			p.BackoffDelay = d
		}
		if d, err := ParseDuration(s.GetTimeout()); err == nil && s.Timeout != nil {
			p.Timeout = d
		}
	}
	return p
}

// SetDefaults fills in what a broker's spec leaves open, but for the timeout.
func SetDefaults(s *eventingv1.DeliverySpec) {
	if s.Retry == nil {
		s.Retry = new(DefaultRetry)
	}
	if s.BackoffPolicy == nil {
		s.BackoffPolicy = new(DefaultBackoffPolicy)
	}
	if s.BackoffDelay == nil {
		s.BackoffDelay = new(DefaultBackoffDelay)
	}
}

// ParseDuration reads an ISO 8601 duration in weeks, days, hours, minutes and seconds, such as `PT1.5S`, above 0 and up to
// a day.
func ParseDuration(s string) (time.Duration, error) {
	d, err := duration.Parse(s)
	if err != nil || !strings.ContainsAny(s, "0123456789") || strings.HasSuffix(s, "T") {
		return 0, errors.New("must be an ISO 8601 duration such as PT0.2S, PT30S or PT5M")
	}
	if d.Years != 0 || d.Months != 0 {
		return 0, errors.New("must be without years and months, whose length differs")
	}
	out := d.ToTimeDuration()
	if out <= 0 || out > longest || d.Weeks > 1 || d.Days > 1 || d.Hours > 24 || d.Minutes > 24*60 || d.Seconds > 24*60*60 {
		return 0, fmt.Errorf("must be above 0 and at most a day (%s)", duration.Format(longest))
	}
	return out, nil
}
