// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"fairlead.dev/services/tools/protoname"
)

// message is one proto message.
type message struct {
	name   string
	fields []field
	// atomic tells that the message is replaced as a whole when it is applied.
	atomic bool
}

// field is one field of a message.
type field struct {
	// name is the proto name, in snake case.
	name string
	// json is the name in JSON.
	json string
	// number is the field's number.
	number int
	// kind is the proto type, such as `int32` or `map<string, string>`.
	kind string
	// label is empty, `optional` or `repeated`.
	label string
	// format is the value of the format option, empty for none.
	format string
	// keys are the JSON names of the fields that are the key of the list's items.
	keys []string
	// merge is the value of the merge option, empty for none.
	merge string
	// always tells that Kubernetes writes the field even when it is zero.
	always bool
}

// protoString is the proto type of strings, and of what Kubernetes writes as one.
const protoString = "string"

// Values of the format option.
const (
	formatQuantity    = "FORMAT_QUANTITY"
	formatQuantityMap = "FORMAT_QUANTITY_MAP"
	formatDuration    = "FORMAT_DURATION"
)

// Values of the merge option.
const (
	mergeSet    = "MERGE_SET"
	mergeAtomic = "MERGE_ATOMIC"
)

// inlineFactor spreads the numbers of an inlined struct's fields: parent*inlineFactor + child.
const inlineFactor = 100

// Numbers that protobuf keeps for itself.
const (
	firstReservedNumber = 19000
	lastReservedNumber  = 19999
)

// known maps the Go types that are not structs of the package itself to their proto types.
var known = map[string]struct{ kind, format string }{
	"k8s.io/apimachinery/pkg/apis/meta/v1.Time":           {kind: "google.protobuf.Timestamp"},
	"k8s.io/apimachinery/pkg/apis/meta/v1.Duration":       {kind: protoString, format: formatDuration},
	"k8s.io/apimachinery/pkg/apis/meta/v1.ObjectMeta":     {kind: "fairlead.meta.v1.ObjectMeta"},
	"k8s.io/apimachinery/pkg/apis/meta/v1.OwnerReference": {kind: "fairlead.meta.v1.OwnerReference"},
	"k8s.io/apimachinery/pkg/apis/meta/v1.LabelSelector":  {kind: "fairlead.meta.v1.LabelSelector"},
	"k8s.io/apimachinery/pkg/api/resource.Quantity":       {kind: protoString, format: formatQuantity},
	"k8s.io/apimachinery/pkg/util/intstr.IntOrString":     {kind: "fairlead.meta.v1.IntOrString"},
}

// collector walks Go types and gathers the messages they need.
type collector struct {
	markers

	seen map[reflect.Type]*message
	pkg  string
}

// collect returns the messages for the given structs and all they reach, sorted by name.
func collect(roots []reflect.Type, found markers) ([]message, error) {
	c := collector{markers: found, seen: map[reflect.Type]*message{}}
	for _, root := range roots {
		c.pkg = root.PkgPath()
		if err := c.visit(root); err != nil {
			return nil, err
		}
	}
	messages := make([]message, 0, len(c.seen))
	for _, m := range c.seen {
		messages = append(messages, *m)
	}
	slices.SortFunc(messages, func(a, b message) int { return strings.Compare(a.name, b.name) })
	return messages, nil
}

func (c *collector) visit(t reflect.Type) error {
	if c.seen[t] != nil {
		return nil
	}
	m := &message{name: t.Name(), atomic: c.atomic[t.Name()]}
	c.seen[t] = m
	fields, err := c.fields(t)
	if err != nil {
		return fmt.Errorf("%s: %w", t.Name(), err)
	}
	slices.SortFunc(fields, func(a, b field) int { return a.number - b.number })
	m.fields = fields
	return checkFields(*m)
}

// fields returns the fields of a struct, those of inlined structs among them.
func (c *collector) fields(t reflect.Type) ([]field, error) {
	var fields []field
	for f := range t.Fields() {
		jsonName, jsonOptions, _ := strings.Cut(f.Tag.Get("json"), ",")
		if jsonName == "-" || !f.IsExported() && !f.Anonymous {
			continue
		}
		number, err := tagNumber(f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		if f.Anonymous && jsonName == "" {
			inlined, err := c.inlined(f.Type, number)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", f.Name, err)
			}
			fields = append(fields, inlined...)
			continue
		}
		out := field{name: protoname.Snake(jsonName), json: jsonName, number: number}
		if err := c.setType(&out, f.Type); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		out.always = !strings.Contains(jsonOptions, "omit") && isPlainScalar(f.Type)
		if out.label == "repeated" {
			out.keys = c.keys[t.Name()+"."+f.Name]
		}
		out.merge = c.merge[t.Name()+"."+f.Name]
		fields = append(fields, out)
	}
	return fields, nil
}

