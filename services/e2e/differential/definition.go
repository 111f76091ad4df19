// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package differential sends the same requests to a real kube-apiserver, which has our kinds by CustomResourceDefinitions of
// our own schemas, and to us, and compares what comes of them. Differences that are meant are listed with their reasons.
package differential

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/openapi"
)

type object = map[string]any

// Definition returns the CustomResourceDefinition of a kind, as JSON: its schema is that of our OpenAPI document, in the
// structural form.
func Definition(k kinds.Kind) ([]byte, error) {
	document, err := openapi.Document(k.Group, k.Version, []kinds.Kind{k})
	if err != nil {
		return nil, err
	}
	var doc struct {
		Components struct {
			Schemas map[string]object `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(document, &doc); err != nil {
		return nil, fmt.Errorf("differential: %w", err)
	}
	schema := structural(object{"$ref": "/" + string(k.Message)}, doc.Components.Schemas)
	properties, ok := schema["properties"].(object)
	if !ok {
		return nil, fmt.Errorf("differential: %s has no properties", k.Message)
	}
	for _, name := range []string{"apiVersion", "kind"} {
		properties[name] = object{"type": "string"}
	}
	properties["metadata"] = object{"type": "object"}
	version := object{"name": k.Version, "served": true, "storage": true, "schema": object{"openAPIV3Schema": schema}}
	if k.HasStatus {
		version["subresources"] = object{"status": object{}}
	}
	var columns []any
	for _, c := range k.Columns {
		columns = append(columns, object{"name": c.Name, "type": c.Type, "jsonPath": c.JSONPath})
	}
	if len(columns) > 0 {
		version["additionalPrinterColumns"] = append(columns, object{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"})
	}
	scope := "Cluster"
	if k.Namespaced {
		scope = "Namespaced"
	}
	return json.Marshal(object{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": object{"name": k.Plural + "." + k.Group},
		"spec": object{
			"group": k.Group, "scope": scope, "versions": []any{version},
			"names": object{
				"plural": k.Plural, "singular": k.Singular, "kind": k.Kind, "listKind": k.Kind + "List",
				"shortNames": k.ShortNames, "categories": k.Categories,
			},
		},
	})
}

// structural follows references, which definitions cannot have, and leaves out what is only read.
func structural(schema object, all map[string]object) object {
	if inner, ok := schema["allOf"].([]any); ok && len(inner) == 1 { // a reference with a description beside it
		schema, _ = inner[0].(object)
	}
	if ref, ok := schema["$ref"].(string); ok {
		return structural(all[ref[strings.LastIndex(ref, "/")+1:]], all)
	}
	out := object{}
	for key, v := range schema {
		switch key {
		case "description", "x-kubernetes-group-version-kind", "readOnly", "example":
		case "properties":
			properties := object{}
			fields, _ := v.(object)
			for name, field := range fields {
				if field, ok := field.(object); ok {
					properties[name] = structural(field, all)
				}
			}
			out[key] = properties
		case "items", "additionalProperties":
			if inner, ok := v.(object); ok {
				v = structural(inner, all)
			}
			out[key] = v
		default:
			out[key] = v
		}
	}
	requireKeys(out)
	if out["x-kubernetes-int-or-string"] == true || out["oneOf"] != nil { // a quantity is the latter
		return object{"x-kubernetes-int-or-string": true}
	}
	return out
}

// requireKeys requires the keys of a list's items, or gives them their defaults, as definitions must.
func requireKeys(list object) {
	keys, _ := list["x-kubernetes-list-map-keys"].([]any)
	item, _ := list["items"].(object)
	properties, _ := item["properties"].(object)
	required, _ := item["required"].([]any)
	for _, key := range keys {
		name, _ := key.(string)
		property, _ := properties[name].(object)
		switch {
		case name == "protocol":
			property["default"] = "TCP"
		case name == "name" && properties["image"] != nil: // the only container needs no name
			property["default"] = "user-container"
		case property != nil && !slices.Contains(required, key):
			required = append(required, key)
		}
	}
	if len(required) > 0 {
		item["required"] = required
	}
}
