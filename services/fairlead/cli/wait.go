// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"fairlead.dev/services/internal/client"
	"fairlead.dev/services/internal/store"
)

const (
	defaultWait = 30 * time.Second
	// longWait stands for a negative --timeout.
	longWait = 7 * 24 * time.Hour
)

// waiting is `fairlead wait`.
type waiting struct {
	selection

	goalText string
	goal     goal
	timeout  time.Duration
}

func newWait(o *options) *cobra.Command {
	w := &waiting{selection: selection{options: o, chunk: defaultChunk}}
	cmd := &cobra.Command{
		Use:   "wait (-f FILE | TYPE (NAME... | -l LABELS | --all) | TYPE/NAME...) --for=WHAT [flags]",
		Short: "Wait until objects are in a state",
		Long: `Wait until objects are in a state: ` + forForms + `.

A condition counts once the object's newest change has been acted on.`,
		Example: `  fairlead wait ksvc/hello --for=condition=Ready --timeout=2m
  fairlead wait build app-1 --for=condition=Succeeded
  fairlead wait ksvc hello --for=jsonpath='{.status.latestReadyRevisionName}'=hello-00002
  fairlead wait ksvc/hello --for=delete`,
		ValidArgsFunction: o.completeObjects,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := w.read(cmd, args); err != nil {
				return err
			}
			return o.withClient(func(c *client.Client) error { return w.run(cmd.Context(), c) })
		},
	}
	w.addFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&w.goalText, "for", "", "what to wait for: "+forForms)
	f.DurationVar(&w.timeout, "timeout", defaultWait, "how long to wait; 0 means look once, below 0 a week")
	f.BoolVar(&w.every, "all", false, "wait for all objects of the type in the namespace")
	_ = cmd.RegisterFlagCompletionFunc("for", cobra.FixedCompletions(
		[]string{"condition=Ready", "condition=Succeeded", "delete", "create", "jsonpath="}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (w *waiting) read(cmd *cobra.Command, args []string) error {
	if err := w.selection.read(cmd, args); err != nil {
		return err
	}
	if w.goalText == "" {
		return usage(cmd, "--for is missing; it may be %s", forForms)
	}
	var err error
	if w.goal, err = parseGoal(w.goalText); err != nil {
		return usage(cmd, "%v", err)
	}
	if !w.named() && w.labels == "" && w.fields == "" && !w.every {
		return usage(cmd, "resource(s) were provided, but no name was specified; give names, -l, or --all")
	}
	if _, ok := w.goal.(*conditionGoal); !ok {
		return nil
	}
	for _, t := range w.targets {
		if !t.kind.HasStatus {
			return usage(cmd, "%s have no conditions to wait for", t.kind.Plural)
		}
	}
	return nil
}

func (w *waiting) run(ctx context.Context, c *client.Client) error {
	var pending []pendingKind
	if w.named() {
		for _, t := range w.targets {
			pending = append(pending, newPending(t.kind, t.keys))
		}
	} else {
		groups, err := w.fetch(ctx, c)
		if err != nil {
			return err
		}
		if count(groups) == 0 {
			return errors.New("no matching resources found")
		}
		pending = pendingOf(groups)
	}
	limit := w.timeout
	if limit < 0 {
		limit = longWait
	}
	wt := &waiter{
		options: w.options, goal: w.goal, limit: limit, once: limit == 0,
		done: func(name string) { fmt.Fprintf(w.options.streams.Out, "%s condition met\n", name) },
	}
	return wt.run(ctx, c, pending)
}

// waitUntilGone waits until objects that are being deleted are gone. A limit of 0 is none.
func waitUntilGone(ctx context.Context, c *client.Client, o *options, groups []group, limit time.Duration) error {
	w := &waiter{options: o, goal: gone{}, limit: limit, done: func(string) {}}
	return w.run(ctx, c, pendingOf(groups))
}

func pendingOf(groups []group) []pendingKind {
	var out []pendingKind
	for _, g := range groups {
		if len(g.objects) == 0 {
			continue
		}
		p := newPending(g.kind, nil)
		for _, obj := range g.objects {
			p.objects[store.KeyOf(obj)] = &pendingObject{uid: obj.GetMetadata().GetUid()}
		}
		out = append(out, p)
	}
	return out
}
