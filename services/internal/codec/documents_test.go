// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package codec_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"sigs.k8s.io/yaml"

	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/codec"
)

func TestDocuments(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		in     string
		want   []string
	}{
		"None":     {"a file of comments has no documents", "# a\n---\n# b\n---\n\n", nil},
		"NoBytes":  {"an empty file has no documents", "", nil},
		"One":      {"order is kept", "b: 1\na: [x, {k: z}]\n", []string{`{"b":1,"a":["x",{"k":"z"}]}`}},
		"Several":  {"markers separate", "---\na: 1\n---\n# only this\n---\nb: 2\n--- # three\nc: 3\n", []string{`{"a":1}`, `{"b":2}`, `{"c":3}`}},
		"OnMarker": {"a document may begin on the marker's line", "--- {a: 1}\n--- {b: 2}", []string{`{"a":1}`, `{"b":2}`}},
		"Ends":     {"documents may end with dots", "a: 1\n...\n# x\n---\nb: 2\n...\n", []string{`{"a":1}`, `{"b":2}`}},
		"Directive": {"directives stand before the marker", "%YAML 1.1\n---\na: 1\n---\nb: 2\n",
			[]string{`{"a":1}`, `{"b":2}`}},
		"CRLF":     {"lines may end as on Windows", "a: 1\r\n---\r\nb: |\r\n  x\r\n", []string{`{"a":1}`, `{"b":"x\n"}`}},
		"BOM":      {"a byte order mark is skipped", "\ufeffa: 1\n", []string{`{"a":1}`}},
		"Dashes":   {"dashes inside text separate nothing", "a: |\n  ---\n  b\nc: ----\n", []string{`{"a":"---\nb\n","c":"----"}`}},
		"JSON":     {"JSON may be given", " {\"a\": 1.50, \"b\": 12345678901234567890}\n", []string{`{"a":1.50,"b":12345678901234567890}`}},
		"JSONs":    {"JSON values follow each other", "{\"a\":1}{\"b\":2}\n{\"c\":3}", []string{`{"a":1}`, `{"b":2}`, `{"c":3}`}},
		"JSONMark": {"or are separated as in YAML", "{\"a\":1}\n---\n{\"b\":2}\n", []string{`{"a":1}`, `{"b":2}`}},
		"Flow":     {"braces may be YAML", "{a: 1, b: [x]}\n", []string{`{"a":1,"b":["x"]}`}},
		"Integers": {"integers stay integers", "a: 9223372036854775807\nb: 18446744073709551615\nc: -5\nd: 0x10\ne: 1.0\nf: 1.5\ng: 1e3",
			[]string{`{"a":9223372036854775807,"b":18446744073709551615,"c":-5,"d":16,"e":1,"f":1.5,"g":1000}`}},
		"Scalars": {"scalars are those of YAML 1.1", "a: yes\nb: 'yes'\nc: ~\nd: 2026-01-02\ne: !!str 7\n1: x\ntrue: x",
			[]string{`{"a":true,"b":"yes","c":null,"d":"2026-01-02","e":"7","1":"x","true":"x"}`}},
		"Anchors": {"aliases stand for what they name", "a: &x {k: 1}\nb: *x\n", []string{`{"a":{"k":1},"b":{"k":1}}`}},
		"Merge":   {"merge keys are known", "a: &x {k: 1, m: 2}\nb:\n  <<: *x\n  m: 3\n", []string{`{"a":{"k":1,"m":2},"b":{"k":1,"m":3}}`}},
		"Duplicates": {"what occurs twice is left for Unmarshal to tell", "a: 1\nb: {c: 1, c: 2}\na: 2\ncmd: cat <<EOF\n",
			[]string{`{"a":1,"b":{"c":1,"c":2},"a":2,"cmd":"cat <<EOF"}`}},
		"List": {"lists stand for their items, which may be lists", `
kind: List
apiVersion: v1
items:
- {apiVersion: v1, kind: A}
- apiVersion: g/v1
  kind: BList
  items: [{metadata: {name: b}}, {}, {apiVersion: g/v2, kind: B}]
---
kind: C
items: []
---
kind: PriceList
spec: {}
---
kind: List
---
kind: EmptyList
items: []
`, []string{
			`{"apiVersion":"v1","kind":"A"}`, `{"apiVersion":"g/v1","kind":"B","metadata":{"name":"b"}}`,
			`{"apiVersion":"g/v1","kind":"B"}`, `{"apiVersion":"g/v2","kind":"B"}`, `{"kind":"C","items":[]}`, `{"kind":"PriceList","spec":{}}`,
		}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			docs, err := codec.Documents([]byte(tc.in), codec.Limits{})
			if err != nil {
				t.Fatalf("%s: %s", tc.reason, err)
			}
			got := make([]string, 0, len(docs))
			for _, d := range docs {
				got = append(got, string(d))
			}
			if diff := cmp.Diff(tc.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestDocumentsFaults(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ in, want string }{
		"TruncatedFlow":   {"a: 1\n---\n# x\nb:\n- [1,\n  2\n", "document 2, line 6: did not find expected ',' or ']'"},
		"TruncatedString": {"a: 1\n---\nb: 2\n---\nc: 3\nd: \"x\n", "document 3, line 6: found unexpected end of stream"},
		"FirstLine":       {"a: [1", "document 1, line 1: did not find expected ',' or ']'"},
		"Indentation":     {"a:\n  b: 1\n c: 2\n", "document 1, line 3: did not find expected key"},
		"Tab":             {"a: 1\n---\nb:\n\tc: 1\n", "document 2, line 4: found character that cannot start any token"},
		"Colon":           {"a: 1\n---\nb: c: d\n", "document 2, line 3: mapping values are not allowed in this context"},
		"Anchor":          {"a: 1\n---\n\nb: *c\n", "document 2, line 4: unknown anchor 'c' referenced"},
		"Loop":            {"a: &a [*a]\n", "document 1, line 1: anchor 'a' value contains itself"},
		"Text":            {"a: 1\n---\njust text\n", `document 2, line 3: expected an object, got "just text" (string)`},
		"Sequence":        {"- a: 1\n", "document 1, line 1: expected an object, got a list"},
		"Infinity":        {"a: .inf\n", "document 1, line 1: infinity and .nan cannot be written as JSON"},
		"Key":             {"? [a]\n: b\n", "document 1, line 1: "},
		"EmptyKey":        {"~: b\n", "document 1, line 1: a key is empty"},
		"Binary":          {"a: !!binary /w==\n", "document 1, line 1: a string is not valid UTF-8"},
		"Control":         {"a: 1\nb: \x00\n", "document 1, line 1: control characters are not allowed"},
		"JSONTruncated":   {"{\"a\": 1,\n\"b\":\n", "document 1, line 3: unexpected end of input"},
		"JSONToken":       {"{\"a\":\n nope,\n}", "document 1, line 2: "},
		"JSONSecond":      {"{\"a\":1}\n{\"b\":", "line 2: "},
		"ItemNoObject":    {"kind: List\nitems: [{}, 7]\n", "document 1, line 1: item 1: expected an object, got 7 (number)"},
		"Deep":            {"a: " + strings.Repeat("[", 200) + strings.Repeat("]", 200), "document 1, line 1: nested deeper than 100 levels"},
		"Many":            {strings.Repeat("a: 1\n---\n", 2000), "document 1001, line 2001: there are more than 1000 documents"},
		"ManyItems":       {"kind: List\nitems: [" + strings.Repeat("{},", 1001) + "]", "there are more than 1000 documents"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := codec.Documents([]byte(tc.in), codec.Limits{})
			if !apierror.Is(err, apierror.ReasonBadRequest) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v\nwant a BadRequest with %s", err, tc.want)
			}
		})
	}
	_, err := codec.Documents(make([]byte, 101), codec.Limits{Bytes: 100})
	if !apierror.Is(err, apierror.ReasonRequestEntityTooLarge) {
		t.Errorf("too many bytes: got %v, want RequestEntityTooLarge", err)
	}
}

