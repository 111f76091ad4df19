// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cases

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Match tells in which ways got is not what was wanted, a line each: `path: -want +got`.
//
// An object must hold at least what the wanted one does, and lists as many items, in their order. What is not there holds
// nothing. `null` wants nothing to be
// there, `"*"` anything, and a string that begins with `~` one that holds the rest of it. Everything else must be equal.
func Match(want, got any) []string { return match("", want, got) }

func match(path string, want, got any) []string {
	switch want := want.(type) {
	case nil:
		if got != nil {
			return []string{differ(path, "nothing", got)}
		}
		return nil
	case map[string]any:
		return matchObject(path, want, got)
	case []any:
		return matchList(path, want, got)
	case string:
		if want == "*" {
			if got == nil {
				return []string{differ(path, "anything", got)}
			}
			return nil
		}
		if part, ok := strings.CutPrefix(want, "~"); ok {
			if s, ok := got.(string); !ok || !strings.Contains(s, part) {
				return []string{differ(path, want, got)}
			}
			return nil
		}
	}
	if text(want) != text(got) {
		return []string{differ(path, want, got)}
	}
	return nil
}

func matchObject(path string, want map[string]any, got any) []string {
	object, ok := got.(map[string]any)
	if !ok && (got != nil || len(want) == 0) {
		return []string{differ(path, want, got)}
	}
	var out []string
	for _, key := range keys(want) {
		out = append(out, match(join(path, key), want[key], object[key])...)
	}
	return out
}

func matchList(path string, want []any, got any) []string {
	list, ok := got.([]any)
	if !ok || len(list) != len(want) {
		return []string{differ(path, want, got)}
	}
	var out []string
	for i := range want {
		out = append(out, match(fmt.Sprintf("%s[%d]", path, i), want[i], list[i])...)
	}
	return out
}

func keys(m map[string]any) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func differ(path string, want, got any) string {
	return fmt.Sprintf("%s:\n  - %s\n  + %s", path, abridge(text(want)), abridge(text(got)))
}

// abridge keeps a failure of a large object readable.
func abridge(s string) string {
	const most = 2000
	if len(s) > most {
		return s[:most] + fmt.Sprintf("… (%d bytes)", len(s))
	}
	return s
}

func text(v any) string {
	if s, ok := v.(string); ok && (s == "nothing" || s == "anything") {
		return s
	}
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(data)
}

// parse reads JSON and keeps numbers as they are written.
func parse(data []byte) (any, error) {
	if len(data) == 0 {
		return nil, nil //nolint:nilnil // nothing is what there is
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("cases: %w", err)
	}
	return v, nil
}

// merge returns an object with a merge patch (RFC 7396) applied to it.
func merge(object, patch any) any {
	changes, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	was, _ := object.(map[string]any)
	out := make(map[string]any, len(was))
	maps.Copy(out, was)
	for k, v := range changes {
		if v == nil {
			delete(out, k)
			continue
		}
		out[k] = merge(out[k], v)
	}
	return out
}

// at returns what is at a dotted path, such as `items.0.metadata.name`.
func at(v any, path string) any {
	for part := range strings.SplitSeq(path, ".") {
		switch in := v.(type) {
		case map[string]any:
			v = in[part]
		case []any:
			var i int
			if _, err := fmt.Sscan(part, &i); err != nil || i < 0 || i >= len(in) {
				return nil
			}
			v = in[i]
		default:
			return nil
		}
	}
	return v
}
