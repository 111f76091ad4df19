// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package codec

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"sync"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// encoder writes messages. Its slots, nodes and entries are stacks: each object takes what it needs at their end, and
// gives it back.
type encoder struct {
	buf     []byte
	slots   []slot
	nodes   []node
	entries []mapEntry
	// nodesUsed and entriesUsed are how far those stacks have been used at most.
	nodesUsed, entriesUsed int
}

// mapEntry is an entry of a map; value is the place of its value's first node plus 1, 0 where it has none.
type mapEntry struct {
	key   string
	value int32
}

// encoders are kept for their stacks.
var encoders = sync.Pool{New: func() any { return &encoder{} }} //nolint:gochecknoglobals // memory, which holds nothing

// maxKept is the largest stack that is kept.
const maxKept = 1 << 16

// release gives an encoder back, without what it has read and written.
func (e *encoder) release() {
	e.buf = nil
	if cap(e.nodes) > maxKept || cap(e.entries) > maxKept {
		return
	}
	e.popNodes(0)
	e.popEntries(0)
	clear(e.nodes[:e.nodesUsed])
	clear(e.entries[:e.entriesUsed])
	e.slots, e.nodesUsed, e.entriesUsed = e.slots[:0], 0, 0
	encoders.Put(e)
}

// popNodes gives back the nodes after the first n.
func (e *encoder) popNodes(n int) {
	e.nodesUsed = max(e.nodesUsed, len(e.nodes))
	e.nodes = e.nodes[:n]
}

// popEntries gives back the entries after the first n.
func (e *encoder) popEntries(n int) {
	e.entriesUsed = max(e.entriesUsed, len(e.entries))
	e.entries = e.entries[:n]
}

// appendEncoded appends the JSON of a message that is given encoded.
func appendEncoded(buf []byte, t *table, encoded []byte) ([]byte, error) {
	if buf == nil {
		buf = make([]byte, 0, len(encoded)*3/2+jsonOverhead)
	}
	e := encoders.Get().(*encoder) //nolint:forcetypeassert // only encoders are pooled
	defer e.release()
	e.buf = buf
	e.nodes = append(e.nodes, node{data: encoded})
	if err := e.message(t, 1); err != nil {
		return nil, err
	}
	return e.buf, nil
}

// jsonOverhead is about what JSON takes more than protobuf for a small object.
const jsonOverhead = 512

// appendMessage appends the JSON of a message.
func appendMessage(buf []byte, m proto.Message) ([]byte, error) {
	r := m.ProtoReflect()
	t := tableOf(r.Descriptor())
	if !r.IsValid() {
		return append(append(buf, t.open...), '}'), nil
	}
	encoded, err := proto.MarshalOptions{AllowPartial: true}.Marshal(m)
	if err != nil {
		return nil, cmp.Or(invalidText(r), err)
	}
	return appendEncoded(buf, t, encoded)
}

// invalidText returns an error with the path of a text that is not UTF-8, which is why a message has no encoding.
func invalidText(m protoreflect.Message) error {
	var found error
	check := func(fd protoreflect.FieldDescriptor, v protoreflect.Value) error {
		switch {
		case fd.Message() != nil:
			return invalidText(v.Message())
		case fd.Kind() == protoreflect.StringKind && !utf8.ValidString(v.String()):
			return errNotUTF8
		}
		return nil
	}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.IsList():
			for i := range v.List().Len() {
				if err := check(fd, v.List().Get(i)); err != nil {
					found = within(step{index: i, kind: stepIndex}, err)
					break
				}
			}
		case fd.IsMap():
			v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
				err := check(fd.MapValue(), v)
				if err == nil && !utf8.ValidString(k.String()) {
					err = errNotUTF8
				}
				if err != nil {
					found = within(step{name: k.String(), kind: stepKey}, err)
				}
				return found == nil
			})
		default:
			found = check(fd, v)
		}
		if found != nil && !isInline(fd) {
			found = within(step{name: fd.JSONName()}, found)
		}
		return found == nil
	})
	return found
}

var errNotUTF8 = errors.New("the text is not UTF-8")

// misplaced is an error with the path to what it is about, from the inside out.
type misplaced struct {
	steps path
	err   error
}

func (m *misplaced) Error() string {
	p := slices.Clone(m.steps)
	slices.Reverse(p)
	return p.String() + ": " + m.err.Error()
}

func (m *misplaced) Unwrap() error { return m.err }

// within notes that an error happened below a step.
func within(s step, err error) error {
	var m *misplaced
	if !errors.As(err, &m) {
		m = &misplaced{err: err}
	}
	m.steps = append(m.steps, s)
	return m
}

// value writes a message in the form that its type has. Its parts begin at the node head.
func (e *encoder) value(f *field, head int32) error {
	switch f.form {
	case formTime:
		return e.time(head)
	case formRaw:
		return e.raw(head)
	case formIntOrString:
		return e.intOrString(head)
	default:
		return e.message(f.table(), head)
	}
}

