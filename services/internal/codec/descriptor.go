// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package codec

import (
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
)

// form is how one value looks in JSON, where that does not follow from its proto kind.
type form int

const (
	formPlain form = iota
	formMessage
	formQuantity
	formDuration
	formTime
	formRaw
	formIntOrString
)

// field is one name in the JSON object of a message.
type field struct {
	fd   protoreflect.FieldDescriptor
	name string
	// via are the inline messages that lead from the object's message to the one that has the field, outermost first.
	via []protoreflect.FieldDescriptor
	// form is that of the value, of a list's items or of a map's values.
	form form
	// always is set for a scalar that is written even when it is zero.
	always bool

	// What the encoder needs. kind, wire and enum are those of the value, of a list's items or of a map's values.
	isList, isMap, isMessage bool
	kind, key                protoreflect.Kind
	wire, keyWire            protowire.Type
	enum                     protoreflect.EnumDescriptor
	message                  protoreflect.MessageDescriptor
	// implicit is set for a scalar that counts as not set when it is zero.
	implicit bool
	// presence is the slot of the inline message that has the field; negative where it is in none.
	presence int
	// opening is the name with a comma before it and a colon behind it.
	opening string
	// object is the table of message, once that was needed.
	object atomic.Pointer[table]
}

func newField(fd protoreflect.FieldDescriptor, via []protoreflect.FieldDescriptor, presence int) *field {
	f := &field{
		fd: fd, name: fd.JSONName(), via: via, form: formOf(fd), always: isAlways(fd),
		isList: fd.IsList(), isMap: fd.IsMap(), presence: presence, opening: `,"` + fd.JSONName() + `":`,
	}
	value := fd
	if f.isMap {
		value = fd.MapValue()
		f.key, f.keyWire = fd.MapKey().Kind(), wireType(fd.MapKey().Kind())
	}
	f.kind, f.enum, f.message = value.Kind(), value.Enum(), value.Message()
	f.wire, f.isMessage = wireType(f.kind), f.message != nil
	f.implicit = !f.isList && !f.isMap && !fd.HasPresence()
	return f
}

// table is that of the field's message.
func (f *field) table() *table {
	t := f.object.Load()
	if t == nil {
		t = tableOf(f.message)
		f.object.Store(t)
	}
	return t
}

// table is what there is to know about the JSON object of a message.
type table struct {
	// fields are in the order of declaration.
	fields []*field
	// index finds a field by its JSON name.
	index map[string]int
	// apiVersion and kind are empty unless the message is a kind.
	apiVersion, kind string
	options          *metav1.Kind

	// numbers finds the fields of an encoding. There are so many slots: of the fields, and then of the inline messages.
	numbers numbering
	slots   int
	inlines int
	// open is how the object begins: with the brace, and what a kind says about itself.
	open string
}

// tables caches the table of each descriptor. It is a cache of pure functions of immutable descriptors, so that being
// shared by the whole process has no effect but speed.
var tables sync.Map // protoreflect.MessageDescriptor → *table

func tableOf(md protoreflect.MessageDescriptor) *table {
	if t, ok := tables.Load(md); ok {
		return t.(*table) //nolint:forcetypeassert // only tables are stored
	}
	t := &table{index: map[string]int{}}
	t.slots = countFields(md)
	t.add(md, nil, &t.numbers, -1)
	if k := kindOf(md); k != nil {
		t.setKind(k, md, "")
	} else if item := listItem(md); item != nil {
		t.setKind(kindOf(item), item, "List")
	}
	t.open = "{"
	if t.kind != "" {
		t.open = `{"` + nameAPIVersion + `":` + strconv.Quote(t.apiVersion) + `,"` + nameKind + `":` + strconv.Quote(t.kind)
	}
	got, _ := tables.LoadOrStore(md, t)
	return got.(*table) //nolint:forcetypeassert // only tables are stored
}

// kindOf returns the kind option of a message, or nil.
func kindOf(md protoreflect.MessageDescriptor) *metav1.Kind {
	k, _ := proto.GetExtension(md.Options(), metav1.E_Kind).(*metav1.Kind)
	return k
}

