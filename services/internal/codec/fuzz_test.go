// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package codec_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	buildv1 "fairlead.dev/gen/go/fairlead/build/v1"
	corepb "fairlead.dev/gen/go/fairlead/core/v1"
	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/codec"
)

// FuzzUnmarshal shows that what can be read can be written, and is read from there as the same, without a warning.
func FuzzUnmarshal(f *testing.F) {
	for _, seed := range []string{
		`{"apiVersion":"serving.knative.dev/v1","kind":"Service","metadata":{"name":"a","labels":{"a":"b"},"generation":1},
			"spec":{"template":{"spec":{"containers":[{"image":"a","resources":{"limits":{"cpu":"1e3","memory":1}}}]}}}}`,
		`{"spec":{"timeout":"1h","steps":[{"livenessProbe":{"httpGet":{"port":"a"}}}]},"status":{"startTime":"2026-01-02T03:04:05.1Z"}}`,
		`{"metadata":{"managedFields":[{"fieldsV1":{"f:spec":[1.0,null]},"time":null}]}}`,
		`{"spec":null,"spec":{},"x":[{}]}`, `{"a`, `7`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, empty := range []proto.Message{&servingv1.Service{}, &buildv1.Build{}, &corepb.PodSpec{}, &servingv1.ServiceServiceListResponse{}} {
			checkUnmarshal(t, data, empty)
		}
	})
}

func checkUnmarshal(t *testing.T, data []byte, m proto.Message) {
	t.Helper()
	warnings, err := codec.Unmarshal(data, m, codec.Options{})
	if err != nil {
		if !apierror.Is(err, apierror.ReasonBadRequest) {
			t.Errorf("got %v, want a BadRequest", err)
		}
		return
	}
	if _, err := codec.Unmarshal(data, proto.Clone(m), codec.Options{Strict: true}); (err != nil) != (len(warnings) > 0) {
		t.Errorf("warnings %q, but %v with Strict", warnings, err)
	}
	if causes := codec.Normalize(m); len(causes) > 0 {
		t.Errorf("Normalize finds faults in what was read: %v", causes)
	}
	written, err := codec.Marshal(m)
	if err != nil {
		t.Fatalf("Marshal: %s", err)
	}
	again := proto.Clone(m)
	if _, err := codec.Unmarshal(written, again, codec.Options{Strict: true}); err != nil {
		t.Fatalf("what was written cannot be read: %s\n%s", err, written)
	}
	if !proto.Equal(m, again) {
		t.Errorf("it changed on the way:\n%v\n%v", m, again)
	}
	if rewritten, err := codec.Marshal(again); err != nil || !bytes.Equal(written, rewritten) {
		t.Errorf("the same object was written in two ways: %v\n%s\n%s", err, written, rewritten)
	}
}

// FuzzDocuments shows that documents are valid JSON objects, within limits, or that the error is one for the user.
func FuzzDocuments(f *testing.F) {
	for _, seed := range []string{
		"a: 1\n---\nb: [x, *y]\n", "{\"a\":1}{\"b\":2}", "a: &a [*a]\n", "%YAML 1.1\n--- |\n x\n...\n", "kind: List\nitems: [{a: 1}]\n",
		"a: &x {<<: {b: 1}}\n? b\n: *x\n", "a: \"\\xff\"\n", "'\n---\n'", "!!binary x: !!int 7\n", "\ufeff{a: 1}\n---\n\t",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		limits := codec.Limits{Bytes: 1 << 16, Documents: 10}
		docs, err := codec.Documents(data, limits)
		if err != nil && !apierror.Is(err, apierror.ReasonBadRequest) && !apierror.Is(err, apierror.ReasonRequestEntityTooLarge) {
			t.Errorf("got %v, want an error for the user", err)
		}
		if len(docs) > limits.Documents {
			t.Errorf("got %d documents", len(docs))
		}
		for _, d := range docs {
			if !json.Valid(d) || d[0] != '{' {
				t.Errorf("not a JSON object: %s", d)
			}
			if len(d) > 4*limits.Bytes {
				t.Errorf("a document has %d bytes", len(d))
			}
		}
	})
}

// FuzzYAML shows that what is written as YAML is read from there as the same.
func FuzzYAML(f *testing.F) {
	for _, seed := range []string{
		`{"a":"\u2028 x\u2029\n \u0085","b":"\u007f\u009f\ufeff\uffff"}`, `{"a":"\ud83d\ude00 \/ \b\f","é":[]}`,
		`{"a":"yes","b":"1e3","c":"0x1","d":"~","e":"","f":" a ","g":"a: b","h":"- a","i":"2001-01-01","j":"1:30","k":"<<","=":"="}`,
		`{"a":9223372036854775807,"b":-9223372036854775808,"c":18446744073709551615,"d":1e300,"e":-0,"f":0.1,"g":null,"h":true}`,
		`{"a":"x\ty\r\nz\n\n","b":"\n","c":"\u0000\u001b","":"empty"}`, `{"a":{"b":{"c":[[],[{}],{"d":[1,[2,[3]]]}]}}}`,
		`{"metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{\"a\":\"b\"}\n"}}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var want any
		if len(data) > 1<<16 || strictJSON(data, &want) != nil {
			return
		}
		if _, ok := want.(map[string]any); !ok {
			return
		}
		text, err := codec.JSONToYAML(data)
		if err != nil {
			t.Fatalf("JSON that cannot be written as YAML: %s: %s", err, data)
		}
		read, err := codec.YAMLToJSON(text, codec.Limits{})
		if err != nil {
			t.Fatalf("YAML that cannot be read: %s\n%s", err, text)
		}
		var got any
		if err := json.Unmarshal(read, &got); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("it changed on the way (-want +got):\n%s\n%s", d, text)
		}
	})
}

// strictJSON reads JSON as the codec's documents are: objects within the depth that is read, in UTF-8, each name once.
func strictJSON(data []byte, v *any) error {
	value := jsontext.Value(data)
	if !value.IsValid() {
		return errors.New("no JSON")
	}
	if depth(data) > codec.MaxDepth {
		return errors.New("too deep")
	}
	return json.Unmarshal(data, v)
}

func depth(data []byte) int {
	in, most := jsontext.NewDecoder(bytes.NewReader(data)), 0
	for {
		if _, err := in.ReadToken(); err != nil {
			return most
		}
		most = max(most, in.StackDepth())
	}
}
