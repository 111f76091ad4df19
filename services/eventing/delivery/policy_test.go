// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package delivery_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	eventingv1 "fairlead.dev/gen/go/fairlead/eventing/v1"

	"fairlead.dev/services/eventing/delivery"
)

func TestOf(t *testing.T) {
	cases := map[string]struct {
		reason          string
		trigger, broker *eventingv1.DeliverySpec
		want            delivery.Policy
	}{
		"defaults": {
			reason: "nobody says anything",
			want:   delivery.Policy{Retry: 10, BackoffPolicy: "exponential", BackoffDelay: 200 * time.Millisecond, Timeout: 30 * time.Second},
		},
		"broker": {
			reason:  "the broker's fields hold where the trigger has none",
			trigger: &eventingv1.DeliverySpec{Retry: new(int32(0))},
			broker:  &eventingv1.DeliverySpec{Retry: new(int32(3)), BackoffPolicy: new("linear"), Timeout: new("PT1M")},
			want:    delivery.Policy{Retry: 0, BackoffPolicy: "linear", BackoffDelay: 200 * time.Millisecond, Timeout: time.Minute},
		},
		"trigger": {
			reason:  "the trigger's own fields go first",
			trigger: &eventingv1.DeliverySpec{BackoffDelay: new("PT2S"), BackoffPolicy: new("exponential")},
			broker:  &eventingv1.DeliverySpec{BackoffDelay: new("PT9S"), BackoffPolicy: new("linear")},
			want:    delivery.Policy{Retry: 10, BackoffPolicy: "exponential", BackoffDelay: 2 * time.Second, Timeout: 30 * time.Second},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(tc.want, delivery.Of(tc.trigger, tc.broker)); d != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, d)
			}
		})
	}
}

func TestParseDuration(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"PT0.2S": 200 * time.Millisecond, "PT5M": 5 * time.Minute, "P1D": 24 * time.Hour, "PT1H30M": 90 * time.Minute,
	} {
		if got, err := delivery.ParseDuration(in); err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", in, got, err, want)
		}
	}
	for _, in := range []string{"", "5s", "P", "PT", "P1Y", "P1M", "PT0S", "-PT5S", "P2D", "PT5", "PT1.2.3S", "PT99999999999999999999H"} {
		if got, err := delivery.ParseDuration(in); err == nil {
			t.Errorf("%q: got %s", in, got)
		}
	}
}

func FuzzParseDuration(f *testing.F) {
	f.Add("PT1.5S")
	f.Add("P1DT2H")
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := delivery.ParseDuration(s); err == nil && (d <= 0 || d > 24*time.Hour) {
			t.Errorf("%q: %s", s, d)
		}
	})
}
