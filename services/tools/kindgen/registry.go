// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"go/format"
	"maps"
	"path"
	"slices"
	"strings"
	"text/template"

	"google.golang.org/protobuf/reflect/protoreflect"
)

//go:embed kinds.go.tmpl
var registryTemplate string

// goPrefix is where the Go packages of our protos begin.
const goPrefix = "fairlead.dev/gen/go/"

// registryView is what the registry template shows.
type registryView struct {
	Marker  string
	Imports []importView
	Kinds   []kindView
}

// importView is one import of the registry.
type importView struct {
	Name string
	Path string
}

// kindView is one row of the registry.
type kindView struct {
	Func       string
	Group      string
	Version    string
	Kind       string
	Plural     string
	Singular   string
	ShortNames []string
	Categories []string
	Namespaced bool
	HasStatus  bool
	Columns    []column
	Encrypted  bool
	// StoredVersion is empty for the form that is stored.
	StoredVersion string
	Message       string
	Service       string
	GoType        string
}

// renderRegistry returns the Go file that lists the kinds.
func renderRegistry(kinds []kind) ([]byte, error) {
	view := registryView{Marker: marker}
	imports := map[string]string{}
	for _, k := range kinds {
		alias := goPackage(k.pkg)
		imports[goPrefix+path.Dir(k.file)] = alias
		full := string(k.pkg.Append(k.message))
		view.Kinds = append(view.Kinds, kindView{
			Func:       alias + string(k.message),
			Group:      k.Group,
			Version:    k.Version,
			Kind:       k.Kind,
			Plural:     k.Plural,
			Singular:   k.Singular,
			ShortNames: k.ShortNames,
			Categories: k.Categories,
			Namespaced: k.namespaced(),
			HasStatus:  k.hasStatus,
			Columns:    k.Columns,
			Encrypted:  k.Encrypted,

			StoredVersion: k.StoredVersion,
			Message:       full,
			Service:       full + "Service",
			GoType:        alias + "." + string(k.message),
		})
	}
	for _, importPath := range slices.Sorted(maps.Keys(imports)) {
		view.Imports = append(view.Imports, importView{Name: imports[importPath], Path: importPath})
	}
	return renderGo("kinds", registryTemplate, view)
}

// renderGo returns the Go file that a template makes.
func renderGo(name, text string, view any) ([]byte, error) {
	tmpl, err := template.New(name).Parse(text)
	if err != nil {
		return nil, fmt.Errorf("parsing the template of %s: %w", name, err)
	}
	var b bytes.Buffer
	if err := tmpl.Execute(&b, view); err != nil {
		return nil, fmt.Errorf("rendering %s: %w", name, err)
	}
	return format.Source(b.Bytes())
}

// goPackage names the Go package of a proto package as buf's managed mode does: the last two parts of its proto package.
func goPackage(pkg protoreflect.FullName) string {
	parts := strings.Split(string(pkg), ".")
	return strings.Join(parts[max(0, len(parts)-2):], "")
}
