// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/codec"
	"fairlead.dev/services/internal/store"
)

// maxKept bounds how many differences an annotation may hold.
const maxKept = 10_000

// kept is one place at which an object of one version says what another version cannot. It is given back only where the
// place still holds what the other version made of it: elsewhere somebody has decided anew.
type kept struct {
	// Path leads to the place: keys of objects, `name=NAME` for an item of a list whose items all have names, or `INDEX/LENGTH`
	// for one of another list.
	Path []string `json:"path"`
	// Was is what the other version made of the value; absent where it dropped it.
	Was any `json:"was,omitempty"`
	// Is is the value; absent where there is none.
	Is any `json:"is,omitempty"`
}

// leftover returns what an object says beyond what came of it by way of another version. only is the field that is looked
// at; empty means all but metadata and status.
func leftover(has, said store.Object, only protoreflect.Name) ([]kept, error) {
	is, err := documentOf(has, only)
	if err != nil {
		return nil, err
	}
	was, err := documentOf(said, only)
	if err != nil {
		return nil, err
	}
	return differences(nil, nil, was, is), nil
}

// documentOf returns an object's fields as JSON.
func documentOf(obj store.Object, only protoreflect.Name) (map[string]any, error) {
	part := shallow(obj)
	fields := part.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if f.Name() == metadataField || only == "" && f.Name() == subresourceStatus || only != "" && f.Name() != only {
			part.ProtoReflect().Clear(f)
		}
	}
	return toJSON(part)
}

// toJSON returns an object as JSON, without apiVersion and kind.
func toJSON(obj store.Object) (map[string]any, error) {
	data, err := codec.Marshal(obj)
	if err != nil {
		return nil, err
	}
	out := map[string]any{}
	if err := decodeNumbers(data, &out); err != nil {
		return nil, apierror.Internal(err)
	}
	delete(out, "apiVersion")
	delete(out, "kind")
	return out, nil
}

// decodeNumbers reads JSON and keeps numbers as they are written.
func decodeNumbers(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	return d.Decode(into)
}