// listItem returns the kind's message that a list response holds, which looks like a Kubernetes list: metadata and items
// of a kind. Otherwise it returns nil.
func listItem(md protoreflect.MessageDescriptor) protoreflect.MessageDescriptor {
	metadata, items := md.Fields().ByName("metadata"), md.Fields().ByName("items")
	if md.Fields().Len() != 2 || metadata == nil || items == nil || !items.IsList() || items.Message() == nil {
		return nil
	}
	if metadata.Message() == nil || metadata.Message().FullName() != "fairlead.meta.v1.ListMeta" || kindOf(items.Message()) == nil {
		return nil
	}
	return items.Message()
}

func (t *table) setKind(k *metav1.Kind, md protoreflect.MessageDescriptor, suffix string) {
	t.options = k
	t.apiVersion, t.kind = k.GetVersion(), k.GetKind()
	if g := k.GetGroup(); g != "" {
		t.apiVersion = g + "/" + t.apiVersion
	}
	if t.kind == "" {
		t.kind = string(md.Name())
	}
	t.kind += suffix
}

// countFields bounds the number of fields of md and of the messages inline in it.
func countFields(md protoreflect.MessageDescriptor) int {
	fds, n := md.Fields(), md.Fields().Len()
	for i := range fds.Len() {
		if isInline(fds.Get(i)) {
			n += countFields(fds.Get(i).Message())
		}
	}
	return n
}

// add puts the fields of md, and of the messages inline in it, into the table. A name that is there already stays, as
// the outer field hides the inner one in Go's JSON too. presence is the slot of md where it is inline, else negative.
func (t *table) add(md protoreflect.MessageDescriptor, via []protoreflect.FieldDescriptor, numbers *numbering, presence int) {
	fds := md.Fields()
	rivals := map[protoreflect.OneofDescriptor][]protowire.Number{}
	for i := range fds.Len() {
		fd := fds.Get(i)
		if isInline(fd) {
			t.inlines++
			at := newTarget(fd, t.slots-t.inlines) // the last slots are those of inline messages
			at.inline = &numbering{}
			numbers.set(fd.Number(), at)
			t.add(fd.Message(), append(slices.Clip(via), fd), at.inline, at.slot)
			continue
		}
		name := fd.JSONName()
		if _, ok := t.index[name]; ok {
			continue
		}
		t.index[name] = len(t.fields)
		numbers.set(fd.Number(), newTarget(fd, len(t.fields)))
		t.fields = append(t.fields, newField(fd, via, presence))
		if o := fd.ContainingOneof(); o != nil && !o.IsSynthetic() {
			rivals[o] = append(rivals[o], fd.Number())
		}
	}
	for _, members := range rivals {
		numbers.oppose(members)
	}
}

func isInline(fd protoreflect.FieldDescriptor) bool {
	inline, _ := proto.GetExtension(fd.Options(), metav1.E_Inline).(bool)
	return inline && fd.Message() != nil && !fd.IsList() && !fd.IsMap()
}

func isAlways(fd protoreflect.FieldDescriptor) bool {
	always, _ := proto.GetExtension(fd.Options(), metav1.E_Always).(bool)
	return always && fd.Message() == nil && !fd.IsList()
}

func formOf(fd protoreflect.FieldDescriptor) form {
	value := fd
	if fd.IsMap() {
		value = fd.MapValue()
	}
	if md := value.Message(); md != nil {
		return messageForm(md)
	}
	if value.Kind() != protoreflect.StringKind {
		return formPlain
	}
	format, _ := proto.GetExtension(fd.Options(), metav1.E_Format).(metav1.Format)
	switch format {
	case metav1.Format_FORMAT_QUANTITY, metav1.Format_FORMAT_QUANTITY_MAP:
		return formQuantity
	case metav1.Format_FORMAT_DURATION:
		return formDuration
	default:
		return formPlain
	}
}

func messageForm(md protoreflect.MessageDescriptor) form {
	switch md.FullName() {
	case "google.protobuf.Timestamp":
		return formTime
	case "fairlead.meta.v1.RawJSON":
		return formRaw
	case "fairlead.meta.v1.IntOrString":
		return formIntOrString
	default:
		return formMessage
	}
}
