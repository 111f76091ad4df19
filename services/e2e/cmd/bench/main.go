// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Bench measures raw etcd, kube-apiserver and Fairlead side by side on this machine, and prints a table.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"fairlead.dev/services/e2e/bench"
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
	o := bench.Full()
	o.Progress = os.Stderr
	var bin string
	var short, keep bool
	cmd := &cobra.Command{
		Use: "bench", Short: "Measure raw etcd, kube-apiserver and Fairlead side by side", Args: cobra.NoArgs,
		SilenceUsage: true, SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if short {
				s := bench.Short()
				s.Progress, s.Only, s.EtcdInside, s.Fairlead = o.Progress, o.Only, o.EtcdInside, o.Fairlead
				o = s
			}
			o.Devcluster, o.Fairlead = filepath.Join(bin, "devcluster"), first(o.Fairlead, filepath.Join(bin, "fairlead"))
			dir, err := os.MkdirTemp("", "fairlead-bench-")
			if err != nil {
				return err //nolint:wrapcheck // says it all
			}
			if keep {
				fmt.Fprintln(os.Stderr, "kept:", dir)
			} else {
				defer os.RemoveAll(dir)
			}
			o.Dir = dir
			table, err := bench.Run(cmd.Context(), o)
			if err != nil {
				return err //nolint:wrapcheck // says it all
			}
			return table.Markdown(os.Stdout) //nolint:wrapcheck // says it all
		},
	}
	f := cmd.Flags()
	f.StringVar(&bin, "bin", ".fairlead/bin", "folder of the binaries")
	f.StringVar(&o.Fairlead, "fairlead", "", "another fairlead binary than the one in that folder")
	f.BoolVar(&short, "short", false, "as little as shows that it works")
	f.BoolVar(&keep, "keep", false, "keep data and logs")
	f.BoolVar(&o.EtcdInside, "etcd-inside", o.EtcdInside, "measure the speed of Fairlead with its etcd in its process, as it runs by default")
	f.StringSliceVar(&o.Only, "only", nil, "run only these: create, apply, get, list, watch, memory")
	f.DurationVar(&o.Span, "span", o.Span, "how long each round of a measurement lasts")
	f.IntVar(&o.Rounds, "rounds", o.Rounds, "rounds of each measurement")
	f.IntVar(&o.Objects, "objects", o.Objects, "objects for memory and restart")
	f.Float64Var(&o.WatchRate, "watch-rate", o.WatchRate, "writes a second where their rate is fixed")
	return cmd
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
