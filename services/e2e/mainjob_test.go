// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"fairlead.dev/services/e2e/harness"
	"fairlead.dev/services/e2e/mainjob"
)

func mainJobEnv(t *testing.T, namespace string) mainjob.Env {
	t.Helper()
	cfg := s.server.Config()
	return mainjob.Env{
		Namespace: namespace, Kubeconfig: cfg.Kubeconfig, Token: cfg.Token, CA: cfg.CA(),
		REST:     fmt.Sprintf("https://127.0.0.1:%d", cfg.Ports.HTTPS),
		GRPC:     fmt.Sprintf("127.0.0.1:%d", cfg.Ports.GRPC),
		Router:   fmt.Sprintf("127.0.0.1:%d", cfg.Ports.Router),
		Broker:   fmt.Sprintf("http://127.0.0.1:%d", cfg.Ports.Broker),
		Registry: s.cluster.Registry, HostAddress: s.cluster.BridgeIP,
		Sample: filepath.Join("..", "..", "deploy", "samples", "hello"),
		Bin:    filepath.Join(s.state, "bin"), Kubectl: harness.Kubectl(s.state), Out: os.Stderr,
	}
}

// TestMainJobSurvivesKills does the main job while the server is killed at three of its points and started again, and
// then runs the examples of README on what the job left.
func TestMainJobSurvivesKills(t *testing.T) {
	ns := namespace(t)
	env := mainJobEnv(t, ns)
	kills := 0
	env.At = func(ctx context.Context, point string) error {
		if err := s.server.Kill(); err != nil {
			return err
		}
		next, err := s.server.Restart(ctx)
		if err != nil {
			return fmt.Errorf("restart after the kill while %s: %w", point, err)
		}
		s.server = next
		kills++
		return nil
	}
	if err := mainjob.Run(t.Context(), env); err != nil {
		t.Fatal(err)
	}
	if kills != 3 {
		t.Errorf("the server was killed %d times, want 3", kills)
	}
	readmeExamples(t, ns)
}
