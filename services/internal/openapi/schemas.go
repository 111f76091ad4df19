// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package openapi

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
)

const (
	schemaPrefix = "#/components/schemas/"
	kindKey      = "x-kubernetes-group-version-kind"
	listTypeKey  = "x-kubernetes-list-type"
	mapTypeKey   = "x-kubernetes-map-type"

	relationAtomic = "atomic"

	quantityName    = "io.k8s.apimachinery.pkg.api.resource.Quantity"
	intOrStringName = "fairlead.meta.v1.IntOrString"
	statusName      = "io.k8s.apimachinery.pkg.apis.meta.v1.Status"
	optionsName     = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"
	patchName       = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch"
)

// schemas collects the schemas of a document, each under its full name.
type schemas struct {
	comments comments

	components object
}

func reference(name string) object { return object{"$ref": schemaPrefix + name} }

// describe puts a description beside what may be a reference, which in OpenAPI 3.0 has no room for one.
func describe(schema object, text string) object {
	if text == "" {
		return schema
	}
	if _, ok := schema["$ref"]; ok {
		schema = object{"allOf": []any{schema}}
	}
	schema[keyDescription] = text
	return schema
}

// message returns a reference to the schema of a message, which is made if need be.
func (s *schemas) message(md protoreflect.MessageDescriptor) object {
	switch md.FullName() {
	case "google.protobuf.Timestamp":
		return object{keyType: typeString, keyFormat: "date-time"}
	case "fairlead.meta.v1.RawJSON":
		return object{"x-kubernetes-preserve-unknown-fields": true}
	case intOrStringName:
		return s.fixed(intOrStringName, object{
			keyDescription:               s.comments.of(md),
			"anyOf":                      []any{object{keyType: typeInteger}, object{keyType: typeString}},
			"x-kubernetes-int-or-string": true,
		})
	}
	name := string(md.FullName())
	if _, ok := s.components[name]; !ok {
		schema := object{keyType: typeObject}
		s.components[name] = schema // before its fields, which may lead back to it
		s.fill(schema, md)
	}
	return reference(name)
}

// fixed returns a reference to a schema that is given.
func (s *schemas) fixed(name string, schema object) object {
	s.components[name] = schema
	return reference(name)
}

func (s *schemas) fill(schema object, md protoreflect.MessageDescriptor) {
	if text := s.comments.of(md); text != "" {
		schema[keyDescription] = text
	}
	if atomic, _ := proto.GetExtension(md.Options(), metav1.E_Atomic).(bool); atomic {
		schema[mapTypeKey] = relationAtomic
	}
	properties := object{}
	var required []any
	if k := kindOf(md); k != nil {
		addKind(schema, properties, k, kindName(k, md))
	} else if item := listItem(md); item != nil {
		k := kindOf(item)
		addKind(schema, properties, k, kindName(k, item)+"List")
	}
	required = s.fields(properties, required, md)
	if len(properties) > 0 {
		schema[keyProperties] = properties
	}
	if len(required) > 0 {
		schema["required"] = required
	}
}

// fields adds the fields of a message, and of those inline in it.
func (s *schemas) fields(properties object, required []any, md protoreflect.MessageDescriptor) []any {
	fds := md.Fields()
	for i := range fds.Len() {
		fd := fds.Get(i)
		if inline, _ := proto.GetExtension(fd.Options(), metav1.E_Inline).(bool); inline && fd.Message() != nil {
			required = s.fields(properties, required, fd.Message())
			continue
		}
		if _, ok := properties[fd.JSONName()]; ok {
			continue
		}
		properties[fd.JSONName()] = describe(s.field(fd), s.comments.of(fd))
		if rulesOf(fd).GetRequired() {
			required = append(required, fd.JSONName())
		}
	}
	return required
}

