// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package apierror_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const statusPackage = "google.golang.org/grpc/status"

// makers are what makes a status from a code.
var makers = []string{"Error", "ErrorProto", "Errorf", "New", "Newf"}

// TestOnlyHere keeps gRPC statuses out of every other package: what they return is an Error, which is mapped here.
func TestOnlyHere(t *testing.T) {
	const services = "../.."
	files := 0
	err := filepath.WalkDir(services, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || path == filepath.Join(services, "internal", "apierror")):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		files++
		for _, at := range statusesMade(t, path, nil) {
			t.Errorf("%s makes a gRPC status; return an apierror.Error instead", at)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 100 {
		t.Errorf("only %d files below %s: is that where the services are?", files, services)
	}
}

func TestStatusesMade(t *testing.T) {
	for _, tc := range []struct {
		reason, src string
		want        []string
	}{
		{"called", `import "google.golang.org/grpc/status"; var _ = status.Error(5, "")`, []string{"x.go:1:60: status.Error"}},
		{"as a value", `import "google.golang.org/grpc/status"; var _ = status.Newf`, []string{"x.go:1:60: status.Newf"}},
		{"under another name", `import s "google.golang.org/grpc/status"; var _ = s.Errorf`, []string{"x.go:1:62: status.Errorf"}},
		{"under no name", `import . "google.golang.org/grpc/status"; var _ = New`, []string{"x.go:1:19: imported with a dot"}},
		{"read only", `import "google.golang.org/grpc/status"; var _ = status.Code`, nil},
		{"another package", `import "example.com/status"; var _ = status.Error`, nil},
	} {
		t.Run(tc.reason, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, statusesMade(t, "x.go", "package x; "+tc.src)); diff != "" {
				t.Errorf("places (-want +got):\n%s", diff)
			}
		})
	}
}

// statusesMade returns where a file makes gRPC statuses. src is its text, nil to read it.
func statusesMade(t *testing.T, path string, src any) []string {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, src, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var places, names []string
	for _, imp := range file.Imports {
		switch p, _ := strconv.Unquote(imp.Path.Value); {
		case p != statusPackage:
		case imp.Name == nil:
			names = append(names, "status")
		case imp.Name.Name == ".":
			places = append(places, set.Position(imp.Pos()).String()+": imported with a dot")
		default:
			names = append(names, imp.Name.Name)
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok && slices.Contains(names, x.Name) && slices.Contains(makers, s.Sel.Name) {
				places = append(places, set.Position(s.Pos()).String()+": status."+s.Sel.Name)
			}
		}
		return true
	})
	return places
}
