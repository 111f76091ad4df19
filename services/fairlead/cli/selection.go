// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/client"
	"fairlead.dev/services/internal/store"
)

// selection is which objects a command is about.
type selection struct {
	options *options

	labels, fields string
	everywhere     bool
	every          bool
	chunk          int64
	files          files

	// targets are what the arguments and files name.
	targets []target
}

// target is a kind and some of its objects.
type target struct {
	kind kinds.Kind
	// keys are the objects that were named; none means that selectors choose.
	keys []store.Key
}

// group is objects of one kind.
type group struct {
	kind    kinds.Kind
	objects []store.Object
	// version is that of the list, where it was one.
	version string
}

// addFlags adds the flags that choose objects.
func (s *selection) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&s.labels, "selector", "l", "", "labels that the objects have, such as app=shop,tier!=db")
	f.StringVar(&s.fields, "field-selector", "", "fields that the objects have: metadata.name and metadata.namespace")
	f.BoolVarP(&s.everywhere, "all-namespaces", "A", false, "look in all namespaces")
	s.files.addFlags(cmd)
}

// read takes the arguments: TYPE, TYPE NAME…, or TYPE/NAME….
func (s *selection) read(cmd *cobra.Command, args []string) error {
	switch {
	case s.files.given() && len(args) > 0:
		return usage(cmd, "with -f, the files say which objects; leave %q out", strings.Join(args, " "))
	case s.files.given() && (s.labels != "" || s.fields != "" || s.everywhere || s.every):
		return usage(cmd, "with -f, the files say which objects; leave selectors, --all and --all-namespaces out")
	case s.files.given():
		return s.readFiles()
	case len(args) == 0:
		return usage(cmd, "you must say which objects, by a kind or as TYPE/NAME; kinds are %s", strings.Join(kindNames(s.options.kinds).plurals(), ", "))
	}
	if err := s.readArgs(cmd, args); err != nil {
		return err
	}
	switch {
	case !s.named():
		return nil
	case s.labels != "" || s.fields != "":
		return usage(cmd, "name cannot be provided when a selector is specified")
	case s.everywhere:
		return usage(cmd, "a resource cannot be retrieved by name across all namespaces; give one with -n")
	case s.every:
		return usage(cmd, "name cannot be provided with --all")
	}
	return nil
}

func (s *selection) readArgs(cmd *cobra.Command, args []string) error {
	names := kindNames(s.options.kinds)
	slashed := func(a string) bool { return strings.Contains(a, "/") }
	if !slices.ContainsFunc(args, slashed) {
		for word := range strings.SplitSeq(args[0], ",") {
			found, err := names.find(word)
			if err != nil {
				return err
			}
			for _, k := range found {
				s.add(k, args[1:]...)
			}
		}
		return nil
	}
	for _, a := range args {
		word, name, ok := strings.Cut(a, "/")
		if !ok {
			return usage(cmd, "there is no need to specify a resource type as a separate argument when passing arguments in resource/name form (e.g. '%s resource/<resource_name>' instead of '%s resource resource/<resource_name>')",
				cmd.CommandPath(), cmd.CommandPath())
		}
		if word == "" || name == "" || slashed(name) {
			return usage(cmd, "%q is not of the form TYPE/NAME", a)
		}
		k, err := names.one(word)
		if err != nil {
			return err
		}
		s.add(k, name)
	}
	return nil
}

// add adds objects to the target of their kind, in the namespace of the command.
func (s *selection) add(k kinds.Kind, names ...string) {
	keys := make([]store.Key, len(names))
	for i, name := range names {
		keys[i] = s.options.key(k, name)
	}
	s.addKeys(k, keys...)
}

func (s *selection) addKeys(k kinds.Kind, keys ...store.Key) {
	i := slices.IndexFunc(s.targets, func(t target) bool { return t.kind.Message == k.Message })
	if i < 0 {
		i = len(s.targets)
		s.targets = append(s.targets, target{kind: k})
	}
	for _, key := range keys {
		if !slices.Contains(s.targets[i].keys, key) {
			s.targets[i].keys = append(s.targets[i].keys, key)
		}
	}
}

func (s *selection) readFiles() error {
	docs, err := s.files.documents(s.options)
	if err != nil {
		return err
	}
	for _, doc := range docs {
		k, ok := client.New(nil, s.options.kinds).KindOf(doc.APIVersion, doc.Kind)
		if !ok {
			continue // refused when it was parsed
		}
		s.addKeys(k, store.Key{Namespace: doc.Namespace, Name: doc.Name})
	}
	return nil
}

// tellNothing says that there is no object.
func (s *selection) tellNothing() {
	for _, t := range s.targets {
		if t.kind.Namespaced && !s.everywhere {
			fmt.Fprintf(s.options.streams.Err, "No resources found in %s namespace.\n", plain(s.options.namespace))
			return
		}
	}
	fmt.Fprintln(s.options.streams.Err, "No resources found")
}

// named tells whether objects are chosen by name.
func (s *selection) named() bool { return len(s.targets) > 0 && len(s.targets[0].keys) > 0 }

// single tells whether one object was asked for, by its name.
func (s *selection) single() bool { return len(s.targets) == 1 && len(s.targets[0].keys) == 1 }

// namespaceFor is where objects of a kind are looked for; empty means everywhere.
func (s *selection) namespaceFor(k kinds.Kind) string {
	if s.everywhere {
		return ""
	}
	return s.options.key(k, "").Namespace
}

// key names an object of a kind in the namespace of the command.
func (o *options) key(k kinds.Kind, name string) store.Key {
	if !k.Namespaced {
		return store.Key{Name: name}
	}
	return store.Key{Namespace: o.namespace, Name: name}
}

// fetch returns the objects, by kind. With an error, the others are there all the same.
func (s *selection) fetch(ctx context.Context, c *client.Client) ([]group, error) {
	var groups []group
	var faults []error
	for _, t := range s.targets {
		g, err := s.fetchOne(ctx, c, t)
		faults = append(faults, err)
		groups = append(groups, g)
		if _, away := asPeerError(err); away {
			break // the others would fail alike
		}
	}
	return groups, errors.Join(faults...)
}

func (s *selection) fetchOne(ctx context.Context, c *client.Client, t target) (group, error) {
	g := group{kind: t.kind}
	if len(t.keys) == 0 {
		list, err := c.ListAll(ctx, t.kind, &metav1.ListRequest{
			Namespace: s.namespaceFor(t.kind), LabelSelector: s.labels, FieldSelector: s.fields, Limit: s.chunk,
		})
		if err != nil {
			return g, err //nolint:wrapcheck // an error for users
		}
		g.objects, g.version = list.Items, list.ResourceVersion
		return g, nil
	}
	var faults []error
	for _, key := range t.keys {
		obj, err := c.Get(ctx, t.kind, key)
		if err != nil {
			faults = append(faults, err)
			if _, away := asPeerError(err); away {
				break
			}
			continue
		}
		g.objects = append(g.objects, obj)
	}
	return g, errors.Join(faults...)
}
