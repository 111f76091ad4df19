// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package codec

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"
	"k8s.io/apimachinery/pkg/api/resource"

	"fairlead.dev/services/internal/apierror"
)

// Field numbers of the messages that have a JSON of their own.
const (
	timeSeconds = 1
	timeNanos   = 2
	rawValue    = 1
	intValue    = 1
	strValue    = 2
)

// Quantities that make sense are shorter than maxQuantity and have exponents far smaller than maxExponent. Without the
// bounds one quantity could keep a processor busy for minutes: its parser computes with all digits.
const (
	maxQuantity = 64
	maxExponent = 30
)

// scalar reads a value that is no message. Where the value does not fit, that is noted and ok is false.
func (d *decoder) scalar(fd protoreflect.FieldDescriptor, form form) (v protoreflect.Value, ok bool, err error) {
	if d.in.PeekKind() == 'n' { // in a list or a map, since a field that is null was skipped
		if form == formQuantity {
			return protoreflect.ValueOfString("0"), true, d.in.SkipValue()
		}
		return zero(fd), true, d.in.SkipValue()
	}
	switch form {
	case formQuantity:
		return d.quantity()
	case formDuration:
		return d.duration()
	}
	switch fd.Kind() {
	case protoreflect.StringKind:
		var s string
		if k := d.in.PeekKind(); k != '"' {
			return v, false, d.mismatch("a string")
		}
		err = d.text(&s)
		return protoreflect.ValueOfString(s), err == nil, err
	case protoreflect.BoolKind:
		if k := d.in.PeekKind(); k != 't' && k != 'f' {
			return v, false, d.mismatch("true or false")
		}
		tok, err := d.in.ReadToken()
		if err != nil {
			return v, false, err
		}
		return protoreflect.ValueOfBool(tok.Kind() == 't'), true, nil
	case protoreflect.BytesKind:
		return d.bytes()
	case protoreflect.EnumKind:
		return d.enum(fd.Enum())
	default:
		return d.number(fd.Kind())
	}
}

func zero(fd protoreflect.FieldDescriptor) protoreflect.Value {
	if fd.IsList() { // the default of a list is a list; that of its items follows from the kind
		switch fd.Kind() {
		case protoreflect.StringKind:
			return protoreflect.ValueOfString("")
		case protoreflect.BoolKind:
			return protoreflect.ValueOfBool(false)
		case protoreflect.BytesKind:
			return protoreflect.ValueOfBytes(nil)
		case protoreflect.EnumKind:
			return protoreflect.ValueOfEnum(0)
		default:
			v, _ := parseNumber(fd.Kind(), "0")
			return v
		}
	}
	return fd.Default()
}

// mapKey reads the name of an entry as a key. Where it does not fit, that is noted and ok is false.
func (d *decoder) mapKey(fd protoreflect.FieldDescriptor, name string) (key protoreflect.MapKey, ok bool) {
	switch fd.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(name).MapKey(), true
	case protoreflect.BoolKind:
		b, err := strconv.ParseBool(name)
		if err != nil {
			d.faultf(apierror.CauseTypeInvalid, "expected a key that is true or false")
		}
		return protoreflect.ValueOfBool(b).MapKey(), err == nil
	default:
		v, err := parseNumber(fd.Kind(), name)
		if err != nil {
			d.faultf(apierror.CauseTypeInvalid, "expected a key that is an integer")
			return key, false
		}
		return v.MapKey(), true
	}
}

// number reads a number of the kind.
func (d *decoder) number(kind protoreflect.Kind) (v protoreflect.Value, ok bool, err error) {
	expected := "an integer"
	if kind == protoreflect.DoubleKind || kind == protoreflect.FloatKind {
		expected = "a number"
	}
	if d.in.PeekKind() != '0' {
		return v, false, d.mismatch(expected)
	}
	tok, err := d.in.ReadToken()
	if err != nil {
		return v, false, err
	}
	text := tok.String()
	v, err = parseNumber(kind, text)
	switch {
	case errors.Is(err, strconv.ErrRange):
		d.faultf(apierror.CauseTypeInvalid, "%s is out of the range of %s", abridge(text), kind)
	case err != nil:
		d.faultf(apierror.CauseTypeInvalid, "expected %s, got %s (number)", expected, abridge(text))
	}
	return v, err == nil, nil
}

func parseNumber(kind protoreflect.Kind, text string) (protoreflect.Value, error) {
	switch kind {
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		n, err := strconv.ParseInt(text, 10, 32)
		return protoreflect.ValueOfInt32(int32(n)), err
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		n, err := strconv.ParseUint(text, 10, 32)
		return protoreflect.ValueOfUint32(uint32(n)), err
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		n, err := strconv.ParseUint(text, 10, 64)
		return protoreflect.ValueOfUint64(n), err
	case protoreflect.FloatKind:
		n, err := strconv.ParseFloat(text, 32)
		return protoreflect.ValueOfFloat32(float32(n)), err
	case protoreflect.DoubleKind:
		n, err := strconv.ParseFloat(text, 64)
		return protoreflect.ValueOfFloat64(n), err
	default:
		n, err := strconv.ParseInt(text, 10, 64)
		return protoreflect.ValueOfInt64(n), err
	}
}

func (d *decoder) bytes() (v protoreflect.Value, ok bool, err error) {
	if d.in.PeekKind() != '"' {
		return v, false, d.mismatch("a string in base64")
	}
	var s string
	if err := d.text(&s); err != nil {
		return v, false, err
	}
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		d.faultf(apierror.CauseTypeInvalid, "expected a string in base64: %s", err)
		return v, false, nil
	}
	return protoreflect.ValueOfBytes(b), true, nil
}