// TestDocumentsBombs gives documents made to exhaust time or memory. Each is refused, or read, within a second.
func TestDocumentsBombs(t *testing.T) { //nolint:paralleltest // it measures time
	laughs := func(width, depth int) string {
		b := &strings.Builder{}
		b.WriteString("a0: &a0 [" + strings.Repeat("lol,", width) + "]\n")
		for i := 1; i < depth; i++ {
			fmt.Fprintf(b, "a%d: &a%d [%s]\n", i, i, strings.Repeat(fmt.Sprintf("*a%d,", i-1), width))
		}
		return b.String()
	}
	huge := strings.Repeat("x", 1<<20)
	cases := map[string]struct {
		in string
		ok bool
	}{
		"BillionLaughs":  {in: laughs(9, 9)},
		"WideLaughs":     {in: laughs(1000, 3)},
		"DeepLaughs":     {in: laughs(2, 60)},
		"LaughsInMaps":   {in: "x: &x {a: 1}\ny: &y {a: *x, b: *x}\n" + mapLaughs(40)},
		"LaughsMerged":   {in: "a0: &a0 {x: 1}\n" + mergedLaughs(40)},
		"GiantScalars":   {in: "a: &a " + huge + "\nb: [" + strings.Repeat("*a,", 5000) + "]\n"},
		"GiantScalar":    {in: "a: " + strings.Repeat("x", 5<<20-10), ok: true},
		"GiantKey":       {in: strings.Repeat("x", 4<<20) + ": 1"},
		"GiantLiteral":   {in: "a: |\n" + strings.Repeat("  xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n", 50_000), ok: true},
		"DeepFlow":       {in: strings.Repeat("[", 1<<20)},
		"DeepFlowMaps":   {in: strings.Repeat("{a: ", 1<<20)},
		"DeepBlock":      {in: strings.Repeat("- ", 1<<20)},
		"DeepKeys":       {in: strings.Repeat("? ", 1<<20)},
		"DeepIndent":     {in: deepIndent(2000)},
		"ManyAnchors":    {in: "a: [" + manyAnchors(100_000) + "]", ok: true},
		"ManyMarkers":    {in: strings.Repeat("---\n", 1<<20), ok: true},
		"ManyNulls":      {in: strings.Repeat("~\n---\n", 500_000)},
		"ManyComments":   {in: strings.Repeat("#\n", 2<<20), ok: true},
		"ManyTags":       {in: "a: [" + strings.Repeat("!!str x,", 100_000) + "]", ok: true},
		"ManyQuotes":     {in: "a: \"" + strings.Repeat(`\n`, 1<<20) + "\"", ok: true},
		"OpenQuote":      {in: "a: \"" + strings.Repeat("x\n", 1<<20)},
		"ManyDirectives": {in: strings.Repeat("%TAG !a! b\n", 100_000) + "---\na: 1\n"},
		"DeepJSON":       {in: `{"a":` + strings.Repeat("[", 1<<20)},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) { //nolint:paralleltest // it measures time
			var err error
			took := time.Hour
			for try := 0; try < 3 && took > time.Second; try++ { // the machine may have been busy with something else
				start := time.Now()
				_, err = codec.Documents([]byte(tc.in), codec.Limits{})
				took = time.Since(start)
			}
			text := fmt.Sprint(err)
			t.Logf("%s, %.200s", took, text)
			if (err == nil) != tc.ok {
				t.Errorf("got error %.200s, want one: %t", text, !tc.ok)
			}
			if took > time.Second {
				t.Errorf("took %s, want at most a second", took)
			}
			if len(text) > 500 {
				t.Errorf("the error has %d bytes", len(text))
			}
		})
	}
}

