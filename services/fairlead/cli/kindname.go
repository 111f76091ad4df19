// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"slices"
	"strings"

	"fairlead.dev/gen/go/kinds"
)

// kindNames finds kinds by what people call them.
type kindNames []kinds.Kind

// find returns the kinds that a name means: one, or those of a category.
func (n kindNames) find(name string) ([]kinds.Kind, error) {
	wanted := strings.ToLower(name)
	var found, category []kinds.Kind
	for _, k := range n {
		if older := k.StoredVersion != ""; older && !strings.HasSuffix(wanted, "."+k.Version+"."+k.Group) {
			continue // meant only where its version is named
		}
		if answersTo(k, wanted) {
			found = append(found, k)
		}
		if slices.Contains(k.Categories, wanted) {
			category = append(category, k)
		}
	}
	switch {
	case len(found) == 1:
		return found, nil
	case len(found) > 1:
		return nil, fmt.Errorf("%q may be %s: say which, by its full name", name, strings.Join(fullNames(found), " or "))
	case len(category) > 0:
		return category, nil
	}
	return nil, n.unknown(name, wanted)
}

// one returns the kind that a name means.
func (n kindNames) one(name string) (kinds.Kind, error) {
	found, err := n.find(name)
	if err != nil {
		return kinds.Kind{}, err
	}
	if len(found) > 1 {
		return kinds.Kind{}, fmt.Errorf("%q is a category of kinds, and a name needs one kind: %s", name, strings.Join(fullNames(found), ", "))
	}
	return found[0], nil
}

func answersTo(k kinds.Kind, wanted string) bool {
	word, rest, qualified := strings.Cut(wanted, ".")
	if qualified && rest != k.Group && rest != k.Version+"."+k.Group {
		return false
	}
	return word == k.Plural || word == k.Singular || word == strings.ToLower(k.Kind) || slices.Contains(k.ShortNames, word)
}

func fullNames(ks []kinds.Kind) []string {
	names := make([]string, len(ks))
	for i, k := range ks {
		names[i] = k.Plural + "." + k.Group
	}
	return names
}

func (n kindNames) unknown(name, wanted string) error {
	text := fmt.Sprintf("the server doesn't have a resource type %q", name)
	if meant := n.nearest(wanted); meant != "" {
		return fmt.Errorf("%s; did you mean %q?", text, meant)
	}
	return fmt.Errorf("%s; there are %s. Kinds of the cluster's own, such as pods, are kubectl's", text, strings.Join(n.plurals(), ", "))
}

func (n kindNames) plurals() []string {
	all := make([]string, len(n))
	for i, k := range n {
		all[i] = k.Plural
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (n kindNames) categories() []string {
	var all []string
	for _, k := range n {
		all = append(all, k.Categories...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// nearest returns the name that was probably meant, or nothing.
func (n kindNames) nearest(wanted string) string {
	const longest = 64 // no name is longer; it bounds the work
	word, _, _ := strings.Cut(wanted, ".")
	if len(word) > longest {
		return ""
	}
	best, least := "", 1+len(word)/3
	consider := func(name string) {
		if d := distance(word, name); d < least {
			best, least = name, d
		}
	}
	for _, k := range n {
		consider(k.Plural)
		consider(k.Singular)
		for _, s := range k.ShortNames {
			consider(s)
		}
	}
	for _, c := range n.categories() {
		consider(c)
	}
	return best
}

// distance counts the letters to add, drop, replace or swap with a neighbour to make b of a.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			row[j] = min(last[j]+1, row[j-1]+1)
			switch {
			case a[i-1] == b[j-1]:
				row[j] = min(row[j], last[j-1])
			case i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1]:
				row[j] = min(row[j], last[j-1]+1, before[j-2]+1)
			default:
				row[j] = min(row[j], last[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

// typeName is how commands name an object's kind, such as `service.serving.knative.dev`.
func typeName(k kinds.Kind) string { return k.Singular + "." + k.Group }