func (d *decoder) enum(ed protoreflect.EnumDescriptor) (v protoreflect.Value, ok bool, err error) {
	if d.in.PeekKind() != '"' {
		return v, false, d.mismatch("a string")
	}
	var s string
	if err := d.text(&s); err != nil {
		return v, false, err
	}
	value := ed.Values().ByName(protoreflect.Name(s))
	if value == nil {
		var names []string
		for i := range ed.Values().Len() {
			names = append(names, string(ed.Values().Get(i).Name()))
		}
		d.faultf(apierror.CauseValueNotSupported, "unsupported value %q, supported are: %s", abridge(s), strings.Join(names, ", "))
		return v, false, nil
	}
	return protoreflect.ValueOfEnum(value.Number()), true, nil
}

// quantity reads a quantity, which may be written as a string or as a number, and makes it canonical.
func (d *decoder) quantity() (v protoreflect.Value, ok bool, err error) {
	if k := d.in.PeekKind(); k != '"' && k != '0' {
		return v, false, d.mismatch("a quantity such as 500m or 1Gi")
	}
	tok, err := d.in.ReadToken()
	if err != nil {
		return v, false, err
	}
	text, problem := canonicalQuantity(tok.String())
	if problem != "" {
		d.faultf(apierror.CauseValueInvalid, "%s", problem)
		return v, false, nil
	}
	return protoreflect.ValueOfString(text), true, nil
}

// canonicalQuantity is the quantity as Kubernetes writes it.
func canonicalQuantity(s string) (canonical, problem string) {
	s = strings.TrimSpace(s)
	if len(s) > maxQuantity {
		return "", "a quantity has at most " + strconv.Itoa(maxQuantity) + " characters"
	}
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		exponent, err := strconv.Atoi(s[i+1:])
		if err == nil && (exponent > maxExponent || exponent < -maxExponent) || errors.Is(err, strconv.ErrRange) {
			return "", "a quantity has an exponent between -" + strconv.Itoa(maxExponent) + " and " + strconv.Itoa(maxExponent)
		}
	}
	q, err := resource.ParseQuantity(s)
	if err != nil {
		return "", "expected a quantity such as 500m or 1Gi, got " + strconv.Quote(s)
	}
	return q.String(), ""
}

// duration reads a Go duration and makes it canonical.
func (d *decoder) duration() (v protoreflect.Value, ok bool, err error) {
	if d.in.PeekKind() != '"' {
		return v, false, d.mismatch("a duration such as 10m0s")
	}
	var s string
	if err := d.text(&s); err != nil {
		return v, false, err
	}
	text, problem := canonicalDuration(s)
	if problem != "" {
		d.faultf(apierror.CauseValueInvalid, "%s", problem)
		return v, false, nil
	}
	return protoreflect.ValueOfString(text), true, nil
}

// canonicalDuration is the duration as Kubernetes writes it.
func canonicalDuration(s string) (canonical, problem string) {
	parsed, err := time.ParseDuration(s)
	if err != nil {
		return "", "expected a duration such as 10m0s, got " + strconv.Quote(abridge(s))
	}
	return parsed.String(), ""
}

// time reads a timestamp.
func (d *decoder) time(m protoreflect.Message) error {
	const expected = "a time such as 2006-01-02T15:04:05Z"
	if d.in.PeekKind() != '"' {
		return d.mismatch(expected)
	}
	var s string
	if err := d.text(&s); err != nil {
		return err
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || !timestamppb.New(t).IsValid() {
		d.faultf(apierror.CauseTypeInvalid, "expected %s, got %q", expected, abridge(s))
		return nil //nolint:nilerr // the fault is noted, and reading goes on
	}
	fields := m.Descriptor().Fields()
	m.Set(fields.ByNumber(timeSeconds), protoreflect.ValueOfInt64(t.Unix()))
	m.Set(fields.ByNumber(timeNanos), protoreflect.ValueOfInt32(int32(t.Nanosecond())))
	return nil
}

// raw keeps the next value as it is, but for white space.
func (d *decoder) raw(m protoreflect.Message) error {
	v, err := d.in.ReadValue()
	if err != nil {
		return err
	}
	if depth(v)+d.in.StackDepth() > MaxDepth {
		d.faultf(apierror.CauseValueInvalid, "nested deeper than %d levels", MaxDepth)
		return nil
	}
	v = v.Clone()
	if err := v.Compact(jsontext.AllowDuplicateNames(true)); err != nil {
		return err
	}
	m.Set(m.Descriptor().Fields().ByNumber(rawValue), protoreflect.ValueOfBytes(v))
	return nil
}

// depth tells how deep objects and lists are nested in a valid value.
func depth(v jsontext.Value) int {
	if k := v.Kind(); k != '{' && k != '[' {
		return 0
	}
	in, deepest := jsontext.NewDecoder(bytes.NewBuffer(v), jsontext.AllowDuplicateNames(true)), 0
	for {
		if _, err := in.ReadToken(); err != nil {
			if !errors.Is(err, io.EOF) {
				return math.MaxInt
			}
			return deepest
		}
		deepest = max(deepest, in.StackDepth())
	}
}

// intOrString reads a number or a string.
func (d *decoder) intOrString(m protoreflect.Message) error {
	fields := m.Descriptor().Fields()
	switch d.in.PeekKind() {
	case '"':
		var s string
		if err := d.text(&s); err != nil {
			return err
		}
		m.Set(fields.ByNumber(strValue), protoreflect.ValueOfString(s))
		return nil
	case '0':
		v, ok, err := d.number(protoreflect.Int32Kind)
		if ok {
			m.Set(fields.ByNumber(intValue), v)
		}
		return err
	default:
		return d.mismatch("an integer or a string")
	}
}
