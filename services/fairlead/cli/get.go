// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/client"
	"fairlead.dev/services/internal/store"
)

// defaultChunk is how many objects are asked for at a time.
const defaultChunk = 500

// get is `fairlead get`.
type get struct {
	selection

	output           string
	noHeaders        bool
	watch, watchOnly bool
	ignoreNotFound   bool
	printer          printer
}

func newGet(o *options) *cobra.Command {
	g := &get{selection: selection{options: o}}
	cmd := &cobra.Command{
		Use:   "get (TYPE[,TYPE] [NAME...] | TYPE/NAME...) [flags]",
		Short: "Show objects",
		Long: `Show one object or many.

A type is a kind's plural, singular or short name, its kind, its full name such as services.serving.knative.dev,
or a category such as knative.`,
		Example: `  fairlead get ksvc                                  # services in the default namespace
  fairlead get knative -A                            # everything, everywhere
  fairlead get service/hello -o yaml
  fairlead get builds -w                             # and go on with what changes
  fairlead get ksvc hello -o jsonpath='{.status.url}'`,
		ValidArgsFunction: o.completeObjects,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := g.read(cmd, args); err != nil {
				return err
			}
			return o.withClient(func(c *client.Client) error { return g.run(cmd.Context(), c) })
		},
	}
	g.addFlags(cmd)
	f := cmd.Flags()
	f.StringVarP(&g.output, "output", "o", "", "form of the output: yaml, json, name, wide, jsonpath=TEMPLATE, custom-columns=HEADER:PATH,...")
	f.BoolVarP(&g.watch, "watch", "w", false, "go on with the changes of what was found")
	f.BoolVar(&g.watchOnly, "watch-only", false, "show changes only, and not what there is already")
	f.BoolVar(&g.noHeaders, "no-headers", false, "leave the headers of tables out")
	f.BoolVar(&g.ignoreNotFound, "ignore-not-found", false, "an object that does not exist is no error")
	f.Int64Var(&g.chunk, "chunk-size", defaultChunk, "how many objects are asked for at a time; 0 means all at once")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(outputForms(), cobra.ShellCompDirectiveNoFileComp|cobra.ShellCompDirectiveNoSpace))
	return cmd
}

// read takes flags and arguments.
func (g *get) read(cmd *cobra.Command, args []string) error {
	if err := g.selection.read(cmd, args); err != nil {
		return err
	}
	if g.chunk < 0 {
		return usage(cmd, "--chunk-size is %d; it may not be negative", g.chunk)
	}
	g.watch = g.watch || g.watchOnly
	if g.watch && (len(g.targets) != 1 || len(g.targets[0].keys) > 1) {
		return usage(cmd, "a watch is of one kind, or of one object; say which")
	}
	p, err := newPrinter(g.output, layout{namespaces: g.everywhere, noHeaders: g.noHeaders, typed: len(g.targets) > 1})
	if err != nil {
		return usage(cmd, "%v", err)
	}
	g.printer = p
	return nil
}

func (g *get) run(ctx context.Context, c *client.Client) error {
	if g.watchOnly {
		return g.follow(ctx, c, nil, g.watchFromNow)
	}
	groups, err := g.fetch(ctx, c)
	if g.ignoreNotFound {
		err = without(err, apierror.ReasonNotFound)
	}
	if printed := g.printer.list(g.options.streams.Out, groups, g.single()); printed != nil {
		return printed
	}
	if err != nil {
		return err
	}
	if _, ok := g.printer.(*tables); ok && count(groups) == 0 && !g.named() && !g.watch { // documents say so themselves
		g.tellNothing()
	}
	if !g.watch {
		return nil
	}
	return g.follow(ctx, c, groups, watchFromList)
}

func count(groups []group) int {
	n := 0
	for _, g := range groups {
		n += len(g.objects)
	}
	return n
}

// watchFromList is the version from which a watch goes on after what was shown.
func watchFromList(_ context.Context, _ *client.Client, groups []group) (string, error) {
	if groups[0].version != "" {
		return groups[0].version, nil
	}
	return groups[0].objects[0].GetMetadata().GetResourceVersion(), nil
}

// watchFromNow is the version of this moment. A page of one object tells it.
func (g *get) watchFromNow(ctx context.Context, c *client.Client, _ []group) (string, error) {
	k := g.targets[0].kind
	list, err := c.List(ctx, k, &metav1.ListRequest{Namespace: g.namespaceFor(k), Limit: 1})
	if err != nil {
		return "", err //nolint:wrapcheck // an error for users
	}
	return list.ResourceVersion, nil
}

// follow prints what changes, until it is interrupted.
func (g *get) follow(ctx context.Context, c *client.Client, groups []group, from func(context.Context, *client.Client, []group) (string, error)) error {
	if g.named() && groups != nil && count(groups) == 0 {
		return nil // it was not there, and need not be
	}
	version, err := from(ctx, c, groups)
	if err != nil {
		return err
	}
	t := g.targets[0]
	req := &metav1.WatchRequest{Namespace: g.namespaceFor(t.kind), LabelSelector: g.labels, FieldSelector: g.fields, ResourceVersion: version}
	if len(t.keys) == 1 {
		req.Namespace, req.FieldSelector = t.keys[0].Namespace, "metadata.name="+t.keys[0].Name
	}
	return c.Follow(ctx, t.kind, client.Following{ //nolint:wrapcheck // an error for users
		Request: req,
		Broken:  g.options.tellBroken,
		Event:   func(e store.Event) (bool, error) { return false, g.show(t.kind, e) },
	})
}

func (g *get) show(k kinds.Kind, e store.Event) error {
	if e.Type == store.Bookmark {
		return nil
	}
	return g.printer.event(g.options.streams.Out, k, e.Object)
}

// tellBroken says that a watch goes on after a break.
func (o *options) tellBroken(err error) {
	fmt.Fprintln(o.streams.Err, plain(message(err))+"\nTrying again…")
}
