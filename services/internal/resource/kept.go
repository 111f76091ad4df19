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
	all := differences(nil, nil, was, is)
	if len(all) <= maxKept {
		return all, nil
	}
	all = all[:0] // as few as there can be
	for _, f := range slices.Sorted(maps.Keys(is)) {
		all = append(all, kept{Path: []string{f}, Was: was[f], Is: is[f]})
	}
	return all, nil
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
	switch a := was.(type) {
	case map[string]any:
		if b, ok := is.(map[string]any); ok {
			return differentFields(out, path, a, b)
		}
	case []any:
		if b, ok := is.([]any); ok {
			return differentItems(out, path, a, b)
		}
	}
	if reflect.DeepEqual(was, is) {
		return out
	}
	return append(out, kept{Path: slices.Clone(path), Was: was, Is: is})
}

func differentFields(out []kept, path []string, was, is map[string]any) []kept {
	keys := slices.Collect(maps.Keys(was))
	for k := range is {
		if _, ok := was[k]; !ok {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	for _, k := range keys {
		out = differences(out, append(path, k), was[k], is[k])
	}
	return out
}

// differentItems compares lists by the names of their items, or else by their places, or else as a whole.
func differentItems(out []kept, path []string, was, is []any) []kept {
	if names, ok := commonNames(was, is); ok {
		a, b := indexOf(itemNames(was)), indexOf(itemNames(is))
		for _, name := range names {
			out = differences(out, append(path, name), itemAt(was, a, name), itemAt(is, b, name))
		}
		return out
	}
	if len(was) != len(is) {
		return append(out, kept{Path: slices.Clone(path), Was: was, Is: is})
	}
	for i := range was {
		out = differences(out, append(path, placeElement(i, len(was))), was[i], is[i])
	}
	return out
}

// commonNames returns the names of the items of two lists, those of the first before those that the second adds. The second
// result is false where names do not tell what the second list is like: it has to keep the order of the first, and to have
// what it adds at its end.
func commonNames(was, is []any) ([]string, bool) {
	a, b := itemNames(was), itemNames(is)
	if a == nil || b == nil {
		return nil, false
	}
	inA, inB := indexOf(a), indexOf(b)
	all, next := slices.Clone(a), 0
	for _, name := range a {
		if i, ok := inB[name]; ok {
			if i != next {
				return nil, false
			}
			next++
		}
	}
	for _, name := range b {
		if _, ok := inA[name]; !ok {
			all = append(all, name)
		}
	}
	return all, true
}

func indexOf(names []string) map[string]int {
	out := make(map[string]int, len(names))
	for i, name := range names {
		out[name] = i
	}
	return out
}

func itemAt(list []any, index map[string]int, name string) any {
	if i, ok := index[name]; ok {
		return list[i]
	}
	return nil
}

// nameElement begins the path elements of items that are found by name.
const nameElement = "name="

func placeElement(i, length int) string { return strconv.Itoa(i) + "/" + strconv.Itoa(length) }

// itemNames returns the path elements of a list whose items are objects with names of their own; nil for other lists.
func itemNames(list []any) []string {
	out := make([]string, len(list))
	seen := make(map[string]struct{}, len(list))
	for i, item := range list {
		object, _ := item.(map[string]any)
		name, _ := object["name"].(string)
		if _, twice := seen[name]; twice || name == "" {
			return nil
		}
		seen[name] = struct{}{}
		out[i] = nameElement + name
	}
	return out
}

// place is a place in a document at which values are given back, and those within it.
type place struct {
	values []kept
	// elements are the keys of within, in the order in which they came.
	elements []string
	within   map[string]*place
}

// placesOf orders what is kept by place, so that a document is gone through once.
func placesOf(all []kept) *place {
	root := &place{}
	for _, k := range all {
		p := root
		for _, element := range k.Path {
			next := p.within[element]
			if next == nil {
				next = &place{}
				if p.within == nil {
					p.within = map[string]*place{}
				}
				p.within[element] = next
				p.elements = append(p.elements, element)
			}
			p = next
		}
		p.values = append(p.values, k)
	}
	return root
}

// put gives a value, and what it holds, their values again, and returns the value as it is then. Where somebody has put
// another value in the place of the whole, what it held is not given back.
func (p *place) put(v any) any {
	for _, k := range p.values {
		if reflect.DeepEqual(v, k.Was) {
			v = k.Is
		}
	}
	switch v := v.(type) {
	case map[string]any:
		for _, element := range p.elements {
			if next := p.within[element].put(v[element]); next == nil {
				delete(v, element)
			} else {
				v[element] = next
			}
		}
	case []any:
		if len(p.elements) > 0 {
			return p.putItems(v)
		}
	}
	return v
}

// putItems is put for the items of a list.
func (p *place) putItems(list []any) any {
	index, length := indexOf(itemNames(list)), len(list)
	gone := map[int]struct{}{}
	for _, element := range p.elements {
		i, there := index[element]
		named := strings.HasPrefix(element, nameElement)
		if !named {
			i, there = placeIn(element, length)
		}
		switch {
		case !there:
			if next := p.within[element].put(nil); named && next != nil {
				list = append(list, next)
			}
			continue
		case named:
			delete(gone, i)
		}
		if next := p.within[element].put(list[i]); next != nil {
			list[i] = next
		} else if named {
			gone[i] = struct{}{}
		}
	}
	if len(gone) == 0 {
		return list
	}
	left := make([]any, 0, len(list))
	for i, item := range list {
		if _, ok := gone[i]; !ok {
			left = append(left, item)
		}
	}
	return left
}

// placeIn reads the path element of an item without a name, of a list that still has its length.
func placeIn(element string, length int) (int, bool) {
	at, of, _ := strings.Cut(element, "/")
	i, err := strconv.Atoi(at)
	return i, err == nil && of == strconv.Itoa(length) && i >= 0 && i < length
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
	data, err := json.Marshal(placesOf(all).put(document))
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
