// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"
	"k8s.io/apimachinery/pkg/util/duration"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/client"
	"fairlead.dev/services/internal/store"
)

// lastApplied is an annotation that repeats the object.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

func newDescribe(o *options) *cobra.Command {
	s := &selection{options: o, chunk: defaultChunk}
	cmd := &cobra.Command{
		Use:   "describe (TYPE [NAME...] | TYPE/NAME...) [flags]",
		Short: "Show the details of objects",
		Long: `Show the details of objects, with their conditions: what is the matter, and what to do.

Events about an object are kept by Kubernetes: kubectl get events --field-selector involvedObject.name=NAME`,
		Example: `  fairlead describe ksvc hello
  fairlead describe build/app-1`,
		ValidArgsFunction: o.completeObjects,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := s.read(cmd, args); err != nil {
				return err
			}
			return o.withClient(func(c *client.Client) error { return s.describe(cmd.Context(), c) })
		},
	}
	s.addFlags(cmd)
	return cmd
}

func (s *selection) describe(ctx context.Context, c *client.Client) error {
	groups, err := s.fetch(ctx, c)
	first := true
	for _, g := range groups {
		for _, obj := range g.objects {
			var b strings.Builder
			if !first {
				b.WriteString("\n\n")
			}
			first = false
			if err := writeDescription(&b, g.kind, obj, time.Now()); err != nil {
				return err
			}
			if _, err := io.WriteString(s.options.streams.Out, plain(b.String())); err != nil {
				return err //nolint:wrapcheck // names the file
			}
		}
	}
	if err == nil && count(groups) == 0 {
		s.tellNothing()
	}
	return err
}

// writeDescription writes an object as text: who it is, its fields, and its conditions.
func writeDescription(w *strings.Builder, k kinds.Kind, obj store.Object, now time.Time) error {
	m := obj.GetMetadata()
	head := &outline{}
	head.line(0, "Name", m.GetName())
	if k.Namespaced {
		head.line(0, "Namespace", m.GetNamespace())
	}
	head.pairs("Labels", "=", m.GetLabels())
	annotations := maps.Clone(m.GetAnnotations())
	delete(annotations, lastApplied)
	head.pairs("Annotations", ": ", annotations)
	head.line(0, "API Version", k.APIVersion())
	head.line(0, "Kind", k.Kind)
	head.line(0, "Created", moment(m.GetCreationTimestamp(), now))
	if m.GetDeletionTimestamp() != nil {
		head.line(0, "Deletion asked for", moment(m.GetDeletionTimestamp(), now))
	}
	head.line(0, "Generation", strconv.FormatInt(m.GetGeneration(), 10))
	for _, owner := range m.GetOwnerReferences() {
		head.line(0, "Owned By", owner.GetKind()+"/"+owner.GetName())
	}
	if len(m.GetFinalizers()) > 0 {
		head.line(0, "Finalizers", strings.Join(m.GetFinalizers(), ", "))
	}
	data, err := objectJSON(obj)
	if err != nil {
		return err
	}
	if err := head.fields(data); err != nil {
		return err
	}
	head.write(w)
	return writeConditions(w, conditionsOf(obj), now)
}

func writeConditions(w io.Writer, conditions []*metav1.Condition, now time.Time) error {
	if len(conditions) == 0 {
		return nil
	}
	fmt.Fprintln(w, "Conditions:")
	g := grid{}
	g.add("Type", "Status", "Age", "Reason", "Message")
	g.add("----", "------", "---", "------", "-------")
	for _, c := range conditions {
		g.add(c.GetType(), c.GetStatus(), age(c.GetLastTransitionTime(), now), orNothing(c.GetReason()), orNothing(c.GetMessage()))
	}
	return g.flush(w, "  ")
}

func orNothing(text string) string {
	if text == "" {
		return nothing
	}
	return text
}

// moment is a time, and how long ago it was.
func moment(t *timestamppb.Timestamp, now time.Time) string {
	if t == nil {
		return nothing
	}
	return t.AsTime().Format(time.RFC3339) + " (" + age(t, now) + " ago)"
}

func age(t *timestamppb.Timestamp, now time.Time) string {
	if t == nil {
		return "<unknown>"
	}
	return duration.HumanDuration(now.Sub(t.AsTime()))
}

// conditionsOf returns the conditions in an object's status, if its kind has them.
func conditionsOf(obj store.Object) []*metav1.Condition {
	list, ok := statusField(obj, "conditions")
	if !ok {
		return nil
	}
	var out []*metav1.Condition
	for i := range list.List().Len() {
		if c, ok := list.List().Get(i).Message().Interface().(*metav1.Condition); ok {
			out = append(out, c)
		}
	}
	return out
}

// observedGeneration is the generation that an object's status is about; false when the kind does not tell.
func observedGeneration(obj store.Object) (int64, bool) {
	v, ok := statusField(obj, "observed_generation")
	if !ok {
		return 0, false
	}
	return v.Int(), true
}

// statusField returns a field of an object's status; false when there is no such field.
func statusField(obj store.Object, name protoreflect.Name) (protoreflect.Value, bool) {
	r := obj.ProtoReflect()
	status := r.Descriptor().Fields().ByName("status")
	if status == nil || status.Message() == nil {
		return protoreflect.Value{}, false
	}
	field := status.Message().Fields().ByName(name)
	if field == nil {
		return protoreflect.Value{}, false
	}
	return r.Get(status).Message().Get(field), true
}

// sortedKeys are the keys of a map in order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
