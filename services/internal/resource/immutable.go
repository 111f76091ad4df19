// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/internal/apierror"
)

// immutables are the fields of a message, and of those below it, that cannot change.
type immutables struct {
	fields []protoreflect.FieldDescriptor // cannot change themselves
	below  []immutablesBelow              // have such fields below
}

type immutablesBelow struct {
	field protoreflect.FieldDescriptor
	keys  []protoreflect.FieldDescriptor // tell items of a list apart; without them their places do
	in    *immutables
}

// immutablesOf returns the immutable fields of a message type, nil where it has none.
func immutablesOf(d protoreflect.MessageDescriptor) *immutables {
	return collectImmutables(d, map[protoreflect.FullName]bool{})
}

// collectImmutables does not follow a type into itself: a field that cannot change, at any depth of nesting, is not meant.
func collectImmutables(d protoreflect.MessageDescriptor, above map[protoreflect.FullName]bool) *immutables {
	if above[d.FullName()] {
		return nil
	}
	above[d.FullName()] = true
	defer delete(above, d.FullName())
	out := &immutables{}
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		if is, ok := proto.GetExtension(f.Options(), metav1.E_Immutable).(bool); ok && is {
			out.fields = append(out.fields, f)
			continue
		}
		item := f.Message()
		if f.IsMap() {
			item = f.MapValue().Message()
		}
		if item == nil {
			continue
		}
		if in := collectImmutables(item, above); in != nil {
			out.below = append(out.below, immutablesBelow{f, listKeys(f, item), in})
		}
	}
	if len(out.fields) == 0 && len(out.below) == 0 {
		return nil
	}
	return out
}

func listKeys(f protoreflect.FieldDescriptor, item protoreflect.MessageDescriptor) []protoreflect.FieldDescriptor {
	names, _ := proto.GetExtension(f.Options(), metav1.E_ListMapKeys).([]string)
	var keys []protoreflect.FieldDescriptor
	for _, name := range names {
		key := item.Fields().ByName(protoreflect.Name(name))
		if key == nil {
			key = item.Fields().ByJSONName(name)
		}
		if key != nil {
			keys = append(keys, key)
		}
	}
	return keys
}

// changed returns a fault for each immutable field in which a message differs from the older one.
func (im *immutables) changed(obj, old protoreflect.Message, path string) []apierror.Cause {
	if im == nil {
		return nil
	}
	var causes []apierror.Cause
	for _, f := range im.fields {
		if obj.Has(f) != old.Has(f) || !obj.Get(f).Equal(old.Get(f)) {
			causes = append(causes, apierror.Invalid(join(path, f), "Invalid value: "+valueText(f, obj.Get(f))+": field is immutable"))
		}
	}
	for _, b := range im.below {
		causes = append(causes, b.changed(obj, old, join(path, b.field))...)
	}
	return causes
}

func (b immutablesBelow) changed(obj, old protoreflect.Message, path string) []apierror.Cause {
	var causes []apierror.Cause
	switch {
	case b.field.IsMap():
		news, olds := obj.Get(b.field).Map(), old.Get(b.field).Map()
		news.Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
			if olds.Has(k) {
				causes = append(causes, b.in.changed(v.Message(), olds.Get(k).Message(), path+"["+k.String()+"]")...)
			}
			return true
		})
	case b.field.IsList():
		news, olds := obj.Get(b.field).List(), old.Get(b.field).List()
		for i := range news.Len() {
			if before := b.counterpart(news.Get(i).Message(), i, olds); before != nil {
				causes = append(causes, b.in.changed(news.Get(i).Message(), before, fmt.Sprintf("%s[%d]", path, i))...)
			}
		}
	case obj.Has(b.field) || old.Has(b.field):
		causes = b.in.changed(obj.Get(b.field).Message(), old.Get(b.field).Message(), path)
	}
	return causes
}

// counterpart returns the older state of a list's item, nil if the item is new.
func (b immutablesBelow) counterpart(item protoreflect.Message, i int, olds protoreflect.List) protoreflect.Message {
	if len(b.keys) == 0 {
		if i < olds.Len() {
			return olds.Get(i).Message()
		}
		return nil
	}
	for j := range olds.Len() {
		old, same := olds.Get(j).Message(), true
		for _, key := range b.keys {
			same = same && item.Get(key).Equal(old.Get(key))
		}
		if same {
			return old
		}
	}
	return nil
}

func join(path string, f protoreflect.FieldDescriptor) string {
	if is, ok := proto.GetExtension(f.Options(), metav1.E_Inline).(bool); ok && is {
		return path
	}
	return strings.TrimPrefix(path+"."+f.JSONName(), ".")
}

func valueText(f protoreflect.FieldDescriptor, v protoreflect.Value) string {
	switch {
	case f.IsList():
		return "array"
	case f.IsMap(), f.Message() != nil:
		return "object"
	case f.Kind() == protoreflect.StringKind:
		return fmt.Sprintf("%q", v.String())
	default:
		return v.String()
	}
}
