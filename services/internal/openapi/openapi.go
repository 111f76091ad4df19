// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package openapi makes OpenAPI v3 documents of API groups from the descriptors of their protos, as Kubernetes serves
// them at /openapi/v3: kubectl explains fields with them, and learns from them which parameters a server knows.
package openapi

import (
	"encoding/json"
	"errors"
	"fmt"

	"google.golang.org/protobuf/reflect/protoreflect"

	"fairlead.dev/gen/go/kinds"
)

// object is a JSON object. Go writes its names sorted, so that a document is the same whenever it is made.
type object = map[string]any

// Document returns the document of one API group and version, as JSON: the kinds ks, and the other calls of their
// packages whose paths are in the group and version.
func Document(group, version string, ks []kinds.Kind) ([]byte, error) {
	comments, err := newComments()
	if err != nil {
		return nil, err
	}
	g := &generator{
		prefix:  "/apis/" + group + "/" + version + "/",
		tag:     group + "/" + version,
		schemas: schemas{comments: comments, components: object{}},
		paths:   object{},
		kinds:   map[protoreflect.FullName]kinds.Kind{},
	}
	packages := map[protoreflect.FullName]protoreflect.FileDescriptor{}
	for _, k := range ks {
		if k.Group != group || k.Version != version {
			return nil, fmt.Errorf("openapi: kind %s is in %s/%s, not in %s", k.Kind, k.Group, k.Version, g.tag)
		}
		g.kinds[k.Service] = k
		file := k.New().ProtoReflect().Descriptor().ParentFile()
		packages[file.Package()] = file
	}
	for name := range packages {
		if err := g.services(name); err != nil {
			return nil, err
		}
	}
	if len(g.paths) == 0 {
		return nil, errors.New("openapi: " + g.tag + " has no paths")
	}
	return json.Marshal(object{
		"openapi": "3.0.0",
		"info":    object{"title": "Fairlead", "version": version},
		"paths":   g.paths,
		"components": object{
			"schemas": g.schemas.components,
			"securitySchemes": object{"BearerToken": object{
				keyType: "http", "scheme": "bearer", keyDescription: "A token of Fairlead or of the cluster.",
			}},
		},
		"security": []any{object{"BearerToken": []any{}}},
	})
}

// generator collects what is in a document.
type generator struct {
	schemas

	prefix, tag string
	paths       object
	kinds       map[protoreflect.FullName]kinds.Kind
}
