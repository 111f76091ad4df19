// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cmd_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestBinariesLinkOnlyWhatTheyNeed keeps the data plane free of etcd and of Kubernetes' clients, and every service free
// of the others.
func TestBinariesLinkOnlyWhatTheyNeed(t *testing.T) {
	state := []string{"go.etcd.io/etcd/", "k8s.io/client-go/", "sigs.k8s.io/controller-runtime"}
	services := []string{
		"fairlead.dev/services/build", "fairlead.dev/services/serving", "fairlead.dev/services/eventing", "fairlead.dev/services/gateway",
	}
	tests := []struct {
		binary, reason string
		without        []string
	}{
		{"router", "it is programmed over gRPC", append([]string{
			"fairlead.dev/services/build", "fairlead.dev/services/eventing", "fairlead.dev/services/gateway", "fairlead.dev/services/auth"}, state...)},
		{"dispatcher", "it is programmed over gRPC", append([]string{
			"fairlead.dev/services/build", "fairlead.dev/services/serving", "fairlead.dev/services/gateway", "fairlead.dev/services/auth"}, state...)},
		{"auth", "services know each other over gRPC only", append([]string{"github.com/nats-io/"}, services...)},
		{"build", "services know each other over gRPC only", []string{services[1], services[2], services[3], "github.com/nats-io/"}},
		{"serving", "services know each other over gRPC only", []string{services[0], services[2], services[3], "github.com/nats-io/"}},
		{"eventing", "services know each other over gRPC only", []string{services[0], services[1], services[3]}},
		{"gateway", "it holds no state", append([]string{"go.etcd.io/etcd/server/", "fairlead.dev/services/auth"}, services[:3]...)},
	}
	for _, test := range tests {
		t.Run(test.binary, func(t *testing.T) {
			out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "./fairlead-"+test.binary).Output()
			if err != nil {
				t.Fatal(err)
			}
			for pkg := range strings.Lines(string(out)) {
				pkg = strings.TrimSpace(pkg)
				for _, prefix := range test.without {
					if strings.HasPrefix(pkg+"/", strings.TrimSuffix(prefix, "/")+"/") {
						t.Errorf("links %s: %s", pkg, test.reason)
					}
				}
			}
		})
	}
}

// TestMainsAreShort keeps what processes do out of their main packages.
func TestMainsAreShort(t *testing.T) {
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		data, err := os.ReadFile(e.Name() + "/main.go")
		if err != nil {
			t.Fatal(err)
		}
		if lines := strings.Count(string(data), "\n"); lines >= 60 {
			t.Errorf("%s/main.go has %d lines, want less than 60", e.Name(), lines)
		}
	}
}
