// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Quickstart goes from source to a running, event-driven service on a local Kubernetes, and leaves it running.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		return 1
	}
	return 0
}

func command() *cobra.Command {
	q := &quickstart{out: os.Stdout}
	root := &cobra.Command{
		Use: "quickstart", Short: "From source to a running service on a local Kubernetes",
		SilenceUsage: true, SilenceErrors: true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if q.state == "" {
				return errors.New("--state is empty; name the folder where everything is kept")
			}
			var err error
			q.state, err = filepath.Abs(q.state)
			return err //nolint:wrapcheck // says it all
		},
	}
	root.PersistentFlags().StringVar(&q.state, "state", ".fairlead", "folder where everything is kept")
	up := &cobra.Command{
		Use: "up", Short: "Bring everything up, do the main job, and leave it running", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return q.up(cmd.Context()) },
	}
	up.Flags().StringVar(&q.sample, "sample", "deploy/samples/hello", "folder of the sample app")
	up.Flags().BoolVarP(&q.verbose, "verbose", "v", false, "print what every step prints")
	root.AddCommand(up, &cobra.Command{
		Use: "down", Short: "End all that was started; data stays", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return q.down(cmd.Context()) },
	})
	return root
}
