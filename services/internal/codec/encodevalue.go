// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package codec

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// isZero tells whether a value is the one that a field without presence has when it is not set.
func (f *field) isZero(n *node) bool {
	switch f.kind {
	case protoreflect.StringKind, protoreflect.BytesKind:
		return len(n.data) == 0
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Uint32Kind, protoreflect.EnumKind:
		return uint32(n.num) == 0
	default:
		return n.num == 0
	}
}

// scalar writes a value that is no message: of a field, a list's item or a map's.
func (e *encoder) scalar(f *field, n *node) error {
	switch f.kind {
	case protoreflect.StringKind:
		if f.form == formQuantity && len(n.data) == 0 {
			e.buf = append(e.buf, `"0"`...)
			return nil
		}
		return e.quote(n.data)
	case protoreflect.BoolKind:
		e.buf = strconv.AppendBool(e.buf, n.num != 0)
	case protoreflect.BytesKind:
		e.buf = append(e.buf, '"')
		e.buf = base64.StdEncoding.AppendEncode(e.buf, n.data)
		e.buf = append(e.buf, '"')
	case protoreflect.EnumKind:
		number := protoreflect.EnumNumber(int32(n.num))
		value := f.enum.Values().ByNumber(number)
		if value == nil {
			e.buf = strconv.AppendInt(e.buf, int64(number), 10)
			return nil
		}
		return e.text(string(value.Name()))
	case protoreflect.FloatKind:
		return e.float(math.Float32frombits(uint32(n.num)))
	case protoreflect.DoubleKind:
		return e.float(math.Float64frombits(n.num))
	default:
		e.buf = appendInteger(e.buf, f.kind, n.num)
	}
	return nil
}

// appendInteger writes an integer of a kind; protobuf cuts numbers to their kind's size.
func appendInteger(buf []byte, kind protoreflect.Kind, num uint64) []byte {
	switch kind {
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return strconv.AppendUint(buf, uint64(uint32(num)), 10)
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return strconv.AppendUint(buf, num, 10)
	case protoreflect.Int32Kind, protoreflect.Sfixed32Kind:
		return strconv.AppendInt(buf, int64(int32(num)), 10)
	case protoreflect.Sint32Kind:
		return strconv.AppendInt(buf, int64(int32(protowire.DecodeZigZag(num&math.MaxUint32))), 10)
	case protoreflect.Sint64Kind:
		return strconv.AppendInt(buf, protowire.DecodeZigZag(num), 10)
	default:
		return strconv.AppendInt(buf, int64(num), 10)
	}
}

// escaped tells of each byte whether it cannot stand in a JSON string as it is.
var escaped = func() (t [256]bool) { //nolint:gochecknoglobals // constant
	for c := range byte(' ') {
		t[c] = true
	}
	t['"'], t['\\'] = true, true
	return t
}()

// quote writes a string.
func (e *encoder) quote(s []byte) error {
	wide := byte(0)
	for _, c := range s {
		wide |= c
		if escaped[c] {
			return e.text(string(s))
		}
	}
	if wide >= utf8.RuneSelf && !utf8.Valid(s) {
		return errNotUTF8
	}
	e.buf = append(e.buf, '"')
	e.buf = append(e.buf, s...)
	e.buf = append(e.buf, '"')
	return nil
}

func (e *encoder) text(s string) error {
	buf, err := jsontext.AppendQuote(e.buf, s)
	if err == nil {
		e.buf = buf
	}
	return err //nolint:wrapcheck // the caller says where it is
}

// float writes a float32 or a float64 as encoding/json does.
func (e *encoder) float(f any) error {
	b, err := json.Marshal(f)
	if err != nil {
		return err //nolint:wrapcheck // the caller says where it is
	}
	e.buf = append(e.buf, b...)
	return nil
}

// time writes a timestamp to the second, as Kubernetes does, unless it has a fraction.
func (e *encoder) time(head int32) error {
	var seconds, nanos int64
	err := e.each(head, func(num protowire.Number, typ protowire.Type, n node) {
		switch {
		case typ != protowire.VarintType:
		case num == timeSeconds:
			seconds = int64(n.num)
		case num == timeNanos:
			nanos = int64(int32(n.num))
		}
	})
	if err != nil {
		return err
	}
	t := time.Unix(seconds, nanos).UTC()
	if y := t.Year(); y < 0 || y > 9999 || nanos < 0 || nanos >= int64(time.Second) {
		return fmt.Errorf("the time %d.%09d cannot be written", seconds, nanos)
	}
	e.buf = append(e.buf, '"')
	e.buf = t.AppendFormat(e.buf, time.RFC3339Nano)
	e.buf = append(e.buf, '"')
	return nil
}

// raw writes arbitrary JSON inline. An empty value stands for null.
func (e *encoder) raw(head int32) error {
	var v jsontext.Value
	err := e.each(head, func(num protowire.Number, typ protowire.Type, n node) {
		if num == rawValue && typ == protowire.BytesType {
			v = n.data
		}
	})
	if err != nil {
		return err
	}
	if len(v) == 0 {
		e.buf = append(e.buf, "null"...)
		return nil
	}
	compact, err := compactJSON(v)
	if err != nil {
		return fmt.Errorf("not valid JSON: %w", err)
	}
	e.buf = append(e.buf, compact...)
	return nil
}

// compactJSON returns v without white space, or an error if it is not valid JSON.
func compactJSON(v jsontext.Value) (jsontext.Value, error) {
	v = v.Clone()
	if err := v.Compact(jsontext.AllowDuplicateNames(true)); err != nil {
		return nil, err
	}
	if len(v) == 0 {
		return nil, errors.New("empty")
	}
	return v, nil
}

// intOrString writes a number or a string; one that holds neither is 0, as in Kubernetes.
func (e *encoder) intOrString(head int32) error {
	var integer int64
	var text []byte
	isText := false
	err := e.each(head, func(num protowire.Number, typ protowire.Type, n node) {
		switch {
		case num == intValue && typ == protowire.VarintType:
			integer, isText = int64(int32(n.num)), false
		case num == strValue && typ == protowire.BytesType:
			text, isText = n.data, true
		}
	})
	if err != nil {
		return err
	}
	if isText {
		return e.quote(text)
	}
	e.buf = strconv.AppendInt(e.buf, integer, 10)
	return nil
}
