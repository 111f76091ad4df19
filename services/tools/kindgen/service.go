// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"slices"
	"text/template"
)

//go:embed service.proto.tmpl
var serviceTemplate string

// serviceView is what the service template shows.
type serviceView struct {
	Marker    string
	Package   string
	Imports   []string
	Message   string
	Plural    string
	HasStatus bool
	// Namespaced tells whether there is a path for the objects of all namespaces besides that of one.
	Namespaced bool
	// Base is the path of the group and version.
	Base string
	// Collection is the path of the collection, below its namespace where it has one.
	Collection string
}

// renderService returns the proto file of a kind's service.
func renderService(k kind) ([]byte, error) {
	imports := []string{
		"buf/validate/validate.proto",
		"fairlead/meta/v1/meta.proto",
		"fairlead/meta/v1/requests.proto",
		"google/api/annotations.proto",
		"google/protobuf/timestamp.proto",
		k.file,
	}
	slices.Sort(imports)
	view := serviceView{
		Marker:     marker,
		Package:    string(k.pkg),
		Imports:    imports,
		Message:    string(k.message),
		Plural:     k.Plural,
		HasStatus:  k.hasStatus,
		Namespaced: k.namespaced(),
		Base:       fmt.Sprintf("/apis/%s/%s", k.Group, k.Version),
		Collection: k.Plural,
	}
	if view.Namespaced {
		view.Collection = "namespaces/{namespace}/" + k.Plural
	}
	tmpl, err := template.New("service").Parse(serviceTemplate)
	if err != nil {
		return nil, fmt.Errorf("parsing the service template: %w", err)
	}
	var b bytes.Buffer
	if err := tmpl.Execute(&b, view); err != nil {
		return nil, fmt.Errorf("rendering the service of %s: %w", k.message, err)
	}
	return b.Bytes(), nil
}
