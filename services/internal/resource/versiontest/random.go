// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package versiontest

import (
	"math/rand/v2"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
)

// generator fills messages at random, with values that have the form of their fields.
type generator struct{ *rand.Rand }

// deepest is how deep messages are filled.
const deepest = 9

// fill fills about one field of several, more of them near the top.
func (g generator) fill(m protoreflect.Message, depth int) {
	switch x := m.Interface().(type) {
	case *metav1.RawJSON:
		x.Raw = []byte(pick(g, `{"a":[1,{"b":"c"}]}`, `[]`, `"text"`, `{}`, `{"source":{"git":{"url":"https://git.test/a.git"}}}`))
		return
	case *metav1.IntOrString:
		x.Value = &metav1.IntOrString_Int{Int: g.Int32N(9000)}
		if g.IntN(2) == 0 {
			x.Value = &metav1.IntOrString_Str{Str: pick(g, "http", "25%")}
		}
		return
	}
	if m.Descriptor().FullName() == "google.protobuf.Timestamp" {
		m.Set(m.Descriptor().Fields().ByName("seconds"), protoreflect.ValueOfInt64(1_700_000_000+g.Int64N(1000)))
		return
	}
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		if f := fields.Get(i); depth < deepest && g.IntN(2+depth+fields.Len()/6) < 2 {
			g.set(m, f, depth)
		}
	}
}

func (g generator) set(m protoreflect.Message, f protoreflect.FieldDescriptor, depth int) {
	const longest = 3
	switch {
	case f.IsMap():
		for range g.IntN(longest) {
			value := g.value(m, f, f.MapValue(), depth)
			m.Mutable(f).Map().Set(protoreflect.ValueOfString(g.word()).MapKey(), value)
		}
	case f.IsList():
		for range g.IntN(longest) {
			if f.Message() != nil {
				g.fill(m.Mutable(f).List().AppendMutable().Message(), depth+1)
			} else {
				m.Mutable(f).List().Append(g.value(m, f, f, depth))
			}
		}
	case f.Message() != nil:
		g.fill(m.Mutable(f).Message(), depth+1)
	default:
		m.Set(f, g.value(m, f, f, depth))
	}
}

// value makes a value of the kind of v, which is a field or the value of a map, f.
func (g generator) value(m protoreflect.Message, f, v protoreflect.FieldDescriptor, depth int) protoreflect.Value {
	switch v.Kind() {
	case protoreflect.MessageKind:
		made := m.NewField(f).Map().NewValue()
		g.fill(made.Message(), depth+1)
		return made
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(g.IntN(2) == 0)
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(g.Int64N(3))
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(g.Int32N(200))
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte(g.word()))
	case protoreflect.StringKind:
	default:
		return v.Default()
	}
	switch format, _ := proto.GetExtension(f.Options(), metav1.E_Format).(metav1.Format); format {
	case metav1.Format_FORMAT_QUANTITY, metav1.Format_FORMAT_QUANTITY_MAP:
		return protoreflect.ValueOfString(pick(g, "500m", "1Gi", "2"))
	case metav1.Format_FORMAT_DURATION:
		return protoreflect.ValueOfString(pick(g, "10m0s", "1s"))
	case metav1.Format_FORMAT_UNSPECIFIED:
	}
	return protoreflect.ValueOfString(g.word())
}

func (g generator) word() string {
	return pick(g, "", "a", "b", "type", "source", "current", "candidate", "latest", "Single", "@latest", "http://host", "http://", "Any")
}

func pick[T any](g generator, from ...T) T { return from[g.IntN(len(from))] }
