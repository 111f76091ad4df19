// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package managed

import (
	"google.golang.org/protobuf/proto"
	"sigs.k8s.io/structured-merge-diff/v6/schema"
)

// completeKeys gives items of lists the keys that they leave open, if these are filled in before obj is stored: a container
// without a name gets one, and is to be the same container in the document and in the object. It tells whether it found any.
func (t *Tracker) completeKeys(o *object, obj Object) bool {
	parser, ok := t.converter.types.parsers[t.gvk]
	if !ok {
		return false
	}
	completed := proto.CloneOf(obj)
	t.complete(completed)
	from, err := newObject(completed)
	if err != nil {
		return false
	}
	return fillKeys(parser.Schema, parser.TypeRef, o.Object, from.Object)
}

// fillKeys fills in the keys that items of lists in a value lack, from a value of the same form.
func fillKeys(s *schema.Schema, ref schema.TypeRef, into, from any) bool {
	atom, ok := s.Resolve(ref)
	if !ok {
		return false
	}
	found := false
	switch into := into.(type) {
	case map[string]any:
		from, ok := from.(map[string]any)
		if !ok || atom.Map == nil {
			return false
		}
		for name, value := range into {
			element := atom.Map.ElementType
			if field, ok := atom.Map.FindField(name); ok {
				element = field.Type
			}
			found = fillKeys(s, element, value, from[name]) || found
		}
	case []any:
		from, ok := from.([]any)
		if !ok || atom.List == nil || len(from) != len(into) {
			return false
		}
		for i, item := range into {
			if atom.List.ElementRelationship == schema.Associative {
				found = fillItem(atom.List.Keys, item, from[i]) || found
			}
			found = fillKeys(s, atom.List.ElementType, item, from[i]) || found
		}
	}
	return found
}

func fillItem(keys []string, into, from any) bool {
	item, ok := into.(map[string]any)
	if !ok {
		return false
	}
	filled, ok := from.(map[string]any)
	if !ok {
		return false
	}
	found := false
	for _, key := range keys {
		if _, has := item[key]; has {
			continue
		}
		if value, has := filled[key]; has {
			item[key], found = value, true
		}
	}
	return found
}
