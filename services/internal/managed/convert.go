// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package managed

import (
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"fairlead.dev/gen/go/kinds"
)

// Convert returns an object of one version of a kind in another version. It must not change what it gets.
type Convert func(obj Object, from, to kinds.Kind) (Object, error)

var (
	_ runtime.ObjectConvertor = convertor{}
	_ runtime.ObjectCreater   = creator{}
	_ runtime.ObjectDefaulter = defaulter{}
)

// convertor converts objects between the versions of a kind, for managers that wrote another one.
type convertor struct {
	types    *Types
	versions map[schema.GroupVersionKind]kinds.Kind
	convert  Convert
}

// ConvertToVersion returns an object in a version.
func (c convertor) ConvertToVersion(in runtime.Object, target runtime.GroupVersioner) (runtime.Object, error) {
	from := in.GetObjectKind().GroupVersionKind()
	gv, ok := target.(schema.GroupVersion)
	if !ok {
		return nil, fmt.Errorf("managed: %v is no version", target)
	}
	to := gv.WithKind(from.Kind)
	if to == from {
		return in, nil
	}
	fromKind, ok := c.versions[from]
	if !ok {
		return nil, notServed(from)
	}
	toKind, ok := c.versions[to]
	if !ok || c.convert == nil {
		return nil, notServed(to)
	}
	o, err := contentOf(in)
	if err != nil {
		return nil, err
	}
	older, ok := fromKind.New().(Object)
	if !ok {
		return nil, fmt.Errorf("managed: %s has no metadata", fromKind.Message)
	}
	if err := o.into(older); err != nil {
		return nil, err
	}
	newer, err := c.convert(older, fromKind, toKind)
	if err != nil {
		return nil, fmt.Errorf("managed: convert %s from %s to %s: %w", from.Kind, from.GroupVersion(), gv, err)
	}
	return c.types.object(newer)
}

func contentOf(in runtime.Object) (*object, error) {
	switch o := in.(type) {
	case *object:
		return o, nil
	case *Document:
		return &object{Unstructured: *o.Unstructured}, nil
	case *unstructured.Unstructured:
		return &object{Unstructured: *o}, nil
	default:
		return nil, fmt.Errorf("managed: a %T is no object of ours", in)
	}
}

// Convert is not needed by field managers.
func (convertor) Convert(_, _, _ any) error { return errors.ErrUnsupported }

// ConvertFieldLabel is not needed by field managers.
func (convertor) ConvertFieldLabel(schema.GroupVersionKind, string, string) (label, value string, err error) {
	return "", "", errors.ErrUnsupported
}

// creator makes empty objects.
type creator struct{}

// New makes an empty object.
func (creator) New(gvk schema.GroupVersionKind) (runtime.Object, error) { return emptyObject(gvk), nil }

func emptyObject(gvk schema.GroupVersionKind) *object {
	o := &object{Unstructured: unstructured.Unstructured{Object: map[string]any{}}}
	o.SetGroupVersionKind(gvk)
	return o
}

// defaulter fills nothing in: services do, and what they fill in is nobody's.
type defaulter struct{}

// Default does nothing.
func (defaulter) Default(runtime.Object) {}
