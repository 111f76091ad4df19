// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package resource_test

import (
	"slices"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
)

// fillRequired gives a message the least that its constraints ask for.
func fillRequired(m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if rules := rulesOf(f); rules.GetRequired() || rules.GetRepeated().GetMinItems() > 0 || rules.GetMap().GetMinPairs() > 0 || rules.GetString().GetMinLen() > 0 || isChoice(f) {
			fillField(m, f)
		}
	}
}

// isChoice tells whether a text is one of a few, and may not be left out.
func isChoice(f protoreflect.FieldDescriptor) bool {
	in := rulesOf(f).GetString().GetIn()
	return len(in) > 0 && !slices.Contains(in, "") && !f.HasPresence()
}

func fillField(m protoreflect.Message, f protoreflect.FieldDescriptor) {
	switch {
	case f.IsMap():
		m.Mutable(f).Map().Set(protoreflect.ValueOfString("key").MapKey(), scalar(f.MapValue(), rulesOf(f).GetMap().GetValues()))
	case f.IsList() && f.Message() != nil:
		list := m.Mutable(f).List()
		item := list.NewElement()
		fillRequired(item.Message())
		if name := item.Message().Descriptor().Fields().ByName("name"); name != nil && name.Kind() == protoreflect.StringKind {
			item.Message().Set(name, protoreflect.ValueOfString("one"))
		}
		list.Append(item)
	case f.IsList():
		m.Mutable(f).List().Append(scalar(f, rulesOf(f).GetRepeated().GetItems()))
	case f.Message() != nil:
		fillRequired(m.Mutable(f).Message())
	default:
		m.Set(f, scalar(f, rulesOf(f)))
	}
}

// scalar returns a value that is not the zero one, and that the rules allow.
func scalar(f protoreflect.FieldDescriptor, rules *validate.FieldRules) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.StringKind:
		text := "http://value" // a URL, and good as any other text
		if f.Name() == "name" || f.Name() == "kind" {
			text = "value"
		}
		if in := rules.GetString().GetIn(); len(in) > 0 {
			text = in[0]
		}
		if rules.GetString().HasConst() {
			text = rules.GetString().GetConst()
		}
		switch format, _ := proto.GetExtension(f.Options(), metav1.E_Format).(metav1.Format); format {
		case metav1.Format_FORMAT_DURATION:
			text = "1m0s"
		case metav1.Format_FORMAT_QUANTITY, metav1.Format_FORMAT_QUANTITY_MAP:
			text = "1"
		case metav1.Format_FORMAT_UNSPECIFIED:
		}
		return protoreflect.ValueOfString(text)
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte(`{}`))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(f.Enum().Values().Get(f.Enum().Values().Len() - 1).Number())
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(max(1, rules.GetInt32().GetGte()))
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(max(1, rules.GetInt64().GetGte()))
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(1)
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(1)
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(1)
	default:
		return protoreflect.ValueOfFloat64(1)
	}
}

func rulesOf(f protoreflect.FieldDescriptor) *validate.FieldRules {
	rules, _ := proto.GetExtension(f.Options(), validate.E_Field).(*validate.FieldRules)
	return rules
}

// alter calls try with copies of a message that differ from it in one field each, found at any depth, until try takes one.
func alter(m protoreflect.Message, depth int, skip []protoreflect.Name, try func(protoreflect.Message) bool) bool {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		fixed, _ := proto.GetExtension(f.Options(), metav1.E_Immutable).(bool)
		if fixed || slices.Contains(skip, f.Name()) {
			continue
		}
		next := proto.Clone(m.Interface()).ProtoReflect()
		switch {
		case f.Message() != nil && !f.IsList() && !f.IsMap():
			if depth == 0 {
				continue
			}
			inner := next.Mutable(f).Message()
			if alter(inner, depth-1, nil, func(changed protoreflect.Message) bool {
				next.Set(f, protoreflect.ValueOfMessage(changed))
				return try(next)
			}) {
				return true
			}
			continue
		case f.IsList() && m.Has(f) && f.Message() != nil:
			// another field of an item that is there
			list := next.Mutable(f).List()
			if depth > 0 && alter(list.Get(0).Message(), depth-1, []protoreflect.Name{"name"}, func(changed protoreflect.Message) bool {
				list.Set(0, protoreflect.ValueOfMessage(changed))
				return try(next)
			}) {
				return true
			}
			continue
		case m.Has(f):
			next.Clear(f)
		default:
			fillField(next, f)
		}
		if try(next) {
			return true
		}
	}
	return false
}
