// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	buildv1 "fairlead.dev/gen/go/fairlead/build/v1"
)

// thing has immutable fields in every place where one can be.
const thing = `
name: "thing.proto" package: "t" syntax: "proto3" dependency: "fairlead/meta/v1/options.proto"
message_type {
  name: "Part"
  field { name: "name" json_name: "name" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
  field { name: "fixed_size" json_name: "fixedSize" number: 2 type: TYPE_INT32 label: LABEL_OPTIONAL options { [fairlead.meta.v1.immutable]: true } }
  field { name: "inner" json_name: "inner" number: 3 type: TYPE_MESSAGE type_name: ".t.Part" label: LABEL_OPTIONAL }
}
message_type {
  name: "Thing"
  nested_type {
    name: "ByNameEntry" options { map_entry: true }
    field { name: "key" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
    field { name: "value" number: 2 type: TYPE_MESSAGE type_name: ".t.Part" label: LABEL_OPTIONAL }
  }
  field { name: "one" json_name: "one" number: 1 type: TYPE_MESSAGE type_name: ".t.Part" label: LABEL_OPTIONAL }
  field { name: "places" json_name: "places" number: 2 type: TYPE_MESSAGE type_name: ".t.Part" label: LABEL_REPEATED }
  field { name: "keyed" json_name: "keyed" number: 3 type: TYPE_MESSAGE type_name: ".t.Part" label: LABEL_REPEATED
          options { [fairlead.meta.v1.list_map_keys]: "name" } }
  field { name: "by_name" json_name: "byName" number: 4 type: TYPE_MESSAGE type_name: ".t.Thing.ByNameEntry" label: LABEL_REPEATED }
  field { name: "flat" json_name: "flat" number: 5 type: TYPE_MESSAGE type_name: ".t.Part" label: LABEL_OPTIONAL
          options { [fairlead.meta.v1.inline]: true } }
  field { name: "fixed_list" json_name: "fixedList" number: 6 type: TYPE_STRING label: LABEL_REPEATED options { [fairlead.meta.v1.immutable]: true } }
  field { name: "free" json_name: "free" number: 7 type: TYPE_STRING label: LABEL_OPTIONAL }
}`

func describeThing(t *testing.T) protoreflect.MessageDescriptor {
	t.Helper()
	fd := &descriptorpb.FileDescriptorProto{}
	if err := prototext.Unmarshal([]byte(thing), fd); err != nil {
		t.Fatal(err)
	}
	file, err := protodesc.NewFile(fd, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	return file.Messages().ByName("Thing")
}

func TestImmutableFieldsAtEveryDepth(t *testing.T) {
	d := describeThing(t)
	cases := map[string]struct {
		reason   string
		old, new string
		want     []string
	}{
		"same":           {"", `{"one":{"fixedSize":1},"fixedList":["a"]}`, `{"one":{"fixedSize":1},"fixedList":["a"]}`, nil},
		"others":         {"", `{"one":{"fixedSize":1}}`, `{"one":{"fixedSize":1,"name":"x"},"free":"x"}`, nil},
		"nested":         {"", `{"one":{"fixedSize":1}}`, `{"one":{"fixedSize":2}}`, []string{"one.fixedSize"}},
		"removed":        {"to take the message away changes the value in it", `{"one":{"fixedSize":1}}`, `{}`, []string{"one.fixedSize"}},
		"list":           {"", `{"fixedList":["a"]}`, `{"fixedList":["a","b"]}`, []string{"fixedList"}},
		"place":          {"", `{"places":[{},{"fixedSize":1}]}`, `{"places":[{},{"fixedSize":2}]}`, []string{"places[1].fixedSize"}},
		"new item":       {"an item that is new has no value that could change", `{"places":[{}]}`, `{"places":[{},{"fixedSize":2}]}`, nil},
		"keyed, moved":   {"items are known by their keys", `{"keyed":[{"name":"a","fixedSize":1},{"name":"b","fixedSize":2}]}`, `{"keyed":[{"name":"b","fixedSize":2},{"name":"a","fixedSize":1}]}`, nil},
		"keyed, changed": {"", `{"keyed":[{"name":"a","fixedSize":1},{"name":"b","fixedSize":2}]}`, `{"keyed":[{"name":"b","fixedSize":3}]}`, []string{"keyed[0].fixedSize"}},
		"map":            {"", `{"byName":{"a":{"fixedSize":1}}}`, `{"byName":{"a":{"fixedSize":2},"b":{"fixedSize":2}}}`, []string{"byName[a].fixedSize"}},
		"inline":         {"fields that stand inline have no name of their message in their path", `{"flat":{"fixedSize":1}}`, `{"flat":{"fixedSize":2}}`, []string{"fixedSize"}},
	}
	fixed := immutablesOf(d)
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			read := func(text string) protoreflect.Message {
				t.Helper()
				var m proto.Message = dynamicpb.NewMessage(d)
				if err := protojson.Unmarshal([]byte(text), m); err != nil {
					t.Fatal(err)
				}
				return m.ProtoReflect()
			}
			causes := fixed.changed(read(tc.new), read(tc.old), "")
			got := make([]string, 0, len(causes))
			for _, c := range causes {
				got = append(got, c.Field)
			}
			if diff := cmp.Diff(tc.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// Patches come from outside: whatever they hold, they are refused or give JSON.
func FuzzPatch(f *testing.F) {
	for _, seed := range []string{
		`[{"op":"replace","path":"/spec/status","value":"x"}]`, `[{"op":"copy","from":"","path":"/a"}]`, `[{"op":"move","from":"/a","path":"/a/b"}]`,
		`[{"op":"add","path":"/list/-","value":null}]`, `[{"op":"test","path":"/~01"}]`, `[{"op":"add","path":""}]`, `[{"op":"replace","path":""}]`,
		`[{"op":"test","path":""}]`, `{"a":{"b":null}}`, `null`, `[]`, `{"a":1}{"b":2}`,
	} {
		f.Add([]byte(seed))
	}
	const document = `{"a":{"b":[1,2]},"list":[],"spec":{"status":"y"}}`
	f.Fuzz(func(t *testing.T, data []byte) {
		kind := (&buildv1.Build{}).ProtoReflect().Descriptor()
		for _, read := range []func([]byte) (func([]byte) ([]byte, error), []error, error){
			func(data []byte) (func([]byte) ([]byte, error), []error, error) { return readJSONPatch(kind, data) }, readMergePatch,
		} {
			edit, _, err := read(data)
			if err != nil {
				continue
			}
			if out, err := edit([]byte(document)); err == nil && len(out) > maxPatchBytes+len(data)+len(document) {
				t.Errorf("%d bytes came of %d", len(out), len(data))
			}
		}
	})
}
