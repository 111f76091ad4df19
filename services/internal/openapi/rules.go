// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package openapi

import (
	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// rulesOf returns what protovalidate checks of a field; nil has no rules.
func rulesOf(fd protoreflect.FieldDescriptor) *validate.FieldRules {
	rules, _ := proto.GetExtension(fd.Options(), validate.E_Field).(*validate.FieldRules)
	return rules
}

// constrain adds the rules that OpenAPI can express to the schema of a single value.
func constrain(schema object, fd protoreflect.FieldDescriptor) {
	rules := rulesOf(fd)
	if text := rules.GetString(); text != nil {
		constrainText(schema, text)
		return
	}
	// The rules of all kinds of numbers have the same names.
	for _, name := range []protoreflect.Name{formatInt32, formatInt64, "uint32", "uint64"} {
		numbers := numberRules(rules, name)
		if numbers == nil {
			continue
		}
		for rule, keyword := range map[protoreflect.Name]string{"gte": "minimum", "gt": "minimum", "lte": "maximum", "lt": "maximum"} {
			bound := numbers.Descriptor().Fields().ByName(rule)
			if bound == nil || !numbers.Has(bound) {
				continue
			}
			schema[keyword] = numbers.Get(bound).Interface()
			if rule == "gt" {
				schema["exclusiveMinimum"] = true
			}
			if rule == "lt" {
				schema["exclusiveMaximum"] = true
			}
		}
	}
}

func constrainText(schema object, rules *validate.StringRules) {
	if len(rules.GetIn()) > 0 {
		schema["enum"] = rules.GetIn()
	}
	if rules.HasPattern() {
		schema["pattern"] = rules.GetPattern()
	}
	if rules.HasMinLen() {
		schema["minLength"] = rules.GetMinLen()
	}
	if rules.HasMaxLen() {
		schema["maxLength"] = rules.GetMaxLen()
	}
}

func numberRules(rules *validate.FieldRules, name protoreflect.Name) protoreflect.Message {
	if rules == nil {
		return nil
	}
	m := rules.ProtoReflect()
	fd := m.Descriptor().Fields().ByName(name)
	if fd == nil || !m.Has(fd) {
		return nil
	}
	return m.Get(fd).Message()
}
