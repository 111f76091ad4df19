// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/duration"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/internal/client"
	"fairlead.dev/services/internal/store"
)

// shownChanges is how many changed fields a line of a history names.
const shownChanges = 4

// history is `fairlead history`.
type history struct {
	selection

	output string
}

func newHistory(o *options) *cobra.Command {
	h := &history{selection: selection{options: o}}
	cmd := &cobra.Command{
		Use:   "history (TYPE NAME | TYPE/NAME) [flags]",
		Short: "Show the generations of an object",
		Long: `Show the generations that an object has had, the newest first, and which fields each of them changed.

The server keeps the last 20. With -o yaml or json, the objects are shown as they were.`,
		Example: `  fairlead history ksvc hello
  fairlead history ksvc hello -o yaml
  fairlead rollback ksvc hello --to 3`,
		ValidArgsFunction: o.completeObjects,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := h.readOne(cmd, args); err != nil {
				return err
			}
			switch h.output {
			case "", formYAML, formJSON:
			default:
				return usage(cmd, "-o %s is not a form of output of history; there are yaml and json", h.output)
			}
			return o.withClient(func(c *client.Client) error { return h.run(cmd.Context(), c) })
		},
	}
	cmd.Flags().StringVarP(&h.output, "output", "o", "", "form of the output: yaml, json")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{formYAML, formJSON}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// readOne takes arguments that name one object.
func (s *selection) readOne(cmd *cobra.Command, args []string) error {
	if err := s.read(cmd, args); err != nil {
		return err
	}
	if !s.single() {
		return usage(cmd, "name one object, as TYPE NAME or TYPE/NAME")
	}
	return nil
}

func (h *history) run(ctx context.Context, c *client.Client) error {
	k, key := h.targets[0].kind, h.targets[0].keys[0]
	versions, err := c.History(ctx, k, key)
	if err != nil {
		return err //nolint:wrapcheck // an error for users
	}
	if h.output != "" {
		g := group{kind: k}
		for _, v := range versions {
			g.objects = append(g.objects, v.Object)
		}
		return (&documents{yaml: h.output == formYAML}).list(h.options.streams.Out, []group{g}, false)
	}
	now, err := c.Get(ctx, k, key)
	if err != nil {
		return err //nolint:wrapcheck // an error for users
	}
	return h.table(now, versions)
}

func (h *history) table(now store.Object, versions []store.Version) error {
	g := &grid{}
	g.add("GENERATION", "REPLACED", "CHANGED")
	states := []store.Object{now}
	for _, v := range versions {
		states = append(states, v.Object)
	}
	for i, state := range states {
		replaced, changed := "", ""
		if i > 0 {
			replaced = duration.HumanDuration(time.Since(versions[i-1].Replaced)) + " ago"
		}
		if i+1 < len(states) {
			var err error
			if changed, err = changes(states[i+1], state); err != nil {
				return err
			}
		}
		g.add(strconv.FormatInt(state.GetMetadata().GetGeneration(), 10), replaced, changed)
	}
	return g.flush(h.options.streams.Out, "")
}

// changes names the fields in which two states of an object differ, but for status and what the server keeps.
func changes(before, after store.Object) (string, error) {
	var documents [2]any
	for i, obj := range []store.Object{before, after} {
		data, err := objectJSON(obj)
		if err != nil {
			return "", err
		}
		if documents[i], err = decodeJSON(data); err != nil {
			return "", err
		}
	}
	paths := differing(nil, "", documents[0], documents[1])
	paths = slices.DeleteFunc(paths, func(p string) bool {
		return strings.HasPrefix(p, "status") || strings.HasPrefix(p, "metadata") &&
			!strings.HasPrefix(p, "metadata.labels") && !strings.HasPrefix(p, "metadata.annotations")
	})
	if more := len(paths) - shownChanges; more > 0 {
		paths = append(paths[:shownChanges], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(paths, ", "), nil
}

// differing appends the paths at which two JSON values differ.
func differing(paths []string, path string, a, b any) []string {
	if reflect.DeepEqual(a, b) {
		return paths
	}
	x, isObject := a.(map[string]any)
	y, both := b.(map[string]any)
	if isObject && both {
		var keys []string
		for key := range x {
			keys = append(keys, key)
		}
		for key := range y {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		for _, key := range slices.Compact(keys) {
			paths = differing(paths, strings.TrimPrefix(path+"."+key, "."), x[key], y[key])
		}
		return paths
	}
	list, isList := a.([]any)
	other, both := b.([]any)
	if !isList || !both || len(list) != len(other) {
		return append(paths, path)
	}
	for i := range list {
		paths = differing(paths, path+"["+strconv.Itoa(i)+"]", list[i], other[i])
	}
	return paths
}

// rollback is `fairlead rollback`.
type rollback struct {
	selection

	to     int64
	dryRun dryRun
}

func newRollback(o *options) *cobra.Command {
	r := &rollback{selection: selection{options: o}}
	cmd := &cobra.Command{
		Use:   "rollback (TYPE NAME | TYPE/NAME) [flags]",
		Short: "Give an object an earlier generation's state again",
		Long: `Give an object the spec, the labels and the annotations that one of its generations had. That makes a new generation.

Without --to, it is the generation before the newest.`,
		Example: `  fairlead rollback ksvc hello
  fairlead rollback ksvc hello --to 3 --dry-run=server`,
		ValidArgsFunction: o.completeObjects,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := r.readOne(cmd, args); err != nil {
				return err
			}
			if cmd.Flags().Changed("to") && r.to <= 0 {
				return usage(cmd, "--to is %d; name a generation, as `fairlead history` shows them", r.to)
			}
			if err := r.dryRun.check(cmd); err != nil {
				return err
			}
			return o.withClient(func(c *client.Client) error { return r.run(cmd.Context(), c) })
		},
	}
	cmd.Flags().Int64Var(&r.to, "to", 0, "the generation to go back to")
	r.dryRun.addFlag(cmd)
	return cmd
}

func (r *rollback) run(ctx context.Context, c *client.Client) error {
	k, key := r.targets[0].kind, r.targets[0].keys[0]
	req := &metav1.RollbackRequest{Namespace: key.Namespace, Name: key.Name, Generation: r.to}
	if r.dryRun.on() {
		req.DryRun = []string{"All"}
	}
	obj, err := c.Rollback(ctx, k, req)
	if err != nil {
		return err //nolint:wrapcheck // an error for users
	}
	fmt.Fprintf(r.options.streams.Out, "%s/%s rolled back, as generation %d%s\n", typeName(k), key.Name, obj.GetMetadata().GetGeneration(), r.dryRun.suffix())
	return nil
}
