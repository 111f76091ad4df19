// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/client"
	"fairlead.dev/services/internal/store"
)

// deletion is `fairlead delete`.
type deletion struct {
	selection

	wait           bool
	timeout        time.Duration
	ignoreNotFound bool
	cascade        string
	dryRun         dryRun
}

func newDelete(o *options) *cobra.Command {
	d := &deletion{selection: selection{options: o, chunk: defaultChunk}}
	cmd := &cobra.Command{
		Use:   "delete (-f FILE | TYPE (NAME... | -l LABELS | --all) | TYPE/NAME...) [flags]",
		Short: "Delete objects",
		Example: `  fairlead delete ksvc hello
  fairlead delete builds -l app=shop
  fairlead delete -f service.yaml --ignore-not-found`,
		ValidArgsFunction: o.completeObjects,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := d.read(cmd, args); err != nil {
				return err
			}
			return o.withClient(func(c *client.Client) error { return d.run(cmd.Context(), c) })
		},
	}
	d.addFlags(cmd)
	d.dryRun.addFlag(cmd)
	f := cmd.Flags()
	f.BoolVar(&d.every, "all", false, "delete all objects of the type in the namespace")
	f.BoolVar(&d.wait, "wait", true, "wait until the objects are gone")
	f.DurationVar(&d.timeout, "timeout", 0, "how long to wait until the objects are gone; 0 means without end")
	f.BoolVar(&d.ignoreNotFound, "ignore-not-found", false, "an object that does not exist is no error")
	f.StringVar(&d.cascade, "cascade", "background", "what becomes of objects that the deleted ones own: background, foreground or orphan")
	_ = cmd.RegisterFlagCompletionFunc("cascade", cobra.FixedCompletions([]string{"background", "foreground", "orphan"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (d *deletion) read(cmd *cobra.Command, args []string) error {
	if err := d.selection.read(cmd, args); err != nil {
		return err
	}
	if err := d.dryRun.check(cmd); err != nil {
		return err
	}
	switch {
	case !d.named() && d.labels == "" && d.fields == "" && !d.every:
		return usage(cmd, "resource(s) were provided, but no name was specified; give names, -l, or --all")
	case d.every && (d.labels != "" || d.fields != ""):
		return usage(cmd, "setting 'all' parameter but found a non empty selector; give one of them")
	case d.timeout < 0:
		return usage(cmd, "--timeout is %s; it may not be negative", d.timeout)
	}
	switch d.cascade {
	case "background", "foreground", "orphan":
		return nil
	}
	return usage(cmd, "--cascade is %q; it may be background, foreground or orphan", d.cascade)
}

func (d *deletion) run(ctx context.Context, c *client.Client) error {
	targets, err := d.found(ctx, c)
	faults := []error{err}
	var going []group
	for _, t := range targets {
		left := group{kind: t.kind}
		for _, key := range t.keys {
			obj, err := d.one(ctx, c, t.kind, key)
			if d.ignoreNotFound || !d.named() { // what was listed may go by itself
				err = without(err, apierror.ReasonNotFound)
			}
			faults = append(faults, err)
			if obj != nil && len(obj.GetMetadata().GetFinalizers()) > 0 {
				left.objects = append(left.objects, obj)
			}
			if _, away := asPeerError(err); away {
				return err
			}
		}
		if len(left.objects) > 0 {
			going = append(going, left)
		}
	}
	if d.wait && !d.dryRun.on() && len(going) > 0 {
		faults = append(faults, waitUntilGone(ctx, c, d.options, going, d.timeout))
	}
	return errors.Join(faults...)
}

// found returns the objects to delete by name. With an error, those of other kinds are there all the same.
func (d *deletion) found(ctx context.Context, c *client.Client) ([]target, error) {
	if d.named() {
		return d.targets, nil
	}
	groups, err := d.fetch(ctx, c)
	var out []target
	for _, g := range groups {
		t := target{kind: g.kind}
		for _, obj := range g.objects {
			t.keys = append(t.keys, store.KeyOf(obj))
		}
		out = append(out, t)
	}
	if err == nil && count(groups) == 0 {
		fmt.Fprintln(d.options.streams.Err, "No resources found")
	}
	return out, err
}

// one deletes an object, and returns it where it was there.
func (d *deletion) one(ctx context.Context, c *client.Client, k kinds.Kind, key store.Key) (store.Object, error) {
	req := &metav1.DeleteRequest{
		Namespace: key.Namespace, Name: key.Name,
		PropagationPolicy: strings.ToUpper(d.cascade[:1]) + d.cascade[1:],
	}
	if d.dryRun.on() {
		req.DryRun = []string{"All"}
	}
	obj, err := c.Delete(ctx, k, req)
	if err != nil {
		return nil, err //nolint:wrapcheck // an error for users
	}
	fmt.Fprintf(d.options.streams.Out, "%s %q deleted%s\n", typeName(k), key.Name, d.dryRun.suffix())
	return obj, nil
}
