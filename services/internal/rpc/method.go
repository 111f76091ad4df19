// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"slices"
	"strings"
	"sync"

	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionv1alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"k8s.io/apimachinery/pkg/fields"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/wire"
)

// verbCreate is the verb of what has no name yet.
const verbCreate = "create"

// openServices need neither a token nor a right.
func openServices() []string {
	return []string{
		healthv1.Health_ServiceDesc.ServiceName,
		reflectionv1.ServerReflection_ServiceDesc.ServiceName,
		reflectionv1alpha.ServerReflection_ServiceDesc.ServiceName,
	}
}

// kindVerbs are the rights that the methods of a kind's service need.
func kindVerbs() map[string]Attributes {
	return map[string]Attributes{
		"Create":           {Verb: verbCreate},
		"Get":              {Verb: "get"},
		"List":             {Verb: "list"},
		"Update":           {Verb: "update"},
		"UpdateStatus":     {Verb: "update", Subresource: "status"},
		"Patch":            {Verb: "patch"},
		"Delete":           {Verb: "delete"},
		"DeleteCollection": {Verb: "deletecollection"},
		"History":          {Verb: "get"},
		"Rollback":         {Verb: "update"},
		"Prepare":          {Verb: "patch"},
		"Watch":            {Verb: "watch"},
	}
}

// method is what is known of an RPC before a request comes.
type method struct {
	// open methods need no caller.
	open bool
	// authenticated methods are for every caller.
	authenticated bool
	// known tells that right says which right the method needs.
	known bool
	// right lacks what only the request tells.
	right Attributes
	// kind is the kind whose service the method is of; nil for others.
	kind *kinds.Kind
	// request is the type of the request.
	request protoreflect.MessageDescriptor
}

// methods finds out what is known of each method, once. Only registered methods reach it, so that it stays small.
type methods struct{ known sync.Map }

func (m *methods) lookup(fullMethod string) method {
	if v, ok := m.known.Load(fullMethod); ok {
		return v.(method) //nolint:forcetypeassert // only methods are stored
	}
	found := describe(fullMethod)
	m.known.Store(fullMethod, found)
	return found
}

// describe reads a method's descriptor. What it does not understand stays closed.
func describe(fullMethod string) method {
	service, name, ok := strings.Cut(strings.TrimPrefix(fullMethod, "/"), "/")
	if !ok {
		return method{}
	}
	if slices.Contains(openServices(), service) {
		return method{open: true}
	}
	desc, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service))
	if err != nil {
		return method{}
	}
	sd, ok := desc.(protoreflect.ServiceDescriptor)
	if !ok || sd.Methods().ByName(protoreflect.Name(name)) == nil {
		return method{}
	}
	md := sd.Methods().ByName(protoreflect.Name(name))
	if kind, ok := kinds.ByService(sd.FullName()); ok {
		return ofKind(kind, md)
	}
	return ofAccess(md)
}

func ofKind(k kinds.Kind, md protoreflect.MethodDescriptor) method {
	right, ok := kindVerbs()[string(md.Name())]
	if !ok {
		return method{}
	}
	right.Group, right.Resource = k.Group, k.Plural
	return method{known: true, right: right, kind: &k, request: md.Input()}
}

func ofAccess(md protoreflect.MethodDescriptor) method {
	access, ok := proto.GetExtension(md.Options(), metav1.E_Access).(*metav1.Access)
	if !ok || access == nil {
		return method{}
	}
	if access.GetOpen() {
		return method{open: true}
	}
	if access.GetAuthenticated() {
		return method{authenticated: true, request: md.Input()}
	}
	if access.GetVerb() == "" || access.GetResource() == "" {
		return method{}
	}
	resource, subresource, _ := strings.Cut(access.GetResource(), "/")
	return method{
		known:   true,
		right:   Attributes{Verb: access.GetVerb(), Group: access.GetGroup(), Resource: resource, Subresource: subresource},
		request: md.Input(),
	}
}

// readsRequest tells whether the right depends on what the request says.
func (m method) readsRequest() bool {
	return m.known && (m.kind != nil || stringField(m.request, "namespace") != nil || stringField(m.request, "name") != nil)
}

// attributes returns the right that a request needs; false when the method does not say.
func (m method) attributes(msg proto.Message) (Attributes, bool) {
	if !m.known {
		return Attributes{}, false
	}
	a := m.right
	if !m.readsRequest() {
		return a, true
	}
	if msg == nil {
		return Attributes{}, false
	}
	r := msg.ProtoReflect()
	a.Namespace, a.Name = stringOf(r, "namespace"), stringOf(r, "name")
	if m.kind == nil {
		return a, true
	}
	if patch, ok := msg.(*metav1.PatchRequest); ok {
		a.Subresource = patch.GetSubresource()
	}
	meta := objectMeta(r)
	if a.Namespace == "" {
		a.Namespace = meta.GetNamespace()
	}
	if a.Name == "" && a.Verb != verbCreate {
		a.Name = meta.GetName()
	}
	if a.Name == "" && (a.Verb == "list" || a.Verb == "watch") {
		a.Name = selectedName(stringOf(r, "field_selector"))
	}
	if !m.kind.Namespaced {
		a.Namespace = ""
	}
	return a, true
}

// selectedName returns the one name that a field selector leaves, so that a right to one object lets it be watched; empty
// where there may be several.
func selectedName(selector string) string {
	if !strings.Contains(selector, "metadata.name") {
		return ""
	}
	parsed, err := fields.ParseSelector(selector)
	if err != nil {
		return "" // the handler says what is wrong with it
	}
	name, _ := parsed.RequiresExactMatch("metadata.name")
	return name
}

// mayCreate tells whether the request creates its object where there is none.
func (m method) mayCreate(msg proto.Message) bool {
	switch r := msg.(type) {
	case *metav1.PatchRequest:
		return m.kind != nil && r.GetContentType() == wire.ContentTypeApply
	case *metav1.PrepareRequest:
		return m.kind != nil
	default:
		return false
	}
}

// objectMeta returns the metadata of the object that a request of a kind's service holds, nil where it holds none.
func objectMeta(request protoreflect.Message) *metav1.ObjectMeta {
	field := request.Descriptor().Fields().ByName("object")
	if field == nil || field.Message() == nil || !request.Has(field) {
		return nil
	}
	object, ok := request.Get(field).Message().Interface().(interface{ GetMetadata() *metav1.ObjectMeta })
	if !ok {
		return nil
	}
	return object.GetMetadata()
}

func stringField(d protoreflect.MessageDescriptor, name protoreflect.Name) protoreflect.FieldDescriptor {
	field := d.Fields().ByName(name)
	if field == nil || field.Kind() != protoreflect.StringKind || field.Cardinality() == protoreflect.Repeated {
		return nil
	}
	return field
}

func stringOf(m protoreflect.Message, name protoreflect.Name) string {
	if field := stringField(m.Descriptor(), name); field != nil {
		return m.Get(field).String()
	}
	return ""
}
