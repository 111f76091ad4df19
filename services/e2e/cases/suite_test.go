// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cases_test

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/e2e/cases"
)

const objects = "Broker: {object: {spec: {}}}\n"

// suite makes a suite of one case of the steps.
func suite(t *testing.T, steps string) *cases.Suite {
	t.Helper()
	s, err := cases.Load(fstest.MapFS{
		"objects.yaml": {Data: []byte(objects)},
		"one.yaml":     {Data: []byte("subject: one\ncases:\n- case: mine\n  kinds: [Broker]\n  steps:\n" + steps)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestWhatTheSuiteHas shows that it is large enough, that bad input is the larger half, and that no kind is left out.
func TestWhatTheSuiteHas(t *testing.T) {
	s := load(t)
	all, bad := 0, 0
	for _, f := range s.Files {
		for _, c := range f.Cases {
			if all++; c.Bad {
				bad++
			}
		}
	}
	if all < 150 || 2*bad <= all {
		t.Errorf("there are %d cases, %d of bad input; want at least 150, more than half of them bad", all, bad)
	}
	for _, k := range kinds.All() {
		if _, ok := s.Objects[k.Kind]; !ok {
			t.Errorf("there is no object of kind %s to try", k.Kind)
		}
	}
	t.Logf("%d cases, %d of bad input", all, bad)
}

func TestFilesThatSayThingsInVain(t *testing.T) {
	head := "subject: a\ncases:\n- case: b\n  steps:\n"
	for _, tc := range []struct{ reason, file, says string }{
		{"a field that there is not", "subject: a\ncasses: []\n", "unknown field"},
		{"a field of a step that there is not", head + "  - {do: get, kind: Broker, expects: {}}\n", "unknown field"},
		{"a field twice", "subject: a\nsubject: b\n", "already set"},
		{"no cases", "subject: a\n", "needs a subject and cases"},
		{"a verb that there is not", head + "  - {do: fetch, kind: Broker}\n", `no "fetch"`},
		{"a kind that there is not", head + "  - {do: get, kind: Pod}\n", `no kind "Pod"`},
		{"no kind", head + "  - {do: get, expect: {http: 200, grpc: OK}}\n", "names a kind"},
		{"no code", head + "  - {do: get, kind: Broker, expect: {http: 200}}\n", "which code it expects over grpc"},
		{"a code that there is not", head + "  - {do: get, kind: Broker, expect: {http: 200, grpc: Fine}}\n", `no gRPC code "Fine"`},
		{"an error without a reason", head + "  - {do: get, kind: Broker, expect: {http: 404, grpc: NotFound}}\n", "needs a reason"},
		{"a way that there is not", head + "  - {do: get, kind: Broker, over: [smoke], expect: {http: 200, grpc: OK}}\n", `no way "smoke"`},
		{"two bodies", head + "  - {do: create, kind: Broker, text: a, object: {}, expect: {http: 200, grpc: OK}}\n", "a body is one of"},
	} {
		t.Run(tc.reason, func(t *testing.T) {
			_, err := cases.Load(fstest.MapFS{"one.yaml": {Data: []byte(tc.file)}})
			if err == nil || !strings.Contains(err.Error(), tc.says) || !strings.Contains(err.Error(), "one.yaml") {
				t.Errorf("got %v, want one.yaml and %q in it", err, tc.says)
			}
		})
	}
}

// TestExpectationsThatAreWrong shows that each sort of them fails, in the words that lead to its place.
func TestExpectationsThatAreWrong(t *testing.T) {
	server := serve(t)
	create := "  - {do: create, expect: {http: 201, grpc: OK}}\n"
	for _, tc := range []struct{ reason, steps, says string }{
		{"a code", "  - {do: create, expect: {http: 200, grpc: NotFound, reason: NotFound}}\n", "code:"},
		{"a reason", "  - {do: get, expect: {http: 404, grpc: NotFound, reason: Gone}}\n", "reason:\n  - Gone\n  + NotFound"},
		{"a message", "  - {do: get, expect: {http: 404, grpc: NotFound, reason: NotFound, message: [pineapple]}}\n", "message:\n  - pineapple"},
		{"a cause", "  - {do: create, with: {metadata: {name: A}}, expect: {http: 422, grpc: InvalidArgument, reason: Invalid, causes: [{field: spec.a}]}}\n", "causes[0]:"},
		{"a cause too many", "  - {do: get, expect: {http: 404, grpc: NotFound, reason: NotFound, causes: [{field: a}]}}\n", "causes:"},
		{"a fact", "  - {do: create, expect: {http: 201, grpc: OK, object: {metadata: {generation: 9}}}}\n", "metadata.generation:\n  - 9\n  + 1"},
		{"a fact that is not", "  - {do: create, expect: {http: 201, grpc: OK, object: {metadata: {uid: null}}}}\n", "metadata.uid:\n  - nothing"},
		{"a warning", "  - {do: create, expect: {http: 201, grpc: OK, warnings: [careful]}}\n", "warnings:"},
		{"an event", create + "  - {do: watch, expect: {http: 200, grpc: OK, events: [{type: DELETED}]}}\n", "events[0].type:\n  - \"DELETED\"\n  + \"ADDED\""},
		{"the second step", create + "  - {do: get, expect: {http: 200, grpc: OK, object: {kind: Pod}}}\n", "step 2 (get)"},
	} {
		t.Run(tc.reason, func(t *testing.T) {
			replays := server.runner(suite(t, tc.steps)).Replays()
			if len(replays) != 3 {
				t.Fatalf("it is replayed in %d ways, want 3", len(replays))
			}
			for _, r := range replays {
				err := r.Run(t.Context())
				if err == nil || !strings.Contains(err.Error(), tc.says) || !strings.HasPrefix(err.Error(), `one.yaml: "mine": step `) {
					t.Errorf("%s: got %v, want file, case, step and %q", r.Name, err, tc.says)
				}
			}
		})
	}
}

func TestMatch(t *testing.T) {
	for _, tc := range []struct {
		reason, want, got string
		faults            []string
	}{
		{"the same", `{"a":[1,{"b":null}],"c":"x"}`, `{"a":[1,{"d":2}],"c":"x","e":1}`, nil},
		{"a number is no string", `{"a":1}`, `{"a":"1"}`, []string{"a:\n  - 1\n  + \"1\""}},
		{"all digits count", `{"a":9223372036854775807}`, `{"a":9223372036854775806}`, []string{"a:\n  - 9223372036854775807\n  + 9223372036854775806"}},
		{"anything", `{"a":"*"}`, `{}`, []string{"a:\n  - anything\n  + null"}},
		{"a part", `{"a":"~bc"}`, `{"a":"abcd"}`, nil},
		{"another part", `{"a":"~bd"}`, `{"a":"abcd"}`, []string{"a:\n  - \"~bd\"\n  + \"abcd\""}},
		{"a list's length", `{"a":[]}`, `{"a":[1]}`, []string{"a:\n  - []\n  + [1]"}},
		{"an object is wanted", `{"a":{}}`, `{"a":1}`, []string{"a:\n  - {}\n  + 1"}},
		{"nothing within nothing", `{"a":{"b":null}}`, `{}`, nil},
	} {
		if d := cmp.Diff(tc.faults, cases.Match(decoded(t, tc.want), decoded(t, tc.got))); d != "" {
			t.Errorf("%s (-want +got):\n%s", tc.reason, d)
		}
	}
}

func decoded(t *testing.T, text string) any {
	t.Helper()
	in := json.NewDecoder(strings.NewReader(text))
	in.UseNumber()
	var v any
	if err := in.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}
