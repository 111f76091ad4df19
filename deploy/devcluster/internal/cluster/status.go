// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"fairlead.dev/deploy/devcluster/internal/render"
	"fairlead.dev/deploy/devcluster/internal/topology"
)

// Status is what others need to know to use the cluster.
type Status struct {
	// State is the state folder.
	State string `json:"state"`
	// Running tells that every component's process lives, Healthy that the
	// cluster answers as well; Problem is what the first failing check said.
	Running bool   `json:"running"`
	Healthy bool   `json:"healthy"`
	Problem string `json:"problem,omitempty"`

	Kubeconfig    string `json:"kubeconfig"`
	APIServer     string `json:"apiServer"`
	Registry      string `json:"registry"`
	NodeName      string `json:"nodeName"`
	NodeIP        string `json:"nodeIP"`
	Bridge        string `json:"bridge"`
	BridgeIP      string `json:"bridgeIP"`
	PodCIDR       string `json:"podCIDR"`
	ServiceCIDR   string `json:"serviceCIDR"`
	ClusterDNS    string `json:"clusterDNS"`
	ClusterDomain string `json:"clusterDomain"`
	StorageClass  string `json:"storageClass"`

	ContainerdSocket string            `json:"containerdSocket"`
	Components       []ComponentStatus `json:"components"`
}

// ComponentStatus is one program of the cluster.
type ComponentStatus struct {
	Name    string `json:"name"`
	PID     int    `json:"pid,omitempty"`
	Running bool   `json:"running"`
	Log     string `json:"log"`
}

// Status looks at the processes and, if all of them live, asks each service.
func (c *Cluster) Status(ctx context.Context) Status {
	out := Status{
		State:      c.paths.State,
		Kubeconfig: c.paths.AdminKubeconfig(), APIServer: topology.APIServerURL(), Registry: topology.Registry(),
		NodeName: topology.NodeName, NodeIP: topology.NodeIP, Bridge: topology.Bridge, BridgeIP: topology.BridgeIP,
		PodCIDR: topology.PodCIDR, ServiceCIDR: topology.ServiceCIDR,
		ClusterDNS: topology.ClusterDNS, ClusterDomain: topology.ClusterDomain, StorageClass: topology.StorageClass,
		ContainerdSocket: topology.ContainerdSocket,
		Running:          true,
	}
	for _, component := range render.Components() {
		record := c.store.Get(string(component))
		status := ComponentStatus{Name: string(component), Running: record.Alive(), Log: c.paths.Log(string(component))}
		if status.Running {
			status.PID = record.PID
		} else if out.Running {
			out.Running = false
			out.Problem = status.Name + " does not run"
		}
		out.Components = append(out.Components, status)
	}
	if out.Running {
		if err := c.probeAll(ctx); err != nil {
			out.Problem = err.Error()
		} else {
			out.Healthy = true
		}
	}
	return out
}

func (c *Cluster) probeAll(ctx context.Context) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	probes := []struct {
		name  string
		probe func(context.Context) error
	}{
		{"API server", func(ctx context.Context) error { return probeAPI(ctx, client) }},
		{"node", func(ctx context.Context) error { return probeNode(ctx, client, time.Time{}) }},
		{"kubelet", func(ctx context.Context) error { return probeLease(ctx, client) }},
		{"service proxy", dialProbe("tcp", topology.APIServiceIP+":443")},
		{"cluster DNS", probeDNS},
		{"storage", dialProbe("tcp", topology.OnLoopback(topology.StorageMetricsPort))},
		{"registry", probeRegistry},
	}
	for _, p := range probes {
		if err := func() error {
			ctx, cancel := context.WithTimeout(ctx, probeLimit)
			defer cancel()
			return p.probe(ctx)
		}(); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

// WriteText prints the status for people.
func (s Status) WriteText(out io.Writer) error {
	writer := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	health := "yes"
	if !s.Healthy {
		health = "no: " + s.Problem
	}
	for _, row := range [][2]string{
		{"healthy", health},
		{"kubeconfig", s.Kubeconfig},
		{"registry", s.Registry},
		{"node", s.NodeName + " " + s.NodeIP},
		{"bridge", s.Bridge + " " + s.BridgeIP},
		{"pods", s.PodCIDR},
		{"services", s.ServiceCIDR},
		{"cluster DNS", s.ClusterDNS + " (" + s.ClusterDomain + ")"},
		{"storage class", s.StorageClass},
	} {
		fmt.Fprintf(writer, "%s\t%s\n", row[0], row[1])
	}
	for _, component := range s.Components {
		state := "stopped"
		if component.Running {
			state = fmt.Sprintf("pid %d", component.PID)
		}
		fmt.Fprintf(writer, "%s\t%s\n", component.Name, state)
	}
	return writer.Flush()
}
