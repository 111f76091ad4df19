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

// listMapKeyMarker stands in the comment of a list's Go field, once for each part of the key of its items.
const listMapKeyMarker = "+listMapKey="

// readListMapKeys reads the list map keys from the comments of a package's source, by `Type.Field`. Comments, since the
// tags know only one field of a key.
func readListMapKeys(pkgPath string) (map[string][]string, error) {
	pkg, err := build.Import(pkgPath, ".", build.FindOnly)
	if err != nil {
		return nil, fmt.Errorf("finding the source of %s: %w", pkgPath, err)
	}
	return parseListMapKeys(filepath.Join(pkg.Dir, "types.go"), nil)
}

func parseListMapKeys(path string, source any) (map[string][]string, error) {
	file, err := parser.ParseFile(token.NewFileSet(), path, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("parsing: %w", err)
	}
	keys := map[string][]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		if structType, ok := spec.Type.(*ast.StructType); ok {
			addListMapKeys(keys, spec.Name.Name, structType)
		}
		return false
	})
	return keys, nil
}

func addListMapKeys(keys map[string][]string, typeName string, t *ast.StructType) {
	for _, f := range t.Fields.List {
		if f.Doc == nil || len(f.Names) != 1 {
			continue
		}
		name := typeName + "." + f.Names[0].Name
		for _, line := range f.Doc.List {
			if key, ok := strings.CutPrefix(strings.TrimSpace(strings.TrimPrefix(line.Text, "//")), listMapKeyMarker); ok {
				keys[name] = append(keys[name], key)
			}
		}
	}
}
