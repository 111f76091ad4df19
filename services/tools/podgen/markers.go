// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
)

// Markers stand in the comments of Go types and fields, and say how these are merged when they are applied.
const (
	// listMapKeyMarker stands in the comment of a list's Go field, once for each part of the key of its items.
	listMapKeyMarker   = "+listMapKey="
	setMarker          = "+listType=set"
	atomicMapMarker    = "+mapType=atomic"
	atomicStructMarker = "+structType=atomic"
)

// markers are what the comments of a package's source say about merging.
type markers struct {
	// keys are list map keys by `Type.Field`. Comments, since the tags know only one field of a key.
	keys map[string][]string
	// merge has the values of the merge option by `Type.Field`.
	merge map[string]string
	// atomic are the types that are replaced as a whole.
	atomic map[string]bool
}

// readMarkers reads the markers in a package's source.
func readMarkers(pkgPath string) (markers, error) {
	pkg, err := build.Import(pkgPath, ".", build.FindOnly)
	if err != nil {
		return markers{}, fmt.Errorf("finding the source of %s: %w", pkgPath, err)
	}
	return parseMarkers(filepath.Join(pkg.Dir, "types.go"), nil)
}

func parseMarkers(path string, source any) (markers, error) {
	found := markers{keys: map[string][]string{}, merge: map[string]string{}, atomic: map[string]bool{}}
	file, err := parser.ParseFile(token.NewFileSet(), path, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return found, fmt.Errorf("parsing: %w", err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		decl, ok := n.(*ast.GenDecl)
		if !ok {
			return true
		}
		for _, s := range decl.Specs {
			spec, ok := s.(*ast.TypeSpec)
			if !ok {
				continue
			}
			if structType, ok := spec.Type.(*ast.StructType); ok {
				found.addType(spec.Name.Name, decl.Doc, structType)
			}
		}
		return false
	})
	return found, nil
}

func (m markers) addType(name string, doc *ast.CommentGroup, t *ast.StructType) {
	for _, marker := range lines(doc) {
		if marker == atomicStructMarker {
			m.atomic[name] = true
		}
	}
	for _, f := range t.Fields.List {
		if len(f.Names) != 1 {
			continue
		}
		field := name + "." + f.Names[0].Name
		for _, marker := range lines(f.Doc) {
			if key, ok := strings.CutPrefix(marker, listMapKeyMarker); ok {
				m.keys[field] = append(m.keys[field], key)
			}
			switch marker {
			case setMarker:
				m.merge[field] = mergeSet
			case atomicMapMarker, atomicStructMarker:
				m.merge[field] = mergeAtomic
			}
		}
	}
}

// lines are the lines of a comment.
func lines(doc *ast.CommentGroup) []string {
	if doc == nil {
		return nil
	}
	out := make([]string, len(doc.List))
	for i, line := range doc.List {
		out[i] = strings.TrimSpace(strings.TrimPrefix(line.Text, "//"))
	}
	return out
}
