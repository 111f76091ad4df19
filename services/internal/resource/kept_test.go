// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"encoding/json"
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
		for _, k := range again {
			put(got, k)
		}
		if d := cmp.Diff(readJSON(t, c.want), got); d != "" {
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
		for _, k := range all {
			put(document, k)
		}
		if _, err := json.Marshal(document); err != nil {
			t.Error(err)
		}
	})
}
