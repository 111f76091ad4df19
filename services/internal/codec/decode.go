// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package codec

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"google.golang.org/protobuf/reflect/protoreflect"

	"fairlead.dev/services/internal/apierror"
)

// decoder reads one document. Its methods return an error only where nothing more can be read; everything else is
// collected in faults and unexpected.
type decoder struct {
	in   *jsontext.Decoder
	path path
	// faults are values that do not fit.
	faults []apierror.Cause
	// unexpected are unknown and duplicate fields.
	unexpected []apierror.Cause
	// dropped counts what was found beyond maxFaults.
	dropped int
}

// document reads a document that is one message.
func (d *decoder) document(m protoreflect.Message) error {
	if err := d.value(m); err != nil {
		return err
	}
	return d.end()
}

// end checks that nothing follows the document.
func (d *decoder) end() error {
	if _, err := d.in.ReadToken(); err == nil {
		return apierror.BadRequest("invalid JSON: there is more than one value in the document")
	} else if !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// report is the error for what was found.
func (d *decoder) report(t *table, unexpected []apierror.Cause) error {
	var texts []string
	for _, c := range d.faults {
		if c.Field == "" {
			texts = append(texts, c.Message)
			continue
		}
		texts = append(texts, c.Field+": "+c.Message)
	}
	if len(unexpected) > 0 {
		var b strings.Builder
		b.WriteString("strict decoding error: ")
		for i, c := range unexpected {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(c.Message)
		}
		texts = append(texts, b.String())
	}
	if len(texts) == 0 {
		return nil
	}
	if d.dropped > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", d.dropped))
	}
	e := apierror.BadRequest("%s", strings.Join(texts, "; "))
	e.Causes = append(append(e.Causes, d.faults...), unexpected...)
	if t.options != nil {
		e.Resource = apierror.Resource{Group: t.options.GetGroup(), Plural: t.options.GetPlural(), Kind: t.kind}
	}
	return e
}

func (d *decoder) push(s step) { d.path = append(d.path, s) }
func (d *decoder) pop()        { d.path = d.path[:len(d.path)-1] }

// faultf notes that the value being read does not fit.
func (d *decoder) faultf(reason, format string, args ...any) {
	if len(d.faults) >= maxFaults {
		d.dropped++
		return
	}
	d.faults = append(d.faults, apierror.Cause{Field: d.path.String(), Reason: reason, Message: fmt.Sprintf(format, args...)})
}

// note notes a field that should not be there: "unknown field" or "duplicate field".
func (d *decoder) note(reason, what, suggestion string) {
	if len(d.unexpected) >= maxFaults {
		d.dropped++
		return
	}
	text := what + " " + strconv.Quote(d.path.dotted())
	if suggestion != "" {
		text += fmt.Sprintf(" (did you mean %q?)", suggestion)
	}
	d.unexpected = append(d.unexpected, apierror.Cause{Field: d.path.String(), Reason: reason, Message: text})
}

// mismatch notes that the next value is not what was expected, and skips it.
func (d *decoder) mismatch(expected string) error {
	v, err := d.in.ReadValue()
	if err != nil {
		return err
	}
	d.faultf(apierror.CauseTypeInvalid, "expected %s, got %s", expected, describe(v))
	return nil
}

// describe words a value for a message.
func describe(v jsontext.Value) string {
	switch v.Kind() {
	case '"':
		b, err := jsontext.AppendUnquote(nil, v)
		if err != nil {
			return "a string"
		}
		return strconv.Quote(abridge(string(b))) + " (string)"
	case '0':
		return abridge(string(v)) + " (number)"
	case 't', 'f':
		return string(v) + " (boolean)"
	case '{':
		return "an object"
	case '[':
		return "a list"
	default:
		return string(v)
	}
}

