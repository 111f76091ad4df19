// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"fairlead.dev/deploy/devcluster/internal/cluster"
	"fairlead.dev/deploy/devcluster/internal/image"
	"fairlead.dev/deploy/devcluster/internal/topology"
)

func newCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "devcluster",
		Short:         "A one-node Kubernetes on this machine, with DNS, volumes and a registry",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	state := root.PersistentFlags().String("state", ".fairlead/devcluster", "folder of all that the cluster keeps")
	open := func(out io.Writer) (*cluster.Cluster, error) {
		paths, err := topology.NewPaths(*state)
		if err != nil {
			return nil, err
		}
		return cluster.New(paths, pauseSource, out)
	}
	verb := func(use, short string, do func(*cluster.Cluster, *cobra.Command) error) *cobra.Command {
		return &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := open(cmd.OutOrStdout())
			if err != nil {
				return err
			}
			return do(c, cmd)
		}}
	}
	root.AddCommand(
		verb("up", "Start the cluster, or what of it does not run, and wait until it is ready",
			func(c *cluster.Cluster, cmd *cobra.Command) error { return c.Up(cmd.Context()) }),
		verb("down", "Stop the cluster and remove all but its data",
			func(c *cluster.Cluster, cmd *cobra.Command) error { return c.Down(cmd.Context()) }),
		verb("clean", "Stop the cluster and delete its data",
			func(c *cluster.Cluster, cmd *cobra.Command) error { return c.Clean(cmd.Context()) }),
		statusCommand(open),
		loadImageCommand(),
	)
	return root
}

func statusCommand(open func(io.Writer) (*cluster.Cluster, error)) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use: "status", Short: "Show whether the cluster runs, and its addresses; fails unless it is healthy", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := open(cmd.OutOrStdout())
			if err != nil {
				return err
			}
			status := c.Status(cmd.Context())
			switch output {
			case "json":
				encoder := json.NewEncoder(cmd.OutOrStdout())
				encoder.SetIndent("", "  ")
				err = encoder.Encode(status)
			case "text":
				err = status.WriteText(cmd.OutOrStdout())
			default:
				return fmt.Errorf("unknown output %q: use json or text", output)
			}
			if err == nil && !status.Healthy {
				err = errors.New("the cluster is not healthy: run `devcluster up`")
			}
			return err
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	return cmd
}

func loadImageCommand() *cobra.Command {
	var ref string
	cmd := &cobra.Command{
		Use: "load-image PATH", Short: "Load a docker archive, an OCI archive or an OCI layout folder into the node", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			out, err := image.Load(cmd.Context(), topology.ContainerdSocket, args[0], ref)
			if err != nil {
				return err
			}
			_, err = io.WriteString(cmd.OutOrStdout(), out)
			return err
		},
	}
	cmd.Flags().StringVar(&ref, "name", "", "the image's name, if it has none or another is wanted")
	return cmd
}
