// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func readJSON(t *testing.T, text string) map[string]any {
	t.Helper()
	out := map[string]any{}
	if err := decodeNumbers([]byte(text), &out); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return out
}

// TestKept takes differences, writes and reads them as an annotation, and gives them back.
func TestKept(t *testing.T) {
	for _, c := range []struct {
		reason string
		// was is what the other version made of is; now what a client of the other version has made of was.
		was, is, now, want string
	}{
		{"nothing is lost", `{"a":1}`, `{"a":1}`, `{"a":2}`, `{"a":2}`},
		{"a field that was dropped", `{"a":1}`, `{"a":1,"b":{"c":2}}`, `{"a":3}`, `{"a":3,"b":{"c":2}}`},
		{"a field below one that is known", `{"a":{"x":1}}`, `{"a":{"x":1,"y":2}}`, `{"a":{"x":5}}`, `{"a":{"x":5,"y":2}}`},
		{"a value that became another", `{"a":"1"}`, `{"a":"1.5"}`, `{"a":"1"}`, `{"a":"1.5"}`},
		{"a value that somebody has decided anew", `{"a":"1"}`, `{"a":"1.5"}`, `{"a":"2"}`, `{"a":"2"}`},
		{"a field that somebody has removed", `{"a":{"x":1}}`, `{"a":{"x":1,"y":2}}`, `{}`, `{}`},
		{"a field whose place holds something else now", `{"a":{"x":1}}`, `{"a":{"x":1,"y":2}}`, `{"a":"text"}`, `{"a":"text"}`},
		{"a field that the other version adds", `{"a":1,"b":2}`, `{"a":1}`, `{"a":1,"b":2}`, `{"a":1}`},
		{"large numbers stay as they are", `{}`, `{"a":12345678901234567890}`, `{}`, `{"a":12345678901234567890}`},
		{"in an item that has a name, wherever it is now", `{"l":[{"name":"a"},{"name":"b"}]}`, `{"l":[{"name":"a","x":1},{"name":"b"}]}`,
			`{"l":[{"name":"new"},{"name":"b"},{"name":"a"}]}`, `{"l":[{"name":"new"},{"name":"b"},{"name":"a","x":1}]}`},
		{"in an item that is gone", `{"l":[{"name":"a"}]}`, `{"l":[{"name":"a","x":1}]}`, `{"l":[{"name":"b"}]}`, `{"l":[{"name":"b"}]}`},
		{"a named item that was dropped", `{"l":[{"name":"a"}]}`, `{"l":[{"name":"a"},{"name":"b","x":1}]}`, `{"l":[{"name":"c"}]}`, `{"l":[{"name":"c"},{"name":"b","x":1}]}`},
		{"a named item that the other version adds", `{"l":[{"name":"a"},{"name":"b"}]}`, `{"l":[{"name":"a"}]}`, `{"l":[{"name":"a"},{"name":"b"}]}`, `{"l":[{"name":"a"}]}`},
		{"in an item without a name", `{"l":[{"v":1},{"v":2}]}`, `{"l":[{"v":1},{"v":2,"x":1}]}`, `{"l":[{"v":3},{"v":2}]}`, `{"l":[{"v":3},{"v":2,"x":1}]}`},
		{"in an item without a name of a list that has changed", `{"l":[{"v":1}]}`, `{"l":[{"v":1,"x":1}]}`, `{"l":[{"v":0},{"v":1}]}`, `{"l":[{"v":0},{"v":1}]}`},
		{"a list that became another", `{"l":["a"]}`, `{"l":["a","b"]}`, `{"l":["a"]}`, `{"l":["a","b"]}`},
		{"a list that became another, and was changed", `{"l":["a"]}`, `{"l":["a","b"]}`, `{"l":["c"]}`, `{"l":["c"]}`},
		{"a list that was dropped", `{}`, `{"l":[{"name":"a"}]}`, `{}`, `{"l":[{"name":"a"}]}`},
		{"named items in another order", `{"l":[{"name":"a"},{"name":"b"}]}`, `{"l":[{"name":"b"},{"name":"a"}]}`, `{"l":[{"name":"a"},{"name":"b"}]}`, `{"l":[{"name":"b"},{"name":"a"}]}`},
		{"a named item that was dropped before another", `{"l":[{"name":"b"}]}`, `{"l":[{"name":"a"},{"name":"b"}]}`, `{"l":[{"name":"b"}]}`, `{"l":[{"name":"a"},{"name":"b"}]}`},
		{"items that had another key", `{"l":[{"tag":"a"},{"tag":"b"}]}`, `{"l":[{"name":"a"},{"name":"b"}]}`, `{"l":[{"tag":"a"},{"tag":"b"}]}`, `{"l":[{"name":"a"},{"name":"b"}]}`},
		{"an item that had another key, and was changed", `{"l":[{"tag":"a"},{"tag":"b"}]}`, `{"l":[{"name":"a"},{"name":"b"}]}`, `{"l":[{"tag":"a"},{"tag":"c"}]}`, `{"l":[{"name":"a"},{"name":"b","tag":"c"}]}`},
		{"a list that became an object", `{"l":{"a":1}}`, `{"l":[1]}`, `{"l":{"a":1}}`, `{"l":[1]}`},
	} {
		all := differences(nil, nil, readJSON(t, c.was), readJSON(t, c.is))
		text, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		again := []kept{}
		if all != nil {
			if again, err = readKept(string(text)); err != nil {
				t.Errorf("%s: %v", c.reason, err)
			}
		}
		got := readJSON(t, c.now)
		if d := cmp.Diff(any(readJSON(t, c.want)), placesOf(again).put(got)); d != "" {
			t.Errorf("%s (-want +got):\n%s\nkept: %s", c.reason, d, text)
		}
	}
}

