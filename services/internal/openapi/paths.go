// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package openapi

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/wire"
)

const (
	mimeJSON = "application/json"
	mimeYAML = "application/yaml"

	methodDelete = "Delete"
	verbPost     = "post"
	verbPut      = "put"
)

// actions are Kubernetes' names for the methods of a kind's service.
var actions = map[protoreflect.Name]string{
	"Create": verbPost, "Get": "get", "List": "list", "Update": verbPut, "UpdateStatus": verbPut, "Patch": "patch",
	methodDelete: "delete", "DeleteCollection": "deletecollection", "History": "get", "Rollback": verbPost,
}

// services adds the services of a package.
func (g *generator) services(name protoreflect.FullName) error {
	var err error
	protoregistry.GlobalFiles.RangeFilesByPackage(name, func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			if err = g.service(file.Services().Get(i)); err != nil {
				return false
			}
		}
		return true
	})
	return err
}

func (g *generator) service(sd protoreflect.ServiceDescriptor) error {
	k, isKind := g.kinds[sd.FullName()]
	if _, other := kinds.ByService(sd.FullName()); other && !isKind {
		return nil
	}
	for i := range sd.Methods().Len() {
		method := sd.Methods().Get(i)
		if isKind && method.Name() == "Watch" {
			continue // kubectl watches through List
		}
		rule, _ := proto.GetExtension(method.Options(), annotations.E_Http).(*annotations.HttpRule)
		if rule == nil {
			continue
		}
		for n, binding := range append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...) {
			b, err := g.binding(method, binding)
			if err != nil {
				return err
			}
			if !strings.HasPrefix(b.path, g.prefix) {
				continue
			}
			b.number = n
			op := g.operation(b)
			if isKind {
				g.kind(op, b, k)
			}
			if isKind && method.Name() == "Create" {
				op["responses"].(object)["201"] = op["responses"].(object)["200"] //nolint:forcetypeassert // operation made it
			}
			item, _ := g.paths[b.path].(object)
			if item == nil {
				item = object{"parameters": b.pathParameters}
				g.paths[b.path] = item
			}
			item[b.verb] = op
		}
	}
	return nil
}

// binding is one way to reach a method over HTTP.
type binding struct {
	method         protoreflect.MethodDescriptor
	number         int
	verb, path     string
	pathParameters []any
	// inPath are the fields that the path holds; body is the field that the body is, `*` for all others.
	inPath map[protoreflect.Name]bool
	body   string
}

// variable finds {name} and {name=pattern} in a path.
var variable = regexp.MustCompile(`\{([a-z_]+)(?:=([^}]*))?\}`)

func (g *generator) binding(method protoreflect.MethodDescriptor, rule *annotations.HttpRule) (binding, error) {
	b := binding{method: method, inPath: map[protoreflect.Name]bool{}, body: rule.GetBody(), pathParameters: []any{}}
	switch p := rule.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		b.verb, b.path = "get", p.Get
	case *annotations.HttpRule_Put:
		b.verb, b.path = verbPut, p.Put
	case *annotations.HttpRule_Post:
		b.verb, b.path = verbPost, p.Post
	case *annotations.HttpRule_Delete:
		b.verb, b.path = "delete", p.Delete
	case *annotations.HttpRule_Patch:
		b.verb, b.path = "patch", p.Patch
	default:
		return b, fmt.Errorf("openapi: %s is bound to a verb of its own", method.FullName())
	}
	var unknown error
	b.path = variable.ReplaceAllStringFunc(b.path, func(text string) string {
		found := variable.FindStringSubmatch(text)
		fd := method.Input().Fields().ByName(protoreflect.Name(found[1]))
		if fd == nil {
			unknown = fmt.Errorf("openapi: %s has no field %s, which is in its path", method.FullName(), found[1])
			return text
		}
		b.inPath[fd.Name()] = true
		if found[2] != "" && found[2] != "*" {
			return found[2] // one value only, such as {subresource=status}
		}
		b.pathParameters = append(b.pathParameters, object{
			keyName: fd.JSONName(), "in": "path", "required": true,
			keySchema: object{keyType: typeString}, keyDescription: g.comments.of(fd),
		})
		return "{" + fd.JSONName() + "}"
	})
	return b, unknown
}

