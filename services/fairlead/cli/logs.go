// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	buildv1 "fairlead.dev/gen/go/fairlead/build/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/client"
)

// logs is `fairlead logs`.
type logs struct {
	options *options

	name   string
	step   string
	follow bool
	prefix bool
}

func newLogs(o *options) *cobra.Command {
	l := &logs{options: o}
	cmd := &cobra.Command{
		Use:   "logs build/NAME [flags]",
		Short: "Show what the steps of a build printed",
		Long: `Show what the steps of a build printed.

What the pods of a service print is kept by Kubernetes: kubectl logs -l serving.knative.dev/service=NAME`,
		Example: `  fairlead logs build/app-1 -f
  fairlead logs build/app-1 --step=test`,
		ValidArgsFunction: o.completeBuilds,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := l.read(cmd, args); err != nil {
				return err
			}
			return o.withClient(func(c *client.Client) error { return l.run(cmd.Context(), c) })
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&l.follow, "follow", "f", false, "go on until the build ends")
	f.StringVar(&l.step, "step", "", "one step only")
	f.BoolVar(&l.prefix, "prefix", false, "begin each line with the build and the step that printed it")
	return cmd
}

// read takes build/NAME, build NAME, or NAME.
func (l *logs) read(cmd *cobra.Command, args []string) error {
	word, name := "build", ""
	switch {
	case len(args) == 2 && !strings.Contains(args[0]+args[1], "/"):
		word, name = args[0], args[1]
	case len(args) == 1 && strings.Contains(args[0], "/"):
		word, name, _ = strings.Cut(args[0], "/")
	case len(args) == 1:
		name = args[0]
	}
	if name == "" || strings.Contains(name, "/") {
		return usage(cmd, "say which build, as in %s build/NAME", cmd.CommandPath())
	}
	k, err := kindNames(l.options.kinds).one(word)
	if err != nil {
		return err
	}
	if !isBuild(k) {
		return usage(cmd, "the server keeps logs of builds only; those of the pods of %s are shown by kubectl logs", k.Plural)
	}
	l.name = name
	return nil
}

func isBuild(k kinds.Kind) bool {
	return k.Message == (&buildv1.Build{}).ProtoReflect().Descriptor().FullName()
}

func (l *logs) run(ctx context.Context, c *client.Client) error {
	stream, err := buildv1.NewLogServiceClient(c.Conn()).Read(ctx, &buildv1.LogServiceReadRequest{
		Namespace: l.options.namespace, Name: l.name, Step: l.step, Follow: l.follow,
	})
	if err != nil {
		return apierror.FromStatus(err)
	}
	out := &lines{w: l.options.streams.Out, name: l.name, prefix: l.prefix, fresh: true}
	for {
		piece, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return apierror.FromStatus(err)
		}
		if err := out.write(piece.GetStep(), piece.GetData()); err != nil {
			return err
		}
	}
}

// lines writes pieces of a log, each line after its prefix where that is wanted. Each step begins a line.
type lines struct {
	w      io.Writer
	name   string
	prefix bool

	step string
	// fresh tells that the next piece begins a line.
	fresh bool
}

func (l *lines) write(step string, data []byte) error {
	var b bytes.Buffer
	if !l.fresh && step != l.step {
		b.WriteByte('\n')
		l.fresh = true
	}
	l.step = step
	for line := range bytes.Lines(data) {
		if l.fresh && l.prefix {
			fmt.Fprintf(&b, "[build/%s/%s] ", l.name, plain(step))
		}
		b.Write(line)
		l.fresh = bytes.HasSuffix(line, []byte("\n"))
	}
	_, err := l.w.Write(b.Bytes())
	return err //nolint:wrapcheck // names the file
}
