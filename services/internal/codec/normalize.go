// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package codec

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"fairlead.dev/services/internal/apierror"
)

// Normalize makes of a message that came as protobuf what it would be had it come as JSON: quantities and durations in
// their canonical form, raw JSON without white space. It returns a cause for each value that no JSON could have given,
// such as a quantity that is none. A message with causes must not be stored, since it cannot be written as JSON.
func Normalize(m proto.Message) []apierror.Cause {
	n := &normalizer{}
	n.message(m.ProtoReflect(), 0)
	return n.faults
}

// normalizer walks a message. It keeps its faults and its path as the decoder does.
type normalizer struct{ decoder }

func (n *normalizer) message(m protoreflect.Message, depth int) {
	if depth > MaxDepth {
		n.faultf(apierror.CauseValueInvalid, "nested deeper than %d levels", MaxDepth)
		return
	}
	for _, f := range tableOf(m.Descriptor()).fields {
		dropEmpty(m, f.via)
		holder := m
		for _, fd := range f.via {
			if !holder.Has(fd) {
				holder = nil
				break
			}
			holder = holder.Mutable(fd).Message()
		}
		if holder == nil || !holder.Has(f.fd) || f.form == formPlain {
			continue
		}
		n.push(step{name: f.name})
		n.field(holder, f, depth)
		n.pop()
	}
}

func (n *normalizer) field(m protoreflect.Message, f *field, depth int) {
	switch v := m.Get(f.fd); {
	case f.fd.IsList():
		items := v.List()
		for i := range items.Len() {
			n.push(step{index: i, kind: stepIndex})
			if w, ok := n.value(items.Get(i), f.form, depth); ok {
				items.Set(i, w)
			}
			n.pop()
		}
	case f.fd.IsMap():
		entries := v.Map()
		entries.Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
			n.push(step{name: k.String(), kind: stepKey})
			if w, ok := n.value(v, f.form, depth); ok {
				entries.Set(k, w)
			}
			n.pop()
			return true
		})
	default:
		if w, ok := n.value(v, f.form, depth); ok {
			m.Set(f.fd, w)
		}
	}
}

// value returns what is to take the place of v, if something is.
func (n *normalizer) value(v protoreflect.Value, form form, depth int) (w protoreflect.Value, changed bool) {
	switch form {
	case formQuantity:
		return n.canonical(v, canonicalQuantity)
	case formDuration:
		return n.canonical(v, canonicalDuration)
	case formTime:
		fields := v.Message().Descriptor().Fields()
		t := &timestamppb.Timestamp{
			Seconds: v.Message().Get(fields.ByNumber(timeSeconds)).Int(),
			Nanos:   int32(v.Message().Get(fields.ByNumber(timeNanos)).Int()),
		}
		if err := t.CheckValid(); err != nil {
			n.faultf(apierror.CauseValueInvalid, "the time is out of range: years 1 to 9999 can be kept")
		}
	case formRaw:
		n.raw(v.Message())
	case formMessage:
		n.message(v.Message(), depth+1)
	}
	return v, false
}

func (n *normalizer) canonical(v protoreflect.Value, parse func(string) (string, string)) (w protoreflect.Value, changed bool) {
	text, problem := parse(v.String())
	if problem != "" {
		n.faultf(apierror.CauseValueInvalid, "%s", problem)
		return v, false
	}
	return protoreflect.ValueOfString(text), text != v.String()
}

func (n *normalizer) raw(m protoreflect.Message) {
	fd := m.Descriptor().Fields().ByNumber(rawValue)
	if !m.Has(fd) {
		return
	}
	v, err := compactJSON(m.Get(fd).Bytes())
	switch {
	case err != nil:
		n.faultf(apierror.CauseTypeInvalid, "not valid JSON: %s", err)
	case depth(v) > MaxDepth:
		n.faultf(apierror.CauseValueInvalid, "nested deeper than %d levels", MaxDepth)
	default:
		m.Set(fd, protoreflect.ValueOfBytes(v))
	}
}