func mapLaughs(depth int) string {
	b := &strings.Builder{}
	b.WriteString("m0: &m0 {a: *y, b: *y}\n")
	for i := 1; i < depth; i++ {
		fmt.Fprintf(b, "m%d: &m%d {a: *m%d, b: *m%d}\n", i, i, i-1, i-1)
	}
	return b.String()
}

func mergedLaughs(depth int) string {
	b := &strings.Builder{}
	for i := 1; i < depth; i++ {
		fmt.Fprintf(b, "a%d: &a%d {<<: [*a%d, *a%d], y: [*a%d, *a%d]}\n", i, i, i-1, i-1, i-1, i-1)
	}
	return b.String()
}

func deepIndent(depth int) string {
	b := &strings.Builder{}
	for i := range depth {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

func manyAnchors(count int) string {
	b := &strings.Builder{}
	for i := range count {
		fmt.Fprintf(b, "&a%d x,", i)
	}
	return b.String()
}

func TestYAMLToJSON(t *testing.T) {
	t.Parallel()
	got, err := codec.YAMLToJSON([]byte("# x\n---\nkind: List\nitems: [{}]\n---\n"), codec.Limits{})
	if want := `{"kind":"List","items":[{}]}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
	for in, want := range map[string]string{"# x\n": "the document is empty", "a: 1\n---\nb: 2\n": "expected one document, got more"} {
		if _, err := codec.YAMLToJSON([]byte(in), codec.Limits{}); !apierror.Is(err, apierror.ReasonBadRequest) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want a BadRequest with %q", in, err, want)
		}
	}
}

// TestYAMLIsKubernetes compares with the YAML reader of kubectl.
func TestYAMLIsKubernetes(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		"a: 010\nb: 0o10\nc: 1_000\nd: 1:30\ne: .5\nf: +1\ng: 0b11\nh: 1e400\ni: on\nj: n\nk: NULL\nl: 1.10",
		"a: >\n  folded\n  text\n\n  more\nb: |-\n  kept\n\nc: \"\\u263a \\x41\"\nd: 'it''s'\n",
		"a: &x\n  b: 1\nc: &y\n  d: 2\ne:\n  <<: [*x, *y]\n  b: 3\n",
		"1.5: a\n2: b\nfalse: c\n",
		"a: 123456789012345678901234567890\nb: -9223372036854775809\n",
		"a: !!float 1\nb: !!int \"7\"\nc: !custom x\n",
		"? a\n: b\n? c\n",
	} {
		want, err := yaml.YAMLToJSON([]byte(in))
		if err != nil {
			t.Errorf("%q: %s", in, err)
			continue
		}
		got, err := codec.YAMLToJSON([]byte(in), codec.Limits{})
		if err != nil {
			t.Errorf("%q: %s", in, err)
			continue
		}
		if diff := cmp.Diff(plain(want), plain(got)); diff != "" {
			t.Errorf("%q (-kubectl +ours):\n%s", in, diff)
		}
	}
}
