// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"fairlead.dev/services/e2e/harness"
)

// leasePatience is longer than a lease lasts: whoever is silent for so long has lost its work to others.
const leasePatience = 8 * time.Second

// twoServers starts two servers of one installation over one etcd and one NATS.
func twoServers(t *testing.T) (first, second *harness.Server) {
	t.Helper()
	shared := backing(t, t.TempDir())
	start := func(change func(*harness.ServerConfig)) *harness.Server {
		return anotherServer(t, "two", func(cfg *harness.ServerConfig) {
			cfg.Flags = append(slices.Clip(cfg.Flags), "--etcd-endpoints", shared.Etcd, "--nats-url", shared.NATS)
			change(cfg)
		})
	}
	first = start(func(*harness.ServerConfig) {})
	tls := filepath.Join(first.Config().Dir, "tls") // one authority for both
	second = start(func(cfg *harness.ServerConfig) { cfg.Flags = append(cfg.Flags, "--tls-dir", tls) })
	return first, second
}

// TestTwoLeaders has two servers share the work of a mixed load. One is stopped in its tracks for longer than its leases
// last, and woken while the other has its work: what it still writes is refused or repeats what is there. Then the other
// one is killed.
func TestTwoLeaders(t *testing.T) {
	first, second := twoServers(t)
	l, ns := mixedLoad(t, first.Config())
	for range short(2, 10) {
		pause(t, 3*time.Second)
		if err := syscall.Kill(second.PID(), syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		pause(t, leasePatience)
		if err := syscall.Kill(second.PID(), syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
	}
	pause(t, 3*time.Second)
	if err := second.Kill(); err != nil {
		t.Fatal(err)
	}
	pause(t, leasePatience)
	checkLoad(t, l, ns)
}