// differences appends to out where is differs from was. nil stands for what is absent.
func differences(out []kept, path []string, was, is any) []kept {
	if reflect.DeepEqual(was, is) {
		return out
	}
	a, b := children(was), children(is)
	if a == nil || b == nil || isList(was) != isList(is) {
		return append(out, kept{Path: slices.Clone(path), Was: was, Is: is})
	}
	if isList(was) && !sameKeys(was, is) {
		return append(out, kept{Path: slices.Clone(path), Was: was, Is: is})
	}
	keys := slices.Collect(maps.Keys(a))
	for k := range b {
		if _, ok := a[k]; !ok {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	for _, k := range keys {
		out = differences(out, append(path, k), a[k], b[k])
	}
	return out
}

func isList(v any) bool {
	_, ok := v.([]any)
	return ok
}

// sameKeys tells whether two lists are keyed alike, so that they can be compared item by item.
func sameKeys(a, b any) bool {
	x, y := a.([]any), b.([]any) //nolint:forcetypeassert // callers know that they are
	return itemNames(x) != nil && itemNames(y) != nil || len(x) == len(y)
}

// children returns what an object or a list holds, by path element; nil for other values.
func children(v any) map[string]any {
	switch v := v.(type) {
	case map[string]any:
		return v
	case []any:
		out := make(map[string]any, len(v))
		names := itemNames(v)
		for i, item := range v {
			if names != nil {
				out[names[i]] = item
			} else {
				out[strconv.Itoa(i)+"/"+strconv.Itoa(len(v))] = item
			}
		}
		return out
	default:
		return nil
	}
}

// itemNames returns the path elements of a list whose items are objects with names of their own; nil for other lists.
func itemNames(list []any) []string {
	out := make([]string, len(list))
	for i, item := range list {
		object, _ := item.(map[string]any)
		name, _ := object["name"].(string)
		out[i] = "name=" + name
		if name == "" || slices.Contains(out[:i], out[i]) {
			return nil
		}
	}
	return out
}

// put gives a place in v its value again, and returns v as it is then.
func put(v any, k kept) any {
	if len(k.Path) == 0 {
		if reflect.DeepEqual(v, k.Was) {
			return k.Is
		}
		return v
	}
	rest := kept{Path: k.Path[1:], Was: k.Was, Is: k.Is}
	switch v := v.(type) {
	case map[string]any:
		if next := put(v[k.Path[0]], rest); next == nil {
			delete(v, k.Path[0])
		} else {
			v[k.Path[0]] = next
		}
		return v
	case []any:
		return putItem(v, k.Path[0], rest)
	default:
		return v // somebody has put another value in the place of the whole
	}
}

// putItem is put for an item of a list.
func putItem(list []any, element string, rest kept) any {
	if strings.HasPrefix(element, "name=") {
		i := slices.Index(itemNames(list), element)
		switch {
		case i >= 0:
			if next := put(list[i], rest); next != nil {
				list[i] = next
				return list
			}
			return slices.Delete(list, i, i+1)
		case len(rest.Path) == 0 && rest.Was == nil && rest.Is != nil:
			return append(list, rest.Is)
		}
		return list
	}
	index, length, _ := strings.Cut(element, "/")
	i, err := strconv.Atoi(index)
	if err != nil || length != strconv.Itoa(len(list)) || i < 0 || i >= len(list) {
		return list
	}
	if next := put(list[i], rest); next != nil {
		list[i] = next
	}
	return list
}

// restore returns obj with what was kept. obj itself stays as it is.
func (s *server) restore(obj store.Object, all []kept) (store.Object, error) {
	if len(all) == 0 {
		return obj, nil
	}
	document, err := toJSON(obj)
	if err != nil {
		return nil, err
	}
	for _, k := range all {
		put(document, k)
	}
	data, err := json.Marshal(document)
	if err != nil {
		return nil, apierror.Internal(err)
	}
	out := s.empty()
	if _, err := codec.Unmarshal(data, out, codec.Options{Strict: true}); err != nil {
		return nil, err
	}
	s.copyMetadata(out, obj)
	return out, nil
}

// readKept reads an annotation, which a caller may have changed.
func readKept(text string) ([]kept, error) {
	if err := checkNesting([]byte(text)); err != nil {
		return nil, err
	}
	var all []kept
	if err := decodeNumbers([]byte(text), &all); err != nil {
		return nil, errors.New("it is not what a conversion keeps")
	}
	if len(all) > maxKept {
		return nil, fmt.Errorf("it keeps more than %d places", maxKept)
	}
	for _, k := range all {
		if len(k.Path) == 0 || k.Path[0] == metadataField || k.Path[0] == subresourceStatus {
			return nil, errors.New("it keeps what is not spec")
		}
	}
	return all, nil
}

// note keeps differences in an annotation of obj, whose metadata is obj's own; none removes the annotation.
func note(obj store.Object, key string, all []kept) error {
	if len(all) == 0 {
		annotate(obj.GetMetadata(), key, "")
		return nil
	}
	data, err := json.Marshal(all)
	if err != nil {
		return apierror.Internal(err)
	}
	annotate(obj.GetMetadata(), key, string(data))
	return nil
}

// shallow returns an object with the same fields, which are shared.
func shallow(obj store.Object) store.Object {
	out := obj.ProtoReflect().New()
	obj.ProtoReflect().Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		out.Set(f, v)
		return true
	})
	return out.Interface().(store.Object) //nolint:forcetypeassert // of obj's type
}

// copyMetadata gives obj a copy of another's metadata, which may be of another form.
func (s *server) copyMetadata(obj, from store.Object) {
	s.ensureMetadata(obj)
	if m := from.GetMetadata(); m != nil {
		obj.ProtoReflect().Set(s.metadata, protoreflect.ValueOfMessage(proto.CloneOf(m).ProtoReflect()))
	}
}
