// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cases

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// variables are what `${NAME}` stands for in a case. `${repeat:N:TEXT}` is TEXT, N times.
type variables map[string]string

var reference = regexp.MustCompile(`\$\{((?:[^{}]|\{[^{}]*\})*)\}`)

// text puts values into a text.
func (vs variables) text(s string) (string, error) {
	if !strings.Contains(s, "${") {
		return s, nil
	}
	var failed error
	out := reference.ReplaceAllStringFunc(s, func(found string) string {
		name := found[2 : len(found)-1]
		if rest, ok := strings.CutPrefix(name, "repeat:"); ok {
			count, what, _ := strings.Cut(rest, ":")
			n, err := strconv.Atoi(count)
			if err != nil {
				failed = fmt.Errorf("cases: %s: %w", found, err)
			}
			return strings.Repeat(what, n)
		}
		v, ok := vs[name]
		if !ok {
			failed = fmt.Errorf("cases: nothing is called %s", found)
		}
		return v
	})
	return out, failed
}

// value puts values into every text of a document.
func (vs variables) value(v any) (any, error) {
	switch v := v.(type) {
	case string:
		return vs.text(v)
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			var err error
			if out[i], err = vs.value(item); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, item := range v {
			name, err := vs.text(key)
			if err != nil {
				return nil, err
			}
			if out[name], err = vs.value(item); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return v, nil
}

// document reads a document and puts values into it.
func (vs variables) document(data json.RawMessage) (any, error) {
	v, err := parse(data)
	if err != nil {
		return nil, err
	}
	return vs.value(v)
}
