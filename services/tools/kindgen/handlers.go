// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	_ "embed"
	"maps"
	"path"
	"slices"

	"github.com/bufbuild/protocompile/linker"
	"google.golang.org/protobuf/reflect/protoreflect"
)

//go:embed rest.go.tmpl
var handlersTemplate string

const httpOption = "google.api.http"

// handlersView is what the template of the REST handlers shows.
type handlersView struct {
	Marker  string
	Imports []importView
	// Handlers are the Go names of the functions that grpc-gateway generates, sorted.
	Handlers []string
}

// renderHandlers returns the Go file that lists the REST handlers: those of all kinds, and those of the services that
// people wrote and bound to paths.
func renderHandlers(kinds []kind, written linker.Files) ([]byte, error) {
	imports, handlers := map[string]string{}, map[string]bool{}
	add := func(pkg protoreflect.FullName, file, service string) {
		alias := goPackage(pkg)
		imports[goPrefix+path.Dir(file)] = alias
		handlers[alias+".Register"+service+"Handler"] = true
	}
	for _, k := range kinds {
		add(k.pkg, k.file, string(k.message)+"Service")
	}
	for _, file := range written {
		for i := range file.Services().Len() {
			if service := file.Services().Get(i); hasPaths(service) {
				add(file.Package(), file.Path(), string(service.Name()))
			}
		}
	}
	view := handlersView{Marker: marker, Handlers: slices.Sorted(maps.Keys(handlers))}
	for _, importPath := range slices.Sorted(maps.Keys(imports)) {
		view.Imports = append(view.Imports, importView{Name: imports[importPath], Path: importPath})
	}
	return renderGo("rest", handlersTemplate, view)
}

// hasPaths tells whether a method of the service is bound to a path, so that grpc-gateway makes a handler.
func hasPaths(service protoreflect.ServiceDescriptor) bool {
	for i := range service.Methods().Len() {
		if _, bound := messageOption(service.Methods().Get(i), httpOption); bound {
			return true
		}
	}
	return false
}