// message writes a message as an object.
func (e *encoder) message(t *table, head int32) error {
	base, nodes := len(e.slots), len(e.nodes)
	e.slots = slices.Grow(e.slots, t.slots)[:base+t.slots]
	clear(e.slots[base:])
	for at := head; at != 0; at = e.nodes[at-1].next {
		if err := e.fields(&t.numbers, base, e.nodes[at-1].data); err != nil {
			return err
		}
	}
	e.buf = append(e.buf, t.open...)
	first := len(t.open) == 1
	for i, f := range t.fields {
		head := e.slots[base+i].head
		if head == 0 || f.implicit && f.isZero(&e.nodes[head-1]) {
			if !f.always || f.presence >= 0 && e.slots[base+f.presence].head == 0 {
				continue
			}
			head = 0
		}
		if first {
			e.buf = append(e.buf, f.opening[1:]...)
			first = false
		} else {
			e.buf = append(e.buf, f.opening...)
		}
		if err := e.field(f, head); err != nil {
			return within(step{name: f.name}, err)
		}
	}
	e.buf = append(e.buf, '}')
	e.slots = e.slots[:base]
	e.popNodes(nodes)
	return nil
}

func (e *encoder) field(f *field, head int32) error {
	switch {
	case f.isList:
		return e.list(f, head)
	case f.isMap:
		return e.mapping(f, head)
	case f.isMessage:
		return e.value(f, head)
	case head == 0:
		return e.scalar(f, &node{})
	default:
		return e.scalar(f, &e.nodes[head-1])
	}
}

func (e *encoder) list(f *field, head int32) error {
	e.buf = append(e.buf, '[')
	i := 0
	for at := head; at != 0; at = e.nodes[at-1].next {
		n := e.nodes[at-1]
		if n.packed {
			var err error
			if i, err = e.packed(f, n.data, i); err != nil {
				return within(step{index: i, kind: stepIndex}, err)
			}
			continue
		}
		if i > 0 {
			e.buf = append(e.buf, ',')
		}
		if err := e.item(f, n); err != nil {
			return within(step{index: i, kind: stepIndex}, err)
		}
		i++
	}
	e.buf = append(e.buf, ']')
	return nil
}

func (e *encoder) item(f *field, n node) error {
	if !f.isMessage {
		return e.scalar(f, &n)
	}
	// The list's links are not those of the item's parts, of which there is one.
	n.next = 0
	e.nodes = append(e.nodes, n)
	err := e.value(f, int32(len(e.nodes)))
	e.popNodes(len(e.nodes) - 1)
	return err
}

// packed writes numbers that stand in one value, and returns how many the list has by then. i is how many it has already.
func (e *encoder) packed(f *field, data []byte, i int) (int, error) {
	for ; len(data) > 0; i++ {
		n, size := consume(f.wire, data)
		if size < 0 {
			return i, errBroken
		}
		data = data[size:]
		if i > 0 {
			e.buf = append(e.buf, ',')
		}
		if err := e.scalar(f, &n); err != nil {
			return i, err
		}
	}
	return i, nil
}

// mapping writes a map, sorted by its keys as they are written. Of entries with the same key the last one counts.
func (e *encoder) mapping(f *field, head int32) error {
	base, nodes := len(e.entries), len(e.nodes)
	for at := head; at != 0; at = e.nodes[at-1].next {
		if err := e.entry(f, e.nodes[at-1].data); err != nil {
			return err
		}
	}
	sorted := e.entries[base:]
	slices.SortStableFunc(sorted, func(a, b mapEntry) int { return cmp.Compare(a.key, b.key) })
	e.buf = append(e.buf, '{')
	first := true
	for i := range sorted {
		en := e.entries[base+i]
		if base+i+1 < len(e.entries) && e.entries[base+i+1].key == en.key {
			continue
		}
		if !first {
			e.buf = append(e.buf, ',')
		}
		first = false
		err := e.text(en.key)
		if err == nil {
			e.buf = append(e.buf, ':')
			err = e.mapValue(f, en.value)
		}
		if err != nil {
			return within(step{name: en.key, kind: stepKey}, err)
		}
	}
	e.buf = append(e.buf, '}')
	e.popEntries(base)
	e.popNodes(nodes)
	return nil
}

func (e *encoder) mapValue(f *field, value int32) error {
	switch {
	case f.isMessage:
		return e.value(f, value)
	case value == 0:
		return e.scalar(f, &node{})
	default:
		return e.scalar(f, &e.nodes[value-1])
	}
}

// Numbers of the fields of a map's entries.
const (
	entryKey   = 1
	entryValue = 2
)

// entry notes an entry of a map.
func (e *encoder) entry(f *field, data []byte) error {
	key := node{}
	var value slot
	t := target{message: f.isMessage}
	for len(data) > 0 {
		num, typ, size := protowire.ConsumeTag(data)
		if size < 0 {
			return errBroken
		}
		data = data[size:]
		n, size := consume(typ, data)
		if size < 0 {
			if size = protowire.ConsumeFieldValue(num, typ, data); size < 0 {
				return errBroken
			}
		}
		data = data[size:]
		switch {
		case num == entryKey && typ == f.keyWire:
			key = n
		case num == entryValue && typ == f.wire:
			e.keep(&t, &value, n)
		}
	}
	e.entries = append(e.entries, mapEntry{keyName(f.key, &key), value.head})
	return nil
}

// keyName is a map's key as JSON has it.
func keyName(kind protoreflect.Kind, n *node) string {
	switch kind {
	case protoreflect.StringKind:
		return string(n.data)
	case protoreflect.BoolKind:
		return strconv.FormatBool(n.num != 0)
	default:
		return string(appendInteger(nil, kind, n.num))
	}
}
