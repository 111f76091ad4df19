// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package managed_test

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	kjson "k8s.io/apimachinery/pkg/util/json"

	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/codec"
	"fairlead.dev/services/internal/managed"
)

// FuzzApply applies any document to an object twice: what is taken once is taken again and changes nothing then, and what is
// refused is the caller's fault.
func FuzzApply(f *testing.F) {
	for _, doc := range []string{
		container(`"image":"x","env":[{"name":"A","value":"1"},{"name":"A"}]`), container(`"image":null,"args":[],"resources":{"limits":{"cpu":1}}`),
		service(`{"template":{"spec":{"containers":[{"image":"a"}]}},"traffic":[{}]}`, `{"conditions":[{"type":"Ready"},{"type":"Ready"}]}`),
		service(`{"template":{"metadata":{"annotations":{"a":"é\n\u0000"},"ownerReferences":[{"uid":"u"}]}}}`, ""),
		service(`{"template":{"spec":{"containers":[{"name":"a","ports":[{},{"containerPort":1,"protocol":"UDP"}]}]}}}`, ""), `{}`, `{"metadata":{"managedFields":[{}]}}`,
		service(`{}`, `{"conditions":[{"type":""},{"type":"Ready"}]}`),
	} {
		f.Add([]byte(doc), false)
		f.Add([]byte(doc), true)
	}
	tr := tracker(f, &servingv1.Service{})
	live := &servingv1.Service{}
	if _, err := codec.Unmarshal([]byte(container(`"image":"y","env":[{"name":"A","value":"2"},{"name":"B"}]`)), live, codec.Options{}); err != nil {
		f.Fatal(err)
	}
	live.Metadata.Uid = "u"
	f.Fuzz(func(t *testing.T, data []byte, status bool) {
		said := &servingv1.Service{}
		odd, err := codec.Unmarshal(data, said, codec.Options{})
		if err != nil {
			return
		}
		doc, err := tr.Read(data, said, len(odd) > 0)
		if err != nil {
			if !apierror.Is(err, apierror.ReasonBadRequest) {
				t.Fatalf("%q is refused with %v", data, err)
			}
			return
		}
		by := managed.Write{Manager: "fuzz", Status: status, Force: true}
		once, err := tr.Apply(proto.CloneOf(live), doc, by)
		if err != nil {
			t.Fatalf("%q is not applied: %v", data, err)
		}
		twice, err := tr.Apply(once, doc, by)
		if err != nil {
			t.Fatalf("%q is not applied again: %v", data, err)
		}
		managed.KeepTimes(twice, once)
		if !proto.Equal(once, twice) {
			t.Errorf("%q applied again changes the object:\n%v\n%v", data, once, twice)
		}
	})
}

// FuzzContent holds what is read of JSON to what Kubernetes reads of it, and what is written to what was read.
func FuzzContent(f *testing.F) {
	for _, text := range []string{`{}`, `{"a":[1,-2.5e3,"x\"\u00e9\\",null,true,false,{}],"a":[[]]}`, ` { "b" : 9223372036854775808 , "c":1e400 } `} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		want := map[string]any{}
		if !utf8.Valid(data) || !json.Valid(data) || kjson.Unmarshal(data, &want) != nil || want == nil {
			_, _ = managed.ReadContent(data) // it may not hang or panic
			return
		}
		got, err := managed.ReadContent(data)
		if err != nil {
			t.Skip() // a number that no float holds, or a text that is not UTF-8
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-Kubernetes +ours):\n%s", data, d)
		}
		again, err := managed.AppendContent(nil, got)
		if err != nil {
			t.Fatal(err)
		}
		var was, is any // numbers as floats: how they are written says nothing
		if json.Unmarshal(data, &was) != nil || json.Unmarshal(again, &is) != nil || !cmp.Equal(was, is) {
			t.Errorf("%s was written as %s", data, again)
		}
	})
}
