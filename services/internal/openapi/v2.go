// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package openapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/kube-openapi/pkg/spec3"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

// definitionPrefix begins references to schemas in OpenAPI v2.
const definitionPrefix = "#/definitions/"

// V2 returns the OpenAPI v2 document of what the v3 documents say, for clients that know no v3. What v2 has no words for, such as
// alternatives, is left out.
func V2(documents ...[]byte) (*spec.Swagger, error) {
	out := &spec.Swagger{SwaggerProps: spec.SwaggerProps{
		Swagger:     "2.0",
		Info:        &spec.Info{InfoProps: spec.InfoProps{Title: "Fairlead", Version: "v1"}},
		Paths:       &spec.Paths{Paths: map[string]spec.PathItem{}},
		Definitions: spec.Definitions{},
	}}
	for _, data := range documents {
		doc := &spec3.OpenAPI{}
		if err := json.Unmarshal(data, doc); err != nil {
			return nil, fmt.Errorf("openapi: read a document of v3: %w", err)
		}
		for name, schema := range doc.Components.Schemas {
			out.Definitions[name] = schemaV2(*schema)
		}
		for path, item := range doc.Paths.Paths {
			out.Paths.Paths[path] = pathV2(item)
		}
	}
	return out, nil
}

func pathV2(p *spec3.Path) spec.PathItem {
	item := spec.PathItem{PathItemProps: spec.PathItemProps{Parameters: parametersV2(p.Parameters)}}
	for verb, op := range map[**spec.Operation]*spec3.Operation{
		&item.Get: p.Get, &item.Put: p.Put, &item.Post: p.Post, &item.Delete: p.Delete, &item.Patch: p.Patch,
	} {
		if op != nil {
			*verb = operationV2(op)
		}
	}
	return item
}

func operationV2(op *spec3.Operation) *spec.Operation {
	out := &spec.Operation{VendorExtensible: op.VendorExtensible, OperationProps: spec.OperationProps{
		ID: strings.Join(op.Tags, "_") + "_" + op.OperationId, Description: op.Description, Tags: op.Tags, Produces: []string{mimeJSON, mimeYAML},
		Parameters: parametersV2(op.Parameters),
		Responses:  &spec.Responses{ResponsesProps: spec.ResponsesProps{StatusCodeResponses: map[int]spec.Response{}}},
	}}
	out.ID = strings.NewReplacer("/", "_", ".", "_").Replace(out.ID)
	if body := op.RequestBody; body != nil {
		out.Consumes = slices.Sorted(maps.Keys(body.Content))
		out.Parameters = append(out.Parameters, spec.Parameter{ParamProps: spec.ParamProps{
			Name: "body", In: "body", Description: body.Description, Required: body.Required, Schema: contentV2(body.Content),
		}})
	}
	for code, r := range op.Responses.StatusCodeResponses {
		out.Responses.StatusCodeResponses[code] = responseV2(r)
	}
	if op.Responses.Default != nil {
		r := responseV2(op.Responses.Default)
		out.Responses.Default = &r
	}
	return out
}

func responseV2(r *spec3.Response) spec.Response {
	return spec.Response{ResponseProps: spec.ResponseProps{Description: r.Description, Schema: contentV2(r.Content)}}
}

// contentV2 is the schema of a body, which in our documents is the same in every media type.
func contentV2(content map[string]*spec3.MediaType) *spec.Schema {
	for _, name := range slices.Sorted(maps.Keys(content)) {
		if s := content[name].Schema; s != nil {
			out := schemaV2(*s)
			return &out
		}
	}
	return nil
}

func parametersV2(parameters []*spec3.Parameter) []spec.Parameter {
	var out []spec.Parameter
	for _, p := range parameters {
		one := spec.Parameter{ParamProps: spec.ParamProps{Name: p.Name, In: p.In, Description: p.Description, Required: p.Required}}
		one.Type = typeString
		if s := p.Schema; s != nil && len(s.Type) == 1 {
			one.Type, one.Format = s.Type[0], s.Format
			if one.Type == typeArray {
				one.Items = &spec.Items{SimpleSchema: spec.SimpleSchema{Type: typeString}}
			}
		}
		out = append(out, one)
	}
	return out
}

// schemaV2 turns a schema, of which it changes nothing, into one of v2.
func schemaV2(s spec.Schema) spec.Schema {
	if ref := s.Ref.String(); ref != "" {
		return spec.Schema{SchemaProps: spec.SchemaProps{Ref: referenceV2(ref), Description: s.Description}}
	}
	if len(s.AllOf) == 1 { // a reference that something is said about
		out := schemaV2(s.AllOf[0])
		out.Description = s.Description
		return out
	}
	if whole, _ := s.Extensions["x-kubernetes-int-or-string"].(bool); whole {
		return spec.Schema{SchemaProps: spec.SchemaProps{Description: s.Description, Type: spec.StringOrArray{typeString}, Format: "int-or-string"}}
	}
	if len(s.OneOf) > 0 && s.OneOf[0].Ref.String() == "" { // an amount, which may be written as a number
		s.Type = spec.StringOrArray{typeString}
	} else if len(s.OneOf) > 0 {
		return schemaV2(s.OneOf[0])
	}
	s.OneOf, s.AnyOf, s.AllOf, s.Not, s.Nullable = nil, nil, nil, nil, false
	if len(s.Properties) > 0 {
		properties := make(map[string]spec.Schema, len(s.Properties))
		for name, p := range s.Properties {
			properties[name] = schemaV2(p)
		}
		s.Properties = properties
	}
	if s.Items != nil && s.Items.Schema != nil {
		items := schemaV2(*s.Items.Schema)
		s.Items = &spec.SchemaOrArray{Schema: &items}
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil {
		value := schemaV2(*s.AdditionalProperties.Schema)
		s.AdditionalProperties = &spec.SchemaOrBool{Allows: true, Schema: &value}
	}
	return s
}

func referenceV2(ref string) spec.Ref {
	return spec.MustCreateRef(definitionPrefix + strings.TrimPrefix(ref, schemaPrefix))
}
