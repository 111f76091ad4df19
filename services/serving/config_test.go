// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package serving

import (
	"strings"
	"testing"
	"time"
)

func TestDefaultConfigIsValid(t *testing.T) {
	if err := DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
}

func TestValidateTellsEveryFault(t *testing.T) {
	c := DefaultConfig()
	c.Domain, c.Port, c.RouterPodAddress = "A b", 70000, "router:8000"
	c.DefaultTimeoutSeconds, c.ProgressDeadline, c.DrainDelay, c.Workers = 601, 0, time.Millisecond, 0
	c.Autoscaler.StableWindow = time.Second
	err := c.Validate()
	if err == nil {
		t.Fatal("no fault")
	}
	for _, field := range []string{"domain", "port", "routerPodAddress", "defaultTimeoutSeconds", "progressDeadline", "drainDelay", "workers", "stableWindow"} {
		if !strings.Contains(err.Error(), field) {
			t.Errorf("%s is not told: %v", field, err)
		}
	}
}
