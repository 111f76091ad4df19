// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package managed

import (
	"fmt"

	"google.golang.org/protobuf/reflect/protoreflect"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kube-openapi/pkg/schemaconv"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
	"sigs.k8s.io/structured-merge-diff/v6/value"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/openapi"
)

// Types are how the objects of kinds are merged: which fields they have, and which lists are merged by which keys. They are
// made once, and shared.
type Types struct {
	parsers map[schema.GroupVersionKind]typed.ParseableType
}

// NewTypes makes the types of kinds.
func NewTypes(ks []kinds.Kind) (*Types, error) {
	messages := make([]protoreflect.MessageDescriptor, len(ks))
	for i, k := range ks {
		messages[i] = k.New().ProtoReflect().Descriptor()
	}
	models, err := openapi.MergeSchemas(messages...)
	if err != nil {
		return nil, fmt.Errorf("managed: %w", err)
	}
	types, err := schemaconv.ToSchemaFromOpenAPI(models, false)
	if err != nil {
		return nil, fmt.Errorf("managed: schemas: %w", err)
	}
	parser := &typed.Parser{}
	parser.Schema.Types = types.Types
	t := &Types{parsers: map[schema.GroupVersionKind]typed.ParseableType{}}
	for _, k := range ks {
		parsed := parser.Type(string(k.Message))
		if !parsed.IsValid() {
			return nil, fmt.Errorf("managed: there is no schema of %s", k.Message)
		}
		t.parsers[gvkOf(k)] = parsed
	}
	return t, nil
}

func gvkOf(k kinds.Kind) schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: k.Group, Version: k.Version, Kind: k.Kind}
}

// typeConverter gives objects their types. It is Kubernetes' own, but that it knows our objects.
type typeConverter struct {
	types *Types
	// complete fills in the keys that a document leaves open.
	complete func(content map[string]any)
}

// ObjectToTyped returns an object with its type, if it fits.
func (c typeConverter) ObjectToTyped(obj runtime.Object, opts ...typed.ValidationOptions) (*typed.TypedValue, error) {
	switch o := obj.(type) {
	case *Document:
		return o.typed, nil
	case *object:
		gvk := o.GroupVersionKind()
		parser, ok := c.types.parsers[gvk]
		if !ok {
			return nil, notServed(gvk)
		}
		// It comes from a message, so it has the fields and types that the message has.
		return typed.AsTypedUnvalidated(value.NewValueInterface(o.Object), parser.Schema, parser.TypeRef), nil //nolint:staticcheck // validation takes a third of the time
	case *unstructured.Unstructured: // what kubectl noted of a client-side apply
		c.complete(o.Object)
		return c.typed(o.GroupVersionKind(), o.Object, opts...)
	default:
		return nil, fmt.Errorf("managed: a %T is no object of ours", obj)
	}
}

func (c typeConverter) typed(gvk schema.GroupVersionKind, content map[string]any, opts ...typed.ValidationOptions) (*typed.TypedValue, error) {
	parser, ok := c.types.parsers[gvk]
	if !ok {
		return nil, notServed(gvk)
	}
	return parser.FromUnstructured(content, opts...) //nolint:wrapcheck // the field manager says what it was doing
}

// TypedToObject returns the object of a typed value.
func (typeConverter) TypedToObject(from *typed.TypedValue) (runtime.Object, error) {
	content, ok := from.AsValue().Unstructured().(map[string]any)
	if !ok {
		return nil, fmt.Errorf("managed: what came of a merge is no object, but a %T", from.AsValue().Unstructured())
	}
	return &object{Unstructured: unstructured.Unstructured{Object: content}}, nil
}

// notServed is the error for a version that is not there (any more), by which entries of it are dropped.
func notServed(gvk schema.GroupVersionKind) error {
	return runtime.NewNotRegisteredErrForKind("fairlead", gvk)
}
