// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package harness starts and stops what the main job and the end-to-end tests run against: the local Kubernetes and a
// fairlead server, each a process of its own, as users run them.
package harness

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
)

// Cluster is the local Kubernetes.
type Cluster struct {
	// Kubeconfig is its administrator's.
	Kubeconfig string `json:"kubeconfig"`
	// Registry is the host:port of its registry, for pods, node and this machine.
	Registry string `json:"registry"`
	// BridgeIP is this machine's address on the pods' network.
	BridgeIP string `json:"bridgeIP"`
	// ClusterDNS is the address of the cluster's DNS.
	ClusterDNS string `json:"clusterDNS"`
	// Components are its processes.
	Components []struct {
		Name string `json:"name"`
		PID  int    `json:"pid"`
	} `json:"components"`
}

// ClusterState is the folder of the local Kubernetes below a state folder.
func ClusterState(state string) string { return filepath.Join(state, "devcluster") }

// Up brings the local Kubernetes up, if it is not, and tells where it is.
func Up(ctx context.Context, state string, out io.Writer) (*Cluster, error) {
	if err := devcluster(ctx, state, out, "up"); err != nil {
		return nil, err
	}
	return Status(ctx, state)
}

// Down ends the local Kubernetes; its data stays.
func Down(ctx context.Context, state string, out io.Writer) error {
	return devcluster(ctx, state, out, "down")
}

// Status tells where the local Kubernetes is.
func Status(ctx context.Context, state string) (*Cluster, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(state, "bin", "devcluster"), "status", "--state", ClusterState(state), "--output", "json")
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("status of the local Kubernetes (is it up?): %w", err)
	}
	c := &Cluster{}
	if err := json.Unmarshal(out, c); err != nil {
		return nil, fmt.Errorf("status of the local Kubernetes: %w", err)
	}
	return c, nil
}

func devcluster(ctx context.Context, state string, out io.Writer, verb string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(state, "bin", "devcluster"), verb, "--state", ClusterState(state))
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("devcluster %s: %w", verb, err)
	}
	return nil
}

// Kubectl returns the kubectl to use: the machine's, or the one that comes with the local Kubernetes.
func Kubectl(state string) string {
	if path, err := exec.LookPath("kubectl"); err == nil {
		return path
	}
	return filepath.Join(state, "bin", "kubectl")
}
