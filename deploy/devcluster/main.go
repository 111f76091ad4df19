// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Command devcluster runs a one-node Kubernetes on this machine, for
// development and tests. Called by the name of a component (argv[0]) it is
// that component.
package main

import (
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"fairlead.dev/deploy/devcluster/internal/component"
)

func main() {
	if run := component.Lookup(filepath.Base(os.Args[0])); run != nil {
		os.Exit(run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := newCommand().ExecuteContext(ctx)
	stop()
	if err != nil {
		os.Stderr.WriteString("devcluster: " + err.Error() + "\n")
		os.Exit(1)
	}
}
