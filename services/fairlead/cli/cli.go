// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cli is the command line of Fairlead, with kubectl's habits. It talks gRPC only.
package cli

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"fairlead.dev/gen/go/kinds"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	// exitInterrupted is what shells tell of a program that an interrupt ended.
	exitInterrupted = 130
)

// Streams are where the commands read and write.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
	// Terminal tells that a person reads Err, who is shown progress. A file is found to be one by itself.
	Terminal bool
}

// New makes the root command with all that talk to a server. version is what `fairlead version` tells.
func New(version string, streams Streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "fairlead",
		Short: "Event-driven services from source, on Kubernetes",
		Long: `Fairlead turns source into running, event-driven services on Kubernetes.

The commands below talk to a Fairlead server over gRPC and have kubectl's habits.`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.Err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usage(cmd, "%v", err) })
	if f, ok := streams.Err.(*os.File); ok {
		streams.Terminal = term.IsTerminal(int(f.Fd()))
	}
	o := &options{streams: streams, version: version, kinds: kinds.Versions()}
	o.addFlags(root)
	for _, add := range []func(*options) *cobra.Command{
		newGet, newDescribe, newApply, newDelete, newWait, newLogs, newHistory, newRollback, newLogin, newLogout, newWhoAmI, newToken, newKubeconfig, newVersion,
	} {
		root.AddCommand(add(o))
	}
	return root
}

// Run executes a command of root, prints its error, and returns the code to exit with.
func Run(ctx context.Context, root *cobra.Command) int {
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return exitOK
	case ctx.Err() != nil && errors.Is(context.Cause(ctx), context.Canceled):
		return exitInterrupted // whoever interrupts knows why it ended
	}
	report(root.ErrOrStderr(), err)
	return exitFailed
}