// Annotations come from outside: whatever they hold, they are refused or leave JSON.
func FuzzKept(f *testing.F) {
	for _, seed := range []string{
		`[{"path":["a","x"],"is":1}]`, `[{"path":["l","name=a","x"],"was":null,"is":{}}]`, `[{"path":["l","1/2"],"is":[]}]`, `[{"path":["l","-1/2"]}]`,
		`[{"path":["l","9999999999999999999/2"],"is":1}]`, `[{"path":[]}]`, `[null]`, `null`, `{}`, `[{"path":["l","name=b"],"is":{"name":"b"}}]`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		all, err := readKept(text)
		if err != nil {
			return
		}
		document := readJSON(t, `{"a":{"x":1},"l":[{"name":"a","x":1},{"name":"c"}],"m":[{"v":1},{"v":2}]}`)
		if _, err := json.Marshal(placesOf(all).put(document)); err != nil {
			t.Error(err)
		}
	})
}

// FuzzDifferences has any document come back from any other.
func FuzzDifferences(f *testing.F) {
	f.Add(`{"a":{"x":1},"l":[{"name":"a"},{"name":"b","v":[1,2]}]}`, `{"a":{"y":1},"l":[{"name":"b"},{"name":"c"}]}`)
	f.Add(`{"l":[{"name":"a"},{"name":"b"}]}`, `{"l":[{"name":"b"},{"name":"x"},{"name":"a"}]}`)
	f.Add(`{"l":[{"name":"a"},{"name":"a"}]}`, `{"l":[{"tag":"a"},{"name":"b"}]}`)
	f.Add(`{"l":[1,[2,3],{}]}`, `{"l":[[],[2,4],{"a":[]}]}`)
	f.Fuzz(func(t *testing.T, was, is string) {
		if strings.Contains(was+is, "null") { // stands for what is absent
			t.Skip()
		}
		var a, b map[string]any
		if decodeNumbers([]byte(was), &a) != nil || decodeNumbers([]byte(is), &b) != nil {
			t.Skip()
		}
		all := differences(nil, nil, a, b)
		data, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		var read []kept
		if err := decodeNumbers(data, &read); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(any(b), placesOf(read).put(a)); d != "" {
			t.Errorf("(-want +got):\n%s\nkept: %s", d, data)
		}
	})
}

// Work grows with the number of differences, not with its square: ten times as many named items cost about ten times as much.
func BenchmarkKept(b *testing.B) {
	for _, n := range []int{1000, 10_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			for b.Loop() {
				was, is := make([]any, n), make([]any, n)
				for i := range n {
					name := strconv.Itoa(i)
					was[i], is[i] = map[string]any{"name": name}, map[string]any{"name": name, "x": name}
				}
				placesOf(differences(nil, nil, was, is)).put(was)
			}
		})
	}
}
