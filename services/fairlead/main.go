// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Fairlead turns source into running, event-driven services on Kubernetes: the server and the command line in one binary.
package main

import (
	"os"

	"fairlead.dev/services/fairlead/cli"
	"fairlead.dev/services/fairlead/process"
	"fairlead.dev/services/fairlead/server"
	"fairlead.dev/services/internal/version"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := process.UntilSignal()
	defer stop()
	root := cli.New(version.String(), cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
	root.AddCommand(server.Command())
	return cli.Run(ctx, root)
}
