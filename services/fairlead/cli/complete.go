// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/client"
)

const (
	// completionPatience is how long completion waits for names: a person has pressed a key.
	completionPatience = 2 * time.Second
	// completionNames is how many names are offered at most.
	completionNames = 500
)

// completeObjects offers kinds, and then names of objects.
func (o *options) completeObjects(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	known := kindNames(o.kinds)
	typed, _, slashed := strings.Cut(word, "/")
	switch {
	case slashed:
		k, err := known.one(typed)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return o.completeNames(cmd, k, args, word, typed+"/")
	case len(args) == 0:
		offered := append(known.plurals(), known.categories()...)
		return startingWith(offered, word), cobra.ShellCompDirectiveNoFileComp
	}
	k, err := known.one(args[0])
	if err != nil || strings.Contains(args[0], "/") {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return o.completeNames(cmd, k, args[1:], word, "")
}

// completeBuilds offers builds, as build/NAME.
func (o *options) completeBuilds(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	i := slices.IndexFunc(o.kinds, isBuild)
	if len(args) > 0 || i < 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return o.completeNames(cmd, o.kinds[i], nil, word, "build/")
}

// completeNames offers the names of objects that are not taken yet, each after prefix. A server that does not answer
// offers none.
func (o *options) completeNames(cmd *cobra.Command, k kinds.Kind, taken []string, word, prefix string) ([]string, cobra.ShellCompDirective) {
	parent := cmd.Context()
	if parent == nil {
		parent = context.Background()
	}
	ctx, cancel := context.WithTimeout(parent, completionPatience)
	defer cancel()
	var offered []string
	err := o.withClient(func(c *client.Client) error {
		list, err := c.List(ctx, k, &metav1.ListRequest{Namespace: o.key(k, "").Namespace, Limit: completionNames})
		if err != nil {
			return err //nolint:wrapcheck // dropped
		}
		for _, obj := range list.Items {
			if name := prefix + obj.GetMetadata().GetName(); !slices.Contains(taken, name) {
				offered = append(offered, name)
			}
		}
		return nil
	})
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return startingWith(offered, word), cobra.ShellCompDirectiveNoFileComp
}

func startingWith(offered []string, word string) []string {
	return slices.DeleteFunc(offered, func(name string) bool { return !strings.HasPrefix(name, word) })
}