// object reads an object and calls member for each name, with the reader at its value. What is no object is noted.
func (d *decoder) object(member func(name string) error) error {
	if k := d.in.PeekKind(); k != '{' {
		return d.mismatch("an object")
	}
	if d.tooDeep() {
		return d.in.SkipValue()
	}
	if _, err := d.in.ReadToken(); err != nil {
		return err
	}
	for d.in.PeekKind() != '}' {
		name, err := d.in.ReadToken()
		if err != nil {
			return err
		}
		if err := member(name.String()); err != nil {
			return err
		}
	}
	_, err := d.in.ReadToken()
	return err
}

// list reads a list and calls item for each, with the reader at its value. What is no list is noted.
func (d *decoder) list(item func() error) error {
	if k := d.in.PeekKind(); k != '[' {
		return d.mismatch("a list")
	}
	if d.tooDeep() {
		return d.in.SkipValue()
	}
	if _, err := d.in.ReadToken(); err != nil {
		return err
	}
	for i := 0; d.in.PeekKind() != ']'; i++ {
		d.push(step{index: i, kind: stepIndex})
		if err := item(); err != nil {
			return err
		}
		d.pop()
	}
	_, err := d.in.ReadToken()
	return err
}

func (d *decoder) tooDeep() bool {
	if d.in.StackDepth() < MaxDepth {
		return false
	}
	d.faultf(apierror.CauseValueInvalid, "nested deeper than %d levels", MaxDepth)
	return true
}

// text reads a string.
func (d *decoder) text(s *string) error {
	if d.in.PeekKind() != '"' {
		return d.mismatch("a string")
	}
	tok, err := d.in.ReadToken()
	if err != nil {
		return err
	}
	*s = tok.String()
	return nil
}

// message reads an object into m.
func (d *decoder) message(m protoreflect.Message) error {
	t := tableOf(m.Descriptor())
	seen := make([]bool, len(t.fields))
	var about typeMeta
	err := d.object(func(name string) error {
		d.push(step{name: name})
		i, ok := t.index[name]
		var err error
		switch {
		case ok:
			if seen[i] {
				d.note(apierror.CauseValueDuplicate, "duplicate field", "")
			}
			err = d.field(m, t.fields[i], seen[i])
			seen[i] = true
		case t.kind != "" && name == nameAPIVersion:
			err = d.typeMeta(&about.apiVersion, &about.hasAPIVersion)
		case t.kind != "" && name == nameKind:
			err = d.typeMeta(&about.kind, &about.hasKind)
		default:
			d.note(apierror.CauseUnexpectedField, "unknown field", t.suggest(name))
			err = d.in.SkipValue()
		}
		if err != nil {
			return err
		}
		d.pop()
		return nil
	})
	if err == nil {
		d.checkType(t, about)
	}
	return err
}

// typeMeta is what an object says about its own type.
type typeMeta struct {
	apiVersion, kind       string
	hasAPIVersion, hasKind bool
}

func (d *decoder) typeMeta(s *string, seen *bool) error {
	if *seen {
		d.note(apierror.CauseValueDuplicate, "duplicate field", "")
	}
	*seen = true
	if d.in.PeekKind() == 'n' {
		return d.in.SkipValue()
	}
	return d.text(s)
}

// checkType notes an object that says to be of another type than its place has. What is not said is taken as right.
func (d *decoder) checkType(t *table, about typeMeta) {
	wrongVersion := about.apiVersion != "" && about.apiVersion != t.apiVersion
	wrongKind := about.kind != "" && about.kind != t.kind
	if t.kind == "" || !wrongVersion && !wrongKind {
		return
	}
	name := nameKind
	if wrongVersion {
		name = nameAPIVersion
	}
	d.push(step{name: name})
	d.faultf(apierror.CauseValueInvalid, "expected apiVersion %q and kind %q, got apiVersion %q and kind %q",
		t.apiVersion, t.kind, abridge(about.apiVersion), abridge(about.kind))
	d.pop()
}