// operation describes a call, whatever service it is of.
func (g *generator) operation(b binding) object {
	id := string(b.method.Parent().Name()) + "_" + string(b.method.Name())
	if b.number > 0 {
		id += strconv.Itoa(b.number + 1)
	}
	op := object{
		"operationId":  id,
		keyDescription: g.comments.of(b.method),
		"tags":         []any{g.tag},
		"parameters":   g.queryParameters(b, b.method.Input()),
		"responses": object{
			"200":     g.response("OK", b.method.Output(), b.method.IsStreamingServer()),
			"default": object{keyDescription: "What went wrong.", keyContent: object{mimeJSON: object{keySchema: g.status()}}},
		},
	}
	switch fd := b.method.Input().Fields().ByName(protoreflect.Name(b.body)); {
	case b.body == "*":
		op["requestBody"] = requestBody(g.message(b.method.Input()), mimeJSON)
	case fd != nil && fd.Message() != nil:
		op["requestBody"] = requestBody(g.message(fd.Message()), mimeJSON, mimeYAML)
	}
	return op
}

func requestBody(schema object, types ...string) object {
	content := object{}
	for _, t := range types {
		content[t] = object{keySchema: schema}
	}
	return object{"required": true, keyContent: content}
}

func (g *generator) response(text string, output protoreflect.MessageDescriptor, stream bool) object {
	if stream { // the log of a build is the one stream that is no watch
		return object{keyDescription: text, keyContent: object{"text/plain": object{keySchema: object{keyType: typeString}}}}
	}
	var schema object
	switch output.FullName() {
	case "fairlead.meta.v1.DeleteCollectionResponse": // over HTTP as Kubernetes does it
		schema = g.status()
	default:
		schema = g.message(output)
	}
	return content(text, schema)
}

func content(text string, schema object) object {
	return object{keyDescription: text, keyContent: object{mimeJSON: object{keySchema: schema}, mimeYAML: object{keySchema: schema}}}
}

// queryParameters are the fields of a request that neither the path nor the body holds. Over HTTP the media type of a
// patch is its Content-Type, and the preconditions of a deletion are in its body.
func (g *generator) queryParameters(b binding, input protoreflect.MessageDescriptor) []any {
	parameters := []any{}
	if b.body == "*" {
		return parameters
	}
	for i := range input.Fields().Len() {
		fd := input.Fields().Get(i)
		switch {
		case b.inPath[fd.Name()], string(fd.Name()) == b.body, fd.Message() != nil, fd.IsMap():
			continue
		case fd.Name() == "namespace", fd.Name() == "name", fd.Name() == "subresource", fd.Name() == "content_type":
			continue
		}
		parameters = append(parameters, object{
			keyName: fd.JSONName(), "in": "query", keyDescription: g.comments.of(fd), keySchema: g.parameter(fd),
		})
	}
	return parameters
}

// parameter is the schema of a query parameter; those that may come again are given once, as Kubernetes' clients do.
func (g *generator) parameter(fd protoreflect.FieldDescriptor) object {
	schema := g.value(fd, fd)
	if !fd.IsList() {
		constrain(schema, fd)
	}
	return schema
}

// kind adds what is special to the calls of a kind.
func (g *generator) kind(op object, b binding, k kinds.Kind) {
	op[kindKey] = groupVersionKind(k.Group, k.Version, k.Kind)
	op["x-kubernetes-action"] = actions[b.method.Name()]
	switch b.method.Name() {
	case "List":
		op["parameters"] = g.listParameters(op["parameters"].([]any), b) //nolint:forcetypeassert // operation made it
	case "Patch":
		patch := g.fixed(patchName, object{
			keyType: typeObject, keyDescription: "The patch, in the form that the media type says.", "x-kubernetes-preserve-unknown-fields": true,
		})
		op["requestBody"] = requestBody(patch, wire.ContentTypeJSONPatch, wire.ContentTypeMergePatch, wire.ContentTypeApply)
	case methodDelete, "DeleteCollection":
		op["requestBody"] = object{keyContent: object{mimeJSON: object{keySchema: g.deleteOptions()}}}
	}
	if b.method.Name() == methodDelete {
		op["responses"].(object)["200"] = content("Deleted: a Status; or marked for deletion: the object as it is.", //nolint:forcetypeassert // operation made it
			object{"oneOf": []any{g.status(), g.message(b.method.Output())}})
	}
}

// listParameters adds those of a watch, which is a list with `watch=true`.
func (g *generator) listParameters(parameters []any, b binding) []any {
	service, ok := b.method.Parent().(protoreflect.ServiceDescriptor)
	if !ok {
		return parameters
	}
	watch := service.Methods().ByName("Watch")
	if watch == nil {
		return parameters
	}
	known := map[any]bool{}
	for _, p := range parameters {
		known[p.(object)[keyName]] = true //nolint:forcetypeassert // queryParameters made it
	}
	for _, p := range g.queryParameters(b, watch.Input()) {
		if !known[p.(object)[keyName]] { //nolint:forcetypeassert // queryParameters made it
			parameters = append(parameters, p)
		}
	}
	return append(parameters, object{
		keyName: "watch", "in": "query", keySchema: object{keyType: "boolean"},
		keyDescription: "Stream changes, one JSON object each, instead of a list.",
	})
}
