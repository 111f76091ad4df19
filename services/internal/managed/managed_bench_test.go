// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package managed_test

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/codec"
	"fairlead.dev/services/internal/managed"
)

// roleDocument is a document of 1.6 kB, with a note of its own.
func roleDocument(note string) []byte {
	var rules []string
	for i := range 6 {
		rules = append(rules, fmt.Sprintf(`{"verbs":["get","list","watch"],"apiGroups":["group-%d.fairlead.dev"],"resources":["builds","builds/status","log"]}`, i))
	}
	return []byte(`{"apiVersion":"auth.fairlead.dev/v1","kind":"Role","metadata":{"namespace":"shop","name":"web","labels":{"app":"bench","tier":"base"},` +
		`"annotations":{"note":"` + note + `","text":"` + strings.Repeat("measure ", 56) + `"}},"rules":[` + strings.Join(rules, ",") + `]}`)
}

func BenchmarkTracker(b *testing.B) {
	t := tracker(b, &authv1.Role{})
	role := &authv1.Role{}
	if _, err := codec.Unmarshal(roleDocument("a"), role, codec.Options{}); err != nil {
		b.Fatal(err)
	}
	by := managed.Write{Manager: "bench"}
	b.Run("create", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			role.Metadata.ManagedFields = nil
			if err := t.Update(nil, role, by); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("update", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			next := proto.CloneOf(role)
			next.Metadata.Annotations["note"] = "b"
			if err := t.Update(role, next, by); err != nil {
				b.Fatal(err)
			}
		}
	})
	apply := func(name string, live managed.Object, note string) managed.Object {
		var out managed.Object
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				data := roleDocument(note)
				said := &authv1.Role{}
				if _, err := codec.Unmarshal(data, said, codec.Options{}); err != nil {
					b.Fatal(err)
				}
				doc, err := t.Read(data, said, false)
				if err != nil {
					b.Fatal(err)
				}
				if out, err = t.Apply(live, doc, by); err != nil {
					b.Fatal(err)
				}
			}
		})
		return out
	}
	applied := apply("apply creates", nil, "a")
	apply("apply changes", applied, "b")
	apply("apply changes nothing", applied, "a")
}

func BenchmarkNewTypes(b *testing.B) {
	for b.Loop() {
		if _, err := managed.NewTypes(kinds.All()); err != nil {
			b.Fatal(err)
		}
	}
}
