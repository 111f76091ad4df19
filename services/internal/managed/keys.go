// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package managed

import (
	"google.golang.org/protobuf/proto"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/schema"
)

// completeKeys gives items of lists the keys that they leave open, if these are filled in before obj is stored: a container
// without a name gets one, and is to be the same container in the document and in the object.
func (t *Tracker) completeKeys(content map[string]any, obj Object) {
	parser, ok := t.converter.types.parsers[t.gvk]
	if !ok || !openKeys(parser.Schema, parser.TypeRef, content) {
		return
	}
	completed := proto.CloneOf(obj)
	if t.complete != nil {
		t.complete(completed)
	}
	if from, err := newObject(completed); err == nil {
		fillKeys(parser.Schema, parser.TypeRef, content, from.Object)
	}
}

// completeNoted is completeKeys for a document of which there is no message. One that is not understood stays as it is.
func (t *Tracker) completeNoted(content map[string]any) {
	obj, ok := t.kind.New().(Object)
	if !ok {
		return
	}
	if (&object{Unstructured: unstructured.Unstructured{Object: content}}).into(obj) == nil {
		t.completeKeys(content, obj)
	}
}

// openKeys tells whether an item of a list in a value has no key.
func openKeys(s *schema.Schema, ref schema.TypeRef, value any) bool {
	switch value := value.(type) {
	case map[string]any:
		atom, ok := s.Resolve(ref)
		if !ok || atom.Map == nil {
			return false
		}
		for name, v := range value {
			if !isScalar(v) && openKeys(s, typeOf(atom.Map, name), v) {
				return true
			}
		}
	case []any:
		atom, ok := s.Resolve(ref)
		if !ok || atom.List == nil || atom.List.ElementRelationship != schema.Associative || len(atom.List.Keys) == 0 {
			return false // what is replaced as a whole needs no keys
		}
		for _, v := range value {
			item, ok := v.(map[string]any)
			if !ok {
				return false
			}
			for _, key := range atom.List.Keys {
				if isOpen(item, key) {
					return true
				}
			}
			if openKeys(s, atom.List.ElementType, item) {
				return true
			}
		}
	}
	return false
}

func isScalar(v any) bool {
	switch v.(type) {
	case map[string]any, []any:
		return false
	}
	return true
}

// isOpen tells whether an item lacks a key. Names that are required are written even where they are empty.
func isOpen(item map[string]any, key string) bool {
	v, ok := item[key]
	return !ok || v == ""
}

func typeOf(m *schema.Map, name string) schema.TypeRef {
	if field, ok := m.FindField(name); ok {
		return field.Type
	}
	return m.ElementType
}

// emptyKeys gives items of lists the keys that are empty, which are not written: an item with an empty key is still an item.
func emptyKeys(s *schema.Schema, ref schema.TypeRef, value any) {
	if isScalar(value) {
		return
	}
	atom, ok := s.Resolve(ref)
	if !ok {
		return
	}
	switch value := value.(type) {
	case map[string]any:
		if atom.Map == nil {
			return
		}
		for name, v := range value {
			emptyKeys(s, typeOf(atom.Map, name), v)
		}
	case []any:
		if atom.List == nil || atom.List.ElementRelationship != schema.Associative || len(atom.List.Keys) == 0 {
			return
		}
		for _, v := range value {
			emptyKey(s, atom.List, v)
			emptyKeys(s, atom.List.ElementType, v)
		}
	}
}

func emptyKey(s *schema.Schema, list *schema.List, value any) {
	item, ok := value.(map[string]any)
	element, okMap := s.Resolve(list.ElementType)
	if !ok || !okMap || element.Map == nil {
		return
	}
	for _, key := range list.Keys {
		if _, has := item[key]; has {
			continue
		}
		field, ok := element.Map.FindField(key)
		if !ok || field.Default != nil { // which stands for what is not written
			continue
		}
		if of, ok := s.Resolve(field.Type); ok && of.Scalar != nil {
			if *of.Scalar == schema.Numeric {
				item[key] = int64(0)
			} else {
				item[key] = ""
			}
		}
	}
}

// fillKeys fills in the keys that items of lists in a value lack, from a value of the same form.
func fillKeys(s *schema.Schema, ref schema.TypeRef, into, from any) {
	atom, ok := s.Resolve(ref)
	if !ok {
		return
	}
	switch into := into.(type) {
	case map[string]any:
		from, ok := from.(map[string]any)
		if !ok || atom.Map == nil {
			return
		}
		for name, value := range into {
			fillKeys(s, typeOf(atom.Map, name), value, from[name])
		}
	case []any:
		from, ok := from.([]any)
		if !ok || atom.List == nil || atom.List.ElementRelationship != schema.Associative || len(from) != len(into) {
			return
		}
		for i, item := range into {
			fillItem(atom.List.Keys, item, from[i])
			fillKeys(s, atom.List.ElementType, item, from[i])
		}
	}
}

func fillItem(keys []string, into, from any) {
	item, ok := into.(map[string]any)
	filled, okFrom := from.(map[string]any)
	if !ok || !okFrom {
		return
	}
	for _, key := range keys {
		_, has := item[key]
		value, fills := filled[key]
		if fills && (!has || isOpen(item, key)) {
			item[key] = value
		}
	}
}