// field is the schema of a field, without its description.
func (s *schemas) field(fd protoreflect.FieldDescriptor) object {
	switch {
	case fd.IsMap():
		schema := object{keyType: typeObject, "additionalProperties": s.value(fd, fd.MapValue())}
		if mergeOf(fd) == metav1.Merge_MERGE_ATOMIC {
			schema[mapTypeKey] = relationAtomic
		}
		return schema
	case fd.IsList():
		schema := object{keyType: typeArray, keyItems: s.value(fd, fd)}
		keys, _ := proto.GetExtension(fd.Options(), metav1.E_ListMapKeys).([]string)
		if len(keys) == 0 {
			schema[listTypeKey] = relationAtomic
			if mergeOf(fd) == metav1.Merge_MERGE_SET {
				schema[listTypeKey] = "set"
			}
			return schema
		}
		schema[listTypeKey] = "map"
		schema["x-kubernetes-list-map-keys"] = keys
		return schema
	default:
		schema := s.value(fd, fd)
		constrain(schema, fd)
		return schema
	}
}

// value is the schema of one value of a field: value is fd itself, or the value of its map.
func (s *schemas) value(fd, value protoreflect.FieldDescriptor) object {
	if value.Message() != nil {
		return s.message(value.Message())
	}
	switch value.Kind() {
	case protoreflect.StringKind:
		format, _ := proto.GetExtension(fd.Options(), metav1.E_Format).(metav1.Format)
		if format == metav1.Format_FORMAT_QUANTITY || format == metav1.Format_FORMAT_QUANTITY_MAP {
			return s.fixed(quantityName, object{
				keyDescription: "An amount: a number with a suffix such as m, Ki, Mi, Gi, k, M or G, like 500m or 1Gi.",
				"oneOf":        []any{object{keyType: typeString}, object{keyType: typeNumber}},
			})
		}
		return object{keyType: typeString}
	case protoreflect.BoolKind:
		return object{keyType: "boolean"}
	case protoreflect.BytesKind:
		return object{keyType: typeString, keyFormat: "byte"}
	case protoreflect.EnumKind:
		var names []any
		for i := range value.Enum().Values().Len() {
			names = append(names, string(value.Enum().Values().Get(i).Name()))
		}
		return object{keyType: typeString, "enum": names}
	case protoreflect.FloatKind:
		return object{keyType: typeNumber, keyFormat: "float"}
	case protoreflect.DoubleKind:
		return object{keyType: typeNumber, keyFormat: "double"}
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return object{keyType: typeInteger, keyFormat: formatInt32}
	default:
		return object{keyType: typeInteger, keyFormat: formatInt64}
	}
}

// mergeOf tells how a field is merged where its type does not say so.
func mergeOf(fd protoreflect.FieldDescriptor) metav1.Merge {
	merge, _ := proto.GetExtension(fd.Options(), metav1.E_Merge).(metav1.Merge)
	return merge
}

func kindOf(md protoreflect.MessageDescriptor) *metav1.Kind {
	k, _ := proto.GetExtension(md.Options(), metav1.E_Kind).(*metav1.Kind)
	return k
}

func kindName(k *metav1.Kind, md protoreflect.MessageDescriptor) string {
	if k.GetKind() != "" {
		return k.GetKind()
	}
	return string(md.Name())
}

// listItem returns the message that a list response holds items of, if it is a kind.
func listItem(md protoreflect.MessageDescriptor) protoreflect.MessageDescriptor {
	metadata, items := md.Fields().ByName("metadata"), md.Fields().ByName("items")
	if metadata == nil || items == nil || metadata.Message() == nil || items.Message() == nil || !items.IsList() {
		return nil
	}
	if metadata.Message().FullName() != "fairlead.meta.v1.ListMeta" || kindOf(items.Message()) == nil {
		return nil
	}
	return items.Message()
}

func groupVersionKind(group, version, kind string) object {
	return object{"group": group, "version": version, keyKind: kind}
}

// addKind adds what tells an object's type.
func addKind(schema, properties object, k *metav1.Kind, name string) {
	schema[kindKey] = []any{groupVersionKind(k.GetGroup(), k.GetVersion(), name)}
	properties["apiVersion"] = object{
		keyType:        "string",
		keyDescription: "Group and version of the object: " + k.GetGroup() + "/" + k.GetVersion() + ".",
	}
	properties[keyKind] = object{keyType: typeString, keyDescription: "Kind of the object: " + name + "."}
}
