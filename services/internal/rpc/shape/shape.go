// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package shape checks messages against the constraints in their protos and names each fault by its Kubernetes field
// path.
package shape

import (
	"errors"
	"fmt"
	"strings"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/internal/apierror"
)

// maxValueBytes is how much of a wrong value a fault repeats.
const maxValueBytes = 128

// Checker checks messages.
type Checker struct{ validator protovalidate.Validator }

// New makes a Checker.
func New() (*Checker, error) {
	v, err := protovalidate.New()
	if err != nil {
		return nil, fmt.Errorf("shape: %w", err)
	}
	return &Checker{v}, nil
}

// Check returns every fault of a message. What lies below a field for which skip is true is not looked at.
func (c *Checker) Check(m proto.Message, skip func(protoreflect.FieldDescriptor) bool) ([]apierror.Cause, error) {
	var options []protovalidate.ValidationOption
	if skip != nil {
		options = append(options, protovalidate.WithFilter(protovalidate.FilterFunc(
			func(_ protoreflect.Message, d protoreflect.Descriptor) bool {
				field, ok := d.(protoreflect.FieldDescriptor)
				return !ok || !skip(field)
			})))
	}
	err := c.validator.Validate(m, options...)
	if err == nil {
		return nil, nil
	}
	var invalid *protovalidate.ValidationError
	if !errors.As(err, &invalid) {
		return nil, fmt.Errorf("shape: check %s: %w", m.ProtoReflect().Descriptor().FullName(), err)
	}
	causes := make([]apierror.Cause, 0, len(invalid.Violations))
	for _, v := range invalid.Violations {
		causes = append(causes, causeOf(m.ProtoReflect().Descriptor(), v))
	}
	return causes, nil
}

// causeOf words a violation as Kubernetes does.
func causeOf(d protoreflect.MessageDescriptor, v *protovalidate.Violation) apierror.Cause {
	cause := apierror.Cause{Field: Path(d, v.Proto.GetField())}
	rule, message := v.Proto.GetRuleId(), v.Proto.GetMessage()
	switch {
	case rule == "required":
		cause.Reason, cause.Message = apierror.CauseValueRequired, "Required value"
	case strings.HasSuffix(rule, ".in") && v.RuleValue.IsValid():
		cause.Reason = apierror.CauseValueNotSupported
		cause.Message = fmt.Sprintf("Unsupported value: %s: supported values: %s", textOf(v.FieldValue), choices(v.RuleValue))
	case rule == "repeated.min_items" && v.FieldValue.IsValid() && v.FieldValue.List().Len() == 0:
		cause.Reason, cause.Message = apierror.CauseValueRequired, "Required value: "+message
	case rule == "repeated.unique":
		cause.Reason, cause.Message = apierror.CauseValueDuplicate, "Duplicate value: "+message
	default:
		cause.Reason = apierror.CauseValueInvalid
		cause.Message = "Invalid value: " + message
		if text := textOf(v.FieldValue); text != "" {
			cause.Message = "Invalid value: " + text + ": " + message
		}
	}
	return cause
}

// textOf returns a scalar as Kubernetes repeats it in faults; other values are not repeated.
func textOf(v protoreflect.Value) string {
	if !v.IsValid() {
		return ""
	}
	switch x := v.Interface().(type) {
	case string:
		if len(x) > maxValueBytes {
			x = x[:maxValueBytes] + "…"
		}
		return fmt.Sprintf("%q", x)
	case bool, int32, int64, uint32, uint64, float32, float64:
		return fmt.Sprint(x)
	default:
		return ""
	}
}

func choices(v protoreflect.Value) string {
	list, ok := v.Interface().(protoreflect.List)
	if !ok {
		return v.String()
	}
	var texts []string
	for i := range list.Len() {
		if text := textOf(list.Get(i)); text != "" && text != `""` {
			texts = append(texts, text)
		}
	}
	return strings.Join(texts, ", ")
}

// Path returns a field path in a message of type d as Kubernetes writes it: JSON names, `[0]` for items of lists and
// `[key]` for those of maps. Fields that stand inline in JSON are left out.
func Path(d protoreflect.MessageDescriptor, path *validate.FieldPath) string {
	var b strings.Builder
	for _, element := range path.GetElements() {
		var field protoreflect.FieldDescriptor
		if d != nil {
			field = d.Fields().ByNumber(protoreflect.FieldNumber(element.GetFieldNumber()))
		}
		if opaque(d) {
			break
		}
		name := element.GetFieldName()
		d = nil
		if field != nil {
			name = field.JSONName()
			d = field.Message()
			if field.IsMap() {
				d = field.MapValue().Message()
			}
		}
		if field == nil || !inline(field) {
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(name)
		}
		b.WriteString(subscript(element))
	}
	return b.String()
}

func subscript(e *validate.FieldPathElement) string {
	switch s := e.GetSubscript().(type) {
	case *validate.FieldPathElement_Index:
		return fmt.Sprintf("[%d]", s.Index)
	case *validate.FieldPathElement_StringKey:
		return "[" + s.StringKey + "]"
	case *validate.FieldPathElement_IntKey:
		return fmt.Sprintf("[%d]", s.IntKey)
	case *validate.FieldPathElement_UintKey:
		return fmt.Sprintf("[%d]", s.UintKey)
	case *validate.FieldPathElement_BoolKey:
		return fmt.Sprintf("[%t]", s.BoolKey)
	default:
		return ""
	}
}

// opaque tells whether a message is a single value in JSON, so that no path leads into it.
func opaque(d protoreflect.MessageDescriptor) bool {
	if d == nil {
		return false
	}
	switch d.FullName() {
	case "fairlead.meta.v1.RawJSON", "fairlead.meta.v1.IntOrString", "google.protobuf.Timestamp":
		return true
	default:
		return false
	}
}

func inline(field protoreflect.FieldDescriptor) bool {
	is, ok := proto.GetExtension(field.Options(), metav1.E_Inline).(bool)
	return ok && is
}