// inlined returns the fields of a struct that stands in its parent, which gives it a number.
func (c *collector) inlined(t reflect.Type, number int) ([]field, error) {
	fields, err := c.fields(t)
	if err != nil {
		return nil, err
	}
	for i, f := range fields {
		if f.number >= inlineFactor {
			return nil, fmt.Errorf("%s has number %d, more than an inlined field can have", f.name, f.number)
		}
		fields[i].number = number*inlineFactor + f.number
	}
	return fields, nil
}

// setType gives a field its proto type.
func (c *collector) setType(f *field, t reflect.Type) error {
	switch t.Kind() {
	case reflect.Pointer:
		if err := c.setType(f, t.Elem()); err != nil {
			return err
		}
		if f.label != "" || strings.HasPrefix(f.kind, "map<") {
			return fmt.Errorf("no proto type for %s", t)
		}
		if isScalar(f.kind) {
			f.label = "optional"
		}
		return nil
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			f.kind = "bytes"
			return nil
		}
		if err := c.setType(f, t.Elem()); err != nil {
			return err
		}
		if f.label != "" || strings.HasPrefix(f.kind, "map<") {
			return fmt.Errorf("no proto type for %s", t)
		}
		f.label = "repeated"
		return nil
	case reflect.Map:
		return c.setMap(f, t)
	case reflect.Struct:
		return c.setStruct(f, t)
	default:
		kind, ok := scalars[t.Kind()]
		if !ok {
			return fmt.Errorf("no proto type for %s", t)
		}
		f.kind = kind
		return nil
	}
}

func (c *collector) setMap(f *field, t reflect.Type) error {
	var value field
	if err := c.setType(&value, t.Elem()); err != nil {
		return err
	}
	if t.Key().Kind() != reflect.String || value.label != "" || strings.HasPrefix(value.kind, "map<") {
		return fmt.Errorf("no proto type for %s", t)
	}
	f.kind = "map<string, " + value.kind + ">"
	switch value.format {
	case "":
	case formatQuantity:
		f.format = formatQuantityMap
	default:
		return fmt.Errorf("no proto type for %s", t)
	}
	return nil
}

func (c *collector) setStruct(f *field, t reflect.Type) error {
	if k, ok := known[t.PkgPath()+"."+t.Name()]; ok {
		f.kind, f.format = k.kind, k.format
		return nil
	}
	if t.PkgPath() != c.pkg {
		return fmt.Errorf("no proto type for %s", t)
	}
	f.kind = t.Name()
	return c.visit(t)
}

// scalars maps kinds of Go types to proto types. Named string types, which Kubernetes uses for enums, are strings.
var scalars = map[reflect.Kind]string{
	reflect.String:  protoString,
	reflect.Bool:    "bool",
	reflect.Int32:   "int32",
	reflect.Int64:   "int64",
	reflect.Float64: "double",
}

func isPlainScalar(t reflect.Type) bool {
	_, ok := scalars[t.Kind()]
	return ok
}

func isScalar(kind string) bool {
	switch kind {
	case protoString, "bool", "int32", "int64", "double", "bytes":
		return true
	}
	return false
}

// tagNumber returns the number in a field's protobuf tag, such as `bytes,3,opt,name=value`.
func tagNumber(f reflect.StructField) (int, error) {
	parts := strings.Split(f.Tag.Get("protobuf"), ",")
	if len(parts) < 2 {
		return 0, errors.New("no protobuf tag")
	}
	number, err := strconv.Atoi(parts[1])
	if err != nil || number <= 0 {
		return 0, fmt.Errorf("no number in protobuf tag %q", f.Tag.Get("protobuf"))
	}
	return number, nil
}

// checkFields reports fields of a message that get in each other's way.
func checkFields(m message) error {
	numbers, names, jsons := map[int]string{}, map[string]bool{}, map[string]bool{}
	for _, f := range m.fields {
		if other, taken := numbers[f.number]; taken {
			return fmt.Errorf("%s: %s and %s both have number %d", m.name, other, f.name, f.number)
		}
		if f.number >= firstReservedNumber && f.number <= lastReservedNumber {
			return fmt.Errorf("%s: %s has number %d, which protobuf keeps for itself", m.name, f.name, f.number)
		}
		if names[f.name] || jsons[f.json] {
			return fmt.Errorf("%s: two fields are called %s (%s in JSON)", m.name, f.name, f.json)
		}
		numbers[f.number], names[f.name], jsons[f.json] = f.name, true, true
	}
	return nil
}
