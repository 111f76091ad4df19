// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"fairlead.dev/services/e2e/harness"
)

// readmeExamples runs every example of README as it stands, but for the places of this run in place of quickstart's:
// files, ports and the namespace, in which the main job has been done.
func readmeExamples(t *testing.T, namespace string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(data), -1)
	if len(examples) < 5 {
		t.Fatalf("README has %d examples; the test does not find them", len(examples))
	}
	registry := filepath.Join(s.dir, "registry")
	if err := os.WriteFile(registry, []byte(s.cluster.Registry+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, def := s.server.Config(), harness.DefaultPorts()
	port := func(p int) string { return fmt.Sprintf(":%d", p) }
	places := strings.NewReplacer(
		".fairlead/kubeconfig", cfg.Kubeconfig, ".fairlead/token", cfg.Token, ".fairlead/registry", registry,
		".fairlead/bin", filepath.Join(s.state, "bin"),
		"quickstart", namespace,
		port(def.HTTP), port(cfg.Ports.HTTP), port(def.HTTPS), port(cfg.Ports.HTTPS), port(def.GRPC), port(cfg.Ports.GRPC),
		port(def.Router), port(cfg.Ports.Router), port(def.Broker), port(cfg.Ports.Broker),
		"kubectl --", harness.Kubectl(s.state)+" --",
	)
	for i, e := range examples {
		t.Run(fmt.Sprintf("example %d", i+1), func(t *testing.T) {
			// The command line finds the quickstart's server by itself; here it must be told.
			script := strings.ReplaceAll(e[1], ".fairlead/bin/fairlead", ".fairlead/bin/fairlead --server 127.0.0.1"+port(def.GRPC)+" --token-file .fairlead/token")
			cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", places.Replace(script))
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s\n%s", err, script, out)
			}
			t.Logf("%s", out)
		})
	}
}
