// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/apply"
	"fairlead.dev/services/internal/client"
	"fairlead.dev/services/internal/wire"
)

// dryRun is the value of --dry-run.
type dryRun string

// The values of --dry-run.
const (
	dryRunNone   dryRun = "none"
	dryRunServer dryRun = "server"
)

func (d *dryRun) addFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar((*string)(d), "dry-run", string(dryRunNone), "none, or server: have the server do everything but store")
	_ = cmd.RegisterFlagCompletionFunc("dry-run", cobra.FixedCompletions([]string{string(dryRunNone), string(dryRunServer)}, cobra.ShellCompDirectiveNoFileComp))
}

func (d *dryRun) check(cmd *cobra.Command) error {
	switch *d {
	case dryRunNone, dryRunServer:
		return nil
	case "client":
		return usage(cmd, "--dry-run=client is not supported, since defaults and checks are the server's; use --dry-run=server")
	}
	return usage(cmd, "--dry-run is %q; it may be none or server", string(*d))
}

func (d *dryRun) on() bool { return *d == dryRunServer }

// suffix is what follows the lines of a command.
func (d *dryRun) suffix() string {
	if d.on() {
		return " (server dry run)"
	}
	return ""
}

// applier is `fairlead apply`.
type applier struct {
	options *options
	files   files
	dryRun  dryRun
	atomic  bool
	force   bool
}

func newApply(o *options) *cobra.Command {
	a := &applier{options: o}
	cmd := &cobra.Command{
		Use:   "apply -f FILE [flags]",
		Short: "Make what documents say so",
		Long: `Create the objects that documents describe, or change them to be so.

What documents say is merged with what others manage of an object. A field that somebody else manages and a document wants
otherwise is a conflict, which --force-conflicts decides for the document. A field that an earlier apply set and the document no
longer has goes, unless somebody else wants it.

Every document is tried first: if one is at fault, none is applied, and each fault is told. With --atomic, all of them are
stored in one step: nobody sees some of them without the others.`,
		Example: `  fairlead apply -f service.yaml
  fairlead apply -f folder -R
  fairlead apply -f folder --atomic
  cat service.yaml | fairlead apply -f - --dry-run=server`,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) > 0:
				return usage(cmd, "apply takes no arguments, got %q; name files with -f", args[0])
			case !a.files.given():
				return usage(cmd, "must specify -f: a file, a folder, or - for standard input")
			}
			if err := a.dryRun.check(cmd); err != nil {
				return err
			}
			docs, err := a.files.documents(o)
			if err != nil {
				return err
			}
			return o.withClient(func(c *client.Client) error { return a.run(cmd.Context(), c, docs) })
		},
	}
	a.files.addFlags(cmd)
	a.dryRun.addFlag(cmd)
	cmd.Flags().BoolVar(&a.atomic, "atomic", false, "store all documents in one step, or none: at most 100, and 1 MiB together")
	cmd.Flags().BoolVar(&a.force, "force-conflicts", false, "take over fields that others manage and the documents want otherwise")
	return cmd
}

func (a *applier) run(ctx context.Context, c *client.Client, docs []document) error {
	if a.atomic {
		return a.together(ctx, c, docs)
	}
	ap := &apply.Applier{Conn: c.Conn(), Kinds: a.options.kinds, FieldManager: wire.DefaultManager, Force: a.force, Namespace: a.options.namespace}
	list := make([]apply.Document, len(docs))
	for i, doc := range docs {
		list[i] = doc.Document
	}
	_, err := ap.Apply(ctx, list, a.dryRun.on(), func(r apply.Result) { a.tell(c, r) })
	return locate(err, docs, c)
}

// tell says what became of a document.
func (a *applier) tell(c *client.Client, r apply.Result) {
	k, _ := c.KindOf(r.APIVersion, r.Kind)
	fmt.Fprintf(a.options.streams.Out, "%s/%s %s%s\n", typeName(k), r.Name, r.Action, a.dryRun.suffix())
}

// locate says of each fault which document in which file it is in.
func locate(err error, docs []document, c *client.Client) error {
	var faults *apply.DocumentsError
	var fault *apply.DocumentError
	switch {
	case errors.As(err, &faults):
		var all []error
		for i := range faults.List {
			all = append(all, locateOne(&faults.List[i], docs, c))
			if _, away := asPeerError(all[i]); away {
				return all[i] // the same for all
			}
		}
		if len(docs) > 1 {
			all = append(all, errors.New("nothing was applied, since not every document can be"))
		}
		return errors.Join(all...)
	case errors.As(err, &fault):
		return locateOne(fault, docs, c)
	}
	return err
}

func locateOne(fault *apply.DocumentError, docs []document, c *client.Client) error {
	k, _ := c.KindOf(fault.Document.APIVersion, fault.Document.Kind)
	err := fault.Err
	if slices.ContainsFunc(err.Causes, func(c apierror.Cause) bool { return c.Reason == apierror.CauseFieldManagerConflict }) {
		hinted := *err
		hinted.Message += "\nTake these fields over with --force-conflicts, leave them out of the document, or give them the values that they have."
		err = &hinted
	}
	return &locatedError{place(docs[fault.Document.Index-1], k), err}
}

func place(doc document, k kinds.Kind) string {
	return fmt.Sprintf("%s: %s/%s", doc.file, typeName(k), doc.Name)
}
