// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package codec

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"sort"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// MarshalByReflection is Marshal, as it is meant to be.
func MarshalByReflection(m proto.Message) ([]byte, error) {
	e := byReflection{}
	err := e.message(m.ProtoReflect())
	return e.buf, err
}

// byReflection writes a message by asking it for its fields: slower than the encoder, and simple. It says what is right.
type byReflection struct {
	buf  []byte
	path path
}

func (e *byReflection) push(s step) { e.path = append(e.path, s) }
func (e *byReflection) pop()        { e.path = e.path[:len(e.path)-1] }

func (e *byReflection) errorf(format string, args ...any) error {
	return fmt.Errorf("%s: %w", e.path, fmt.Errorf(format, args...))
}

// value writes a message in the form that its type has.
func (e *byReflection) value(m protoreflect.Message, form form) error {
	switch form {
	case formTime:
		return e.time(m)
	case formRaw:
		return e.raw(m)
	case formIntOrString:
		return e.intOrString(m)
	default:
		return e.message(m)
	}
}

// message writes m as an object.
func (e *byReflection) message(m protoreflect.Message) error {
	t := tableOf(m.Descriptor())
	e.buf = append(e.buf, '{')
	start := len(e.buf)
	if t.kind != "" {
		for _, member := range [][2]string{{nameAPIVersion, t.apiVersion}, {nameKind, t.kind}} {
			e.name(start, member[0])
			if err := e.text(member[1]); err != nil {
				return err
			}
		}
	}
	for _, f := range t.fields {
		holder := m
		for _, fd := range f.via {
			holder = holder.Get(fd).Message() // empty and read-only where it is not set
		}
		if !holder.Has(f.fd) && (!f.always || !holder.IsValid()) {
			continue
		}
		e.name(start, f.name)
		e.push(step{name: f.name})
		if err := e.field(f, holder.Get(f.fd)); err != nil {
			return err
		}
		e.pop()
	}
	e.buf = append(e.buf, '}')
	return nil
}

// name writes a member's name, which needs no escapes, in the object that begins at start.
func (e *byReflection) name(start int, name string) {
	if len(e.buf) > start {
		e.buf = append(e.buf, ',')
	}
	e.buf = append(e.buf, '"')
	e.buf = append(e.buf, name...)
	e.buf = append(e.buf, '"', ':')
}

func (e *byReflection) field(f *field, v protoreflect.Value) error {
	switch {
	case f.fd.IsList():
		items := v.List()
		e.buf = append(e.buf, '[')
		for i := range items.Len() {
			if i > 0 {
				e.buf = append(e.buf, ',')
			}
			e.push(step{index: i, kind: stepIndex})
			if err := e.single(f.fd, f.form, items.Get(i)); err != nil {
				return err
			}
			e.pop()
		}
		e.buf = append(e.buf, ']')
		return nil
	case f.fd.IsMap():
		return e.mapping(f, v.Map())
	default:
		return e.single(f.fd, f.form, v)
	}
}

func (e *byReflection) mapping(f *field, entries protoreflect.Map) error {
	type entry struct {
		key   string
		value protoreflect.Value
	}
	sorted := make([]entry, 0, entries.Len())
	entries.Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
		sorted = append(sorted, entry{k.String(), v})
		return true
	})
	sort.Slice(sorted, func(i, j int) bool { return sorted[i].key < sorted[j].key })
	e.buf = append(e.buf, '{')
	for i, en := range sorted {
		if i > 0 {
			e.buf = append(e.buf, ',')
		}
		e.push(step{name: en.key, kind: stepKey})
		if err := e.text(en.key); err != nil {
			return err
		}
		e.buf = append(e.buf, ':')
		if err := e.single(f.fd.MapValue(), f.form, en.value); err != nil {
			return err
		}
		e.pop()
	}
	e.buf = append(e.buf, '}')
	return nil
}

// single writes one value: of a field, a list's item or a map's.
func (e *byReflection) single(fd protoreflect.FieldDescriptor, form form, v protoreflect.Value) error {
	switch fd.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return e.value(v.Message(), form)
	case protoreflect.StringKind:
		if form == formQuantity && v.String() == "" {
			return e.text("0")
		}
		return e.text(v.String())
	case protoreflect.BoolKind:
		e.buf = strconv.AppendBool(e.buf, v.Bool())
	case protoreflect.BytesKind:
		e.buf = append(e.buf, '"')
		e.buf = base64.StdEncoding.AppendEncode(e.buf, v.Bytes())
		e.buf = append(e.buf, '"')
	case protoreflect.EnumKind:
		value := fd.Enum().Values().ByNumber(v.Enum())
		if value == nil {
			e.buf = strconv.AppendInt(e.buf, int64(v.Enum()), 10)
			return nil
		}
		return e.text(string(value.Name()))
	case protoreflect.FloatKind:
		return e.float(float32(v.Float()))
	case protoreflect.DoubleKind:
		return e.float(v.Float())
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind, protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		e.buf = strconv.AppendUint(e.buf, v.Uint(), 10)
	default:
		e.buf = strconv.AppendInt(e.buf, v.Int(), 10)
	}
	return nil
}

func (e *byReflection) text(s string) error {
	buf, err := jsontext.AppendQuote(e.buf, s)
	if err != nil {
		return e.errorf("%w", err)
	}
	e.buf = buf
	return nil
}

// float writes a float32 or a float64 as encoding/json does.
func (e *byReflection) float(f any) error {
	b, err := json.Marshal(f)
	if err != nil {
		return e.errorf("%w", err)
	}
	e.buf = append(e.buf, b...)
	return nil
}

// time writes a timestamp to the second, as Kubernetes does, unless it has a fraction.
func (e *byReflection) time(m protoreflect.Message) error {
	fields := m.Descriptor().Fields()
	seconds, nanos := m.Get(fields.ByNumber(timeSeconds)).Int(), m.Get(fields.ByNumber(timeNanos)).Int()
	t := time.Unix(seconds, nanos).UTC()
	if y := t.Year(); y < 0 || y > 9999 || nanos < 0 || nanos >= int64(time.Second) {
		return e.errorf("the time %d.%09d cannot be written", seconds, nanos)
	}
	e.buf = append(e.buf, '"')
	e.buf = t.AppendFormat(e.buf, time.RFC3339Nano)
	e.buf = append(e.buf, '"')
	return nil
}

// raw writes arbitrary JSON inline. An empty value stands for null.
func (e *byReflection) raw(m protoreflect.Message) error {
	v := jsontext.Value(m.Get(m.Descriptor().Fields().ByNumber(rawValue)).Bytes())
	if len(v) == 0 {
		e.buf = append(e.buf, "null"...)
		return nil
	}
	compact, err := compactJSON(v)
	if err != nil {
		return e.errorf("not valid JSON: %w", err)
	}
	e.buf = append(e.buf, compact...)
	return nil
}

// intOrString writes a number or a string; one that holds neither is 0, as in Kubernetes.
func (e *byReflection) intOrString(m protoreflect.Message) error {
	fields := m.Descriptor().Fields()
	if str := fields.ByNumber(strValue); m.Has(str) {
		return e.text(m.Get(str).String())
	}
	e.buf = strconv.AppendInt(e.buf, m.Get(fields.ByNumber(intValue)).Int(), 10)
	return nil
}
