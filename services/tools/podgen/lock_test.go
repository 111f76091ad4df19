// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"reflect"
	"strings"
	"testing"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/reflect/protoreflect"
)

func one(fields ...field) []message { return []message{{name: "M", fields: fields}} }

func TestLockAdmitsWhatIsNew(t *testing.T) {
	lock, err := parseLock("# a comment\n\nM.a=1\n")
	if err != nil {
		t.Fatal(err)
	}
	if err := lock.admit(one(field{name: "a", number: 1}, field{name: "b", number: 102})); err != nil {
		t.Fatal(err)
	}
	if got, want := string(lock.format()), lockHeader+"M.a=1\nM.b=102\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLockRefuses(t *testing.T) {
	cases := []struct {
		reason string
		fields []field
		want   string
	}{
		{"a field keeps its number", []field{{name: "a", number: 7}}, "M.a had number 1 and may not have 7"},
		{"a number keeps its field", []field{{name: "b", number: 1}}, "number 1 of M was a's and may not be b's"},
		{"names may not be swapped", []field{{name: "a", number: 2}, {name: "c", number: 1}}, "M.c had number 2"},
	}
	for _, c := range cases {
		lock, err := parseLock("M.a=1\nM.c=2\n")
		if err != nil {
			t.Fatal(err)
		}
		if err := lock.admit(one(c.fields...)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.reason, err, c.want)
		}
	}
}

func TestParseLockRefuses(t *testing.T) {
	for _, content := range []string{"M.a", "M=1", "M.a=x", "M.a=1\nM.b=1", "M.a=1\nM.a=2"} {
		if _, err := parseLock(content); err == nil {
			t.Errorf("%q was taken", content)
		}
	}
}

func TestDroppedFieldsStayReserved(t *testing.T) {
	lock, err := parseLock("M.a=1\nM.old=2\nM.older=5\nGone.x=1\n")
	if err != nil {
		t.Fatal(err)
	}
	messages := one(field{name: "a", json: "a", number: 1, kind: "string"})
	if err := lock.admit(messages); err != nil {
		t.Fatal(err)
	}
	got := string(render(messages, lock))
	if want := "message M {\n  reserved 2, 5;\n  reserved \"old\", \"older\";\n"; !strings.Contains(got, want) {
		t.Errorf("got\n%s\nwant it to hold\n%s", got, want)
	}
	if !strings.Contains(string(lock.format()), "Gone.x=1\n") {
		t.Error("the lock forgot a message")
	}
}

// TestRenderedProtoKeepsNames compiles what is made of Kubernetes' own types and compares the names that protobuf gives its
// fields in JSON with Kubernetes'.
func TestRenderedProtoKeepsNames(t *testing.T) {
	messages, err := collect(roots(), markers{})
	if err != nil {
		t.Fatal(err)
	}
	const core = "fairlead/core/v1/core.proto"
	sources := &protocompile.SourceResolver{
		ImportPaths: []string{"../../../proto", "../../../proto/third_party"},
	}
	rendered := &protocompile.SourceResolver{
		Accessor: protocompile.SourceAccessorFromMap(map[string]string{core: string(render(messages, lockFile{}))}),
	}
	compiler := protocompile.Compiler{
		Resolver: protocompile.WithStandardImports(protocompile.CompositeResolver{rendered, sources}),
	}
	files, err := compiler.Compile(context.Background(), core)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range messages {
		descriptor := files[0].Messages().ByName(protoreflect.Name(m.name))
		got, want := make([]string, 0, len(m.fields)), make([]string, 0, len(m.fields))
		for _, f := range m.fields {
			want = append(want, f.json)
			got = append(got, descriptor.Fields().ByNumber(protoreflect.FieldNumber(f.number)).JSONName())
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", m.name, got, want)
		}
	}
}
