// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package codec

import (
	"errors"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Messages are written as JSON from their protobuf encoding. Reading that is many times faster than asking a message for
// its fields by reflection; and what comes from the store or over the wire need not become a message before.

// denseNumbers bounds the field numbers that are looked up in a slice.
const denseNumbers = 64

var errBroken = errors.New("it is no valid protobuf")

// numbering finds the fields of a message by their numbers.
type numbering struct {
	dense  []target
	sparse map[protowire.Number]target
}

// target is where a field of the encoding goes.
type target struct {
	known bool
	// repeated is set for lists and maps, message for messages, of which all parts count, and packable for lists of numbers.
	repeated, message, packable bool
	wire                        protowire.Type
	// slot is that of the field, or of an inline message.
	slot int
	// inline is the numbering of an inline message.
	inline *numbering
	// rivals are the slots of the fields that cannot be set together with this one.
	rivals []int
}

func (n *numbering) set(num protowire.Number, t target) {
	t.known = true
	if num >= denseNumbers {
		if n.sparse == nil {
			n.sparse = map[protowire.Number]target{}
		}
		n.sparse[num] = t
		return
	}
	for len(n.dense) <= int(num) {
		n.dense = append(n.dense, target{})
	}
	n.dense[num] = t
}

func (n *numbering) find(num protowire.Number) *target {
	if int(num) < len(n.dense) {
		return &n.dense[num]
	}
	t := n.sparse[num]
	return &t
}

// oppose makes rivals of fields.
func (n *numbering) oppose(members []protowire.Number) {
	for _, num := range members {
		t := *n.find(num)
		for _, other := range members {
			if other != num {
				t.rivals = append(t.rivals, n.find(other).slot)
			}
		}
		n.set(num, t)
	}
}

// newTarget tells where a field goes, but for its rivals.
func newTarget(fd protoreflect.FieldDescriptor, slot int) target {
	t := target{slot: slot, repeated: fd.IsList() || fd.IsMap(), wire: wireType(fd.Kind())}
	t.message = fd.Message() != nil && !t.repeated
	t.packable = fd.IsList() && t.wire != protowire.BytesType
	return t
}

func wireType(k protoreflect.Kind) protowire.Type {
	switch k {
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind, protoreflect.FloatKind:
		return protowire.Fixed32Type
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind, protoreflect.DoubleKind:
		return protowire.Fixed64Type
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.MessageKind:
		return protowire.BytesType
	case protoreflect.GroupKind:
		return protowire.StartGroupType
	default:
		return protowire.VarintType
	}
}

// node is a value of a field, or a part of it; several of one field are linked in their order.
type node struct {
	data   []byte
	num    uint64
	packed bool
	// next is the place of the next node plus 1, 0 at the end.
	next int32
}

// slot is the values that an encoding has for one field: the places of the first and the last node, plus 1.
type slot struct{ head, tail int32 }

// fields notes what one part of a message's encoding has, in the slots that begin at base.
func (e *encoder) fields(n *numbering, base int, data []byte) error {
	for len(data) > 0 {
		num, typ, size := consumeTag(data)
		if size < 0 {
			return errBroken
		}
		data = data[size:]
		t := n.find(num)
		packed := t.packable && typ == protowire.BytesType
		if !t.known || typ != t.wire && !packed || typ == protowire.StartGroupType {
			if size = protowire.ConsumeFieldValue(num, typ, data); size < 0 {
				return errBroken
			}
			data = data[size:]
			continue
		}
		value, size := consume(typ, data)
		if size < 0 {
			return errBroken
		}
		data = data[size:]
		value.packed = packed
		for _, r := range t.rivals {
			e.slots[base+r] = slot{}
		}
		if t.inline != nil {
			e.slots[base+t.slot].head = 1 // it is there
			if err := e.fields(t.inline, base, value.data); err != nil {
				return err
			}
			continue
		}
		e.keep(t, &e.slots[base+t.slot], value)
	}
	return nil
}

// keep puts a value into a slot: behind those that are there where all count, else in their place.
func (e *encoder) keep(t *target, s *slot, value node) {
	switch {
	case value.packed && len(value.data) == 0:
	case s.head == 0:
		e.nodes = append(e.nodes, value)
		s.head = int32(len(e.nodes))
		s.tail = s.head
	case t.repeated || t.message:
		e.nodes = append(e.nodes, value)
		e.nodes[s.tail-1].next = int32(len(e.nodes))
		s.tail = int32(len(e.nodes))
	default:
		e.nodes[s.head-1] = value
	}
}

// consumeTag is protowire's, sooner for the small numbers that nearly all fields have.
func consumeTag(data []byte) (protowire.Number, protowire.Type, int) {
	if b := data[0]; b < 0x80 && b >= 8 {
		return protowire.Number(b >> 3), protowire.Type(b & 7), 1 //nolint:mnd // of the encoding
	}
	return protowire.ConsumeTag(data)
}

// consume reads the value of a field. The size is negative where there is none.
func consume(typ protowire.Type, data []byte) (value node, size int) {
	switch typ {
	case protowire.VarintType:
		value.num, size = protowire.ConsumeVarint(data)
	case protowire.Fixed32Type:
		var v uint32
		v, size = protowire.ConsumeFixed32(data)
		value.num = uint64(v)
	case protowire.Fixed64Type:
		value.num, size = protowire.ConsumeFixed64(data)
	case protowire.BytesType:
		if len(data) > 0 && data[0] < 0x80 { // a length of one byte
			if size = 1 + int(data[0]); size > len(data) {
				return value, -1
			}
			value.data = data[1:size]
			return value, size
		}
		value.data, size = protowire.ConsumeBytes(data)
	default:
		size = -1
	}
	return value, size
}

// each calls fn for the fields of a message that is not written as an object, in all of its parts.
func (e *encoder) each(at int32, fn func(num protowire.Number, typ protowire.Type, value node)) error {
	for ; at != 0; at = e.nodes[at-1].next {
		for data := e.nodes[at-1].data; len(data) > 0; {
			num, typ, size := protowire.ConsumeTag(data)
			if size < 0 {
				return errBroken
			}
			data = data[size:]
			value, size := consume(typ, data)
			if size < 0 {
				if size = protowire.ConsumeFieldValue(num, typ, data); size < 0 {
					return errBroken
				}
			} else {
				fn(num, typ, value)
			}
			data = data[size:]
		}
	}
	return nil
}