// field reads the value of f into m. Where it comes again, the last one counts.
func (d *decoder) field(m protoreflect.Message, f *field, again bool) error {
	if d.in.PeekKind() == 'n' {
		if again {
			clearField(m, f)
		}
		return d.in.SkipValue()
	}
	if len(f.via) > 0 {
		defer dropEmpty(m, f.via)
	}
	for _, fd := range f.via {
		m = m.Mutable(fd).Message()
	}
	if again {
		m.Clear(f.fd)
	}
	if o := f.fd.ContainingOneof(); o != nil && !o.IsSynthetic() {
		if other := m.WhichOneof(o); other != nil {
			d.faultf(apierror.CauseValueForbidden, "may not be set together with %s", other.JSONName())
		}
	}
	switch {
	case f.fd.IsList():
		return d.repeated(m, f)
	case f.fd.IsMap():
		return d.mapping(m, f)
	case f.fd.Message() != nil:
		return d.value(m.Mutable(f.fd).Message())
	default:
		v, ok, err := d.scalar(f.fd, f.form)
		if ok {
			m.Set(f.fd, v)
		}
		return err
	}
}

// dropEmpty clears the inline messages that hold nothing, since no JSON tells them from those that are not set.
func dropEmpty(m protoreflect.Message, via []protoreflect.FieldDescriptor) {
	if len(via) == 0 || !m.Has(via[0]) {
		return
	}
	inner := m.Mutable(via[0]).Message()
	dropEmpty(inner, via[1:])
	empty := len(inner.GetUnknown()) == 0
	inner.Range(func(protoreflect.FieldDescriptor, protoreflect.Value) bool {
		empty = false
		return false
	})
	if empty {
		m.Clear(via[0])
	}
}

// clearField clears a field that may be in an inline message.
func clearField(m protoreflect.Message, f *field) {
	defer dropEmpty(m, f.via)
	for _, fd := range f.via {
		if !m.Has(fd) {
			return
		}
		m = m.Mutable(fd).Message()
	}
	m.Clear(f.fd)
}

// repeated reads a list. A null in it counts as the zero value, as it does in Go's JSON.
func (d *decoder) repeated(m protoreflect.Message, f *field) error {
	var items protoreflect.List
	return d.list(func() error {
		if items == nil {
			items = m.Mutable(f.fd).List()
		}
		if f.fd.Message() != nil {
			return d.value(items.AppendMutable().Message())
		}
		v, ok, err := d.scalar(f.fd, f.form)
		if ok {
			items.Append(v)
		}
		return err
	})
}

// mapping reads an object into a map.
func (d *decoder) mapping(m protoreflect.Message, f *field) error {
	var entries protoreflect.Map
	return d.object(func(name string) error {
		if entries == nil {
			entries = m.Mutable(f.fd).Map()
		}
		d.push(step{name: name, kind: stepKey})
		key, ok := d.mapKey(f.fd.MapKey(), name)
		if !ok {
			d.pop()
			return d.in.SkipValue()
		}
		if entries.Has(key) {
			d.note(apierror.CauseValueDuplicate, "duplicate field", "")
		}
		value := entries.NewValue()
		var err error
		if f.fd.MapValue().Message() != nil {
			err = d.value(value.Message())
		} else {
			value, ok, err = d.scalar(f.fd.MapValue(), f.form)
		}
		if err != nil {
			return err
		}
		if ok {
			entries.Set(key, value)
		}
		d.pop()
		return nil
	})
}

// value reads the next value into m, in the form that m's type has.
func (d *decoder) value(m protoreflect.Message) error {
	form := messageForm(m.Descriptor())
	if d.in.PeekKind() == 'n' && form != formRaw && len(d.path) > 0 {
		return d.in.SkipValue()
	}
	switch form {
	case formTime:
		return d.time(m)
	case formRaw:
		return d.raw(m)
	case formIntOrString:
		return d.intOrString(m)
	default:
		return d.message(m)
	}
}
