// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package differential

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"fairlead.dev/services/e2e/cases"
)

// Difference is one between the answers to a request.
type Difference struct {
	// Case is the file and the case, Kind the kind of the case.
	Case, Kind string
	// Step counts from 1. Do is its verb, Request its method and path.
	Step        int
	Do, Request string
	// Field is what differs: `code`, or a dotted path into what is compared.
	Field string
	// Theirs and Ours are JSON, empty for what is not there.
	Theirs, Ours string
}

// String is two lines, the second with the values.
func (d Difference) String() string {
	about := d.Case
	if d.Kind != "" {
		about += " (" + d.Kind + ")"
	}
	return fmt.Sprintf("%s step %d %s, %s: %s\n\ttheirs %s\n\tours   %s", about, d.Step, d.Do, abridge(d.Request), d.Field, abridge(d.Theirs), abridge(d.Ours))
}

func abridge(s string) string {
	const most = 300
	if s == "" {
		return "nothing"
	}
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// Compare returns how many requests of a story were compared, and how their answers differ. Where one server does what
// the other refuses the story ends, for what comes after would differ for that alone, unless its steps are independent.
func Compare(story cases.Story, theirs, ours []cases.Exchange) (compared int, all []Difference) {
	t, o := newNormal(), newNormal()
	for i := range min(len(theirs), len(ours)) {
		compared++
		d := Difference{
			Case: story.File + "/" + story.Case, Kind: story.Kind, Step: ours[i].Step, Do: ours[i].Do, Request: ours[i].Request,
		}
		if a, b := theirs[i], ours[i]; a.Code != b.Code {
			d.Field, d.Theirs, d.Ours = "code", code(a), code(b)
			all = append(all, d)
			if (a.Code < http.StatusBadRequest) != (b.Code < http.StatusBadRequest) && !story.Independent && !strings.HasPrefix(b.Request, http.MethodGet) {
				return compared, all
			}
			continue
		}
		all = append(all, diff(d, "", t.answer(theirs[i]), o.answer(ours[i]))...)
	}
	if len(all) == 0 && len(theirs) != len(ours) {
		all = append(all, Difference{Case: story.File + "/" + story.Case, Kind: story.Kind, Field: "steps", Theirs: strconv.Itoa(len(theirs)), Ours: strconv.Itoa(len(ours))})
	}
	return compared, all
}

// code is that of an answer, with what it says of an error.
func code(e cases.Exchange) string {
	if e.Code == 0 {
		return "no answer"
	}
	if e.Status == nil {
		return strconv.Itoa(e.Code)
	}
	return fmt.Sprintf("%d %s: %s", e.Code, e.Status.Reason, e.Status.Message)
}

func diff(d Difference, field string, theirs, ours any) []Difference {
	a, isObject := theirs.(object)
	b, areObjects := ours.(object)
	if isObject && areObjects || len(a) > 0 && ours == nil || len(b) > 0 && theirs == nil {
		var out []Difference
		names := append(sortedKeys(a), sortedKeys(b)...)
		slices.Sort(names)
		for _, name := range slices.Compact(names) {
			out = append(out, diff(d, strings.TrimPrefix(field+"."+name, "."), a[name], b[name])...)
		}
		return out
	}
	as, isList := theirs.([]any)
	bs, areLists := ours.([]any)
	if isList && areLists && len(as) == len(bs) {
		var out []Difference
		for i := range as {
			out = append(out, diff(d, fmt.Sprintf("%s[%d]", field, i), as[i], bs[i])...)
		}
		return out
	}
	x, y := written(theirs), written(ours)
	if x == y {
		return nil
	}
	d.Field, d.Theirs, d.Ours = field, x, y
	return []Difference{d}
}

func written(v any) string {
	if v == nil {
		return ""
	}
	return text(v)
}
