// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"strings"
	"testing"
	"time"

	"fairlead.dev/services/gateway"
)

func TestConfigTellsEveryFault(t *testing.T) {
	tests := []struct {
		reason string
		change func(*gateway.Config)
		want   []string
	}{
		{"the defaults are sound", func(*gateway.Config) {}, nil},
		{"an object must fit", func(c *gateway.Config) { c.MaxBodyBytes = 1 }, []string{"MaxBodyBytes is 1;"}},
		{"a revoked token must not work for long", func(c *gateway.Config) { c.IdentityTTL = time.Hour }, []string{"IdentityTTL is 1h0m0s;"}},
		{"all at once", func(c *gateway.Config) { *c = gateway.Config{IdentityTTL: -1} },
			[]string{"MaxBodyBytes is 0;", "IdentityTTL is -1ns;", "ClientTimeout is 0s;", "ShutdownTimeout is 0s;"}},
	}
	for _, test := range tests {
		t.Run(test.reason, func(t *testing.T) {
			c := gateway.DefaultConfig()
			test.change(&c)
			var got []string
			if err := c.Validate(); err != nil {
				got = strings.Split(err.Error(), "\n")
			}
			if len(got) != len(test.want) {
				t.Fatalf("%d faults, want %d: %q", len(got), len(test.want), got)
			}
			for i, want := range test.want {
				if !strings.Contains(got[i], want) {
					t.Errorf("got %q, want it to tell %q", got[i], want)
				}
			}
		})
	}
}
