// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"fairlead.dev/services/e2e/harness"
	"fairlead.dev/services/e2e/load"
)

// soak tells whether the long form of tests of faults is wanted.
func soak() bool { return os.Getenv("FAIRLEAD_SOAK") != "" }

// short is the first of two values in the short form of a test, and the second in its long form.
func short[T any](brief, long T) T {
	if soak() {
		return long
	}
	return brief
}

// mixedLoad starts writes, watches and builds in a namespace of their own, at the front door of a server.
func mixedLoad(t *testing.T, at harness.ServerConfig) (*load.Load, string) {
	t.Helper()
	ns := namespace(t)
	client := clientOf(t, at)
	client.Timeout = 0
	return load.Start(t.Context(), load.Config{
		Door:      &load.Door{URL: fmt.Sprintf("https://127.0.0.1:%d", at.Ports.HTTPS), Client: client, Token: tokenOf(t, at)},
		Namespace: ns, Image: app(t), Writers: 2, Objects: 5, Watchers: 3, Builders: 2,
		Pause: 20 * time.Millisecond, Patience: 3 * time.Minute,
	}), ns
}

// checkLoad ends a load, and wants everything to be as acknowledged and nothing to be left over.
func checkLoad(t *testing.T, l *load.Load, ns string) {
	t.Helper()
	report, err := l.Check(t.Context())
	t.Logf("%s", report)
	if err != nil {
		t.Errorf("%v", err)
	}
	if report.Acknowledged == 0 || report.Events == 0 || report.Builds == 0 {
		t.Errorf("the load did not do what it should: %s", report)
	}
	onePodEach(t, ns)
}

// onePodEach wants each build to have run in one pod.
func onePodEach(t *testing.T, ns string) {
	t.Helper()
	pods, err := s.kube.CoreV1().Pods(ns).List(t.Context(), kmetav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for _, p := range pods.Items {
		owner := p.Annotations["fairlead.dev/owner"]
		if other, ok := seen[owner]; ok {
			t.Errorf("%s has two pods: %s and %s", owner, other, p.Name)
		}
		if p.Status.Phase == corev1.PodFailed {
			t.Errorf("pod %s of %s failed: %s", p.Name, owner, p.Status.Message)
		}
		seen[owner] = p.Name
	}
}

// TestServerKilledAtRandom kills the server again and again under a mixed load: nothing that was acknowledged is lost,
// no watcher misses anything, every build ends, in one pod.
func TestServerKilledAtRandom(t *testing.T) {
	l, ns := mixedLoad(t, s.server.Config())
	for range short(4, 200) {
		pause(t, time.Second+rand.N(3*time.Second))
		if err := s.server.Kill(); err != nil {
			t.Fatal(err)
		}
		next, err := s.server.Restart(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		s.server = next
	}
	pause(t, 2*time.Second)
	checkLoad(t, l, ns)
}

// TestServicesKilledAtRandom kills services that are processes of their own, one at random again and again, under a mixed
// load.
func TestServicesKilledAtRandom(t *testing.T) {
	p := startSeparate(t)
	l, ns := mixedLoad(t, p.cfg)
	names := harness.ServiceNames()
	for range short(6, 200) {
		pause(t, time.Second+rand.N(2*time.Second))
		name := names[rand.IntN(len(names))]
		if err := p.Kill(name); err != nil {
			t.Fatal(err)
		}
		if err := p.Start(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	pause(t, 2*time.Second)
	checkLoad(t, l, ns)
}

// pause lets a load go on for a while: the time in which things happen, not a wait for something to happen.
func pause(t *testing.T, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	<-ctx.Done()
}
