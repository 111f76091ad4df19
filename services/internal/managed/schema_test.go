// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package managed_test

import (
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/reflect/protoreflect"
	"k8s.io/kube-openapi/pkg/schemaconv"
	"sigs.k8s.io/structured-merge-diff/v6/schema"
	"sigs.k8s.io/structured-merge-diff/v6/typed"

	corepb "fairlead.dev/gen/go/fairlead/core/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/openapi"
)

// schemaOf returns the types of messages and of all that is in them.
func schemaOf(t *testing.T, messages ...protoreflect.MessageDescriptor) *schema.Schema {
	t.Helper()
	models, err := openapi.MergeSchemas(messages...)
	if err != nil {
		t.Fatal(err)
	}
	out, err := schemaconv.ToSchemaFromOpenAPI(models, false)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// clientGoSchema reads the schema that client-go's apply configurations go by. It is not exported, so it is read from the source.
func clientGoSchema(t *testing.T) *schema.Schema {
	t.Helper()
	pkg, err := build.Import("k8s.io/client-go/applyconfigurations/internal", ".", build.FindOnly)
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(pkg.Dir, "internal.go"), nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var text string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || spec.Names[0].Name != "schemaYAML" {
			return true
		}
		ast.Inspect(spec, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok {
				text, err = strconv.Unquote(lit.Value)
			}
			return true
		})
		return false
	})
	if text == "" || err != nil {
		t.Fatalf("the schema is not found: %v", err)
	}
	p, err := typed.NewParser(typed.YAMLObject(text))
	if err != nil {
		t.Fatal(err)
	}
	return &p.Schema
}

// merging tells in words how the values of a type are merged, apart from what is in them.
func merging(s *schema.Schema, ref schema.TypeRef) string {
	atom, ok := s.Resolve(ref)
	switch {
	case !ok:
		return "?"
	case atom.List != nil && atom.Scalar == nil:
		return strings.TrimSpace(fmt.Sprintf("%s list %s", atom.List.ElementRelationship, strings.Join(slices.Sorted(slices.Values(atom.List.Keys)), ",")))
	case atom.Map != nil && atom.Scalar == nil && atom.Map.ElementRelationship == schema.Atomic:
		return "atomic map"
	case atom.Map != nil && atom.Scalar == nil:
		return "map"
	}
	return "value"
}

// TestPodFieldsMergeAsInKubernetes holds each field of a pod to what Kubernetes' own clients merge it by.
func TestPodFieldsMergeAsInKubernetes(t *testing.T) {
	ours, theirs := schemaOf(t, (&corepb.PodSpec{}).ProtoReflect().Descriptor()), clientGoSchema(t)
	prefixes := map[string]string{"fairlead.core.v1.": "io.k8s.api.core.v1.", "fairlead.meta.v1.": "io.k8s.apimachinery.pkg.apis.meta.v1."}
	compared := 0
	for _, def := range ours.Types {
		for prefix, kubernetes := range prefixes {
			short, ok := strings.CutPrefix(def.Name, prefix)
			if !ok || def.Map == nil || short == "ManagedFieldsEntry" { // which is not merged
				continue
			}
			name := kubernetes + short
			want, ok := theirs.FindNamedType(name)
			if !ok || want.Map == nil {
				continue
			}
			got := map[string]string{"": merging(ours, schema.TypeRef{NamedType: &def.Name})}
			expected := map[string]string{"": merging(theirs, schema.TypeRef{NamedType: &name})}
			for _, f := range def.Map.Fields {
				if other, ok := want.Map.FindField(f.Name); ok {
					got[f.Name], expected[f.Name] = merging(ours, f.Type), merging(theirs, other.Type)
					compared++
				}
			}
			if d := cmp.Diff(expected, got); d != "" {
				t.Errorf("%s (-Kubernetes +ours):\n%s", def.Name, d)
			}
		}
	}
	if compared < 300 {
		t.Errorf("only %d fields were compared", compared)
	}
}

func TestListsOfOurs(t *testing.T) {
	s := schemaOf(t, (&servingv1.Service{}).ProtoReflect().Descriptor(), (&metav1.ObjectMeta{}).ProtoReflect().Descriptor())
	for _, c := range []struct{ reason, message, field, want string }{
		{"the parts of a traffic split make sense together only, as in Knative", "fairlead.serving.v1.ServiceSpec", "traffic", "atomic list"},
		{"controllers set conditions of their own", "fairlead.serving.v1.ServiceStatus", "conditions", "associative list type"},
		{"owners are many", "fairlead.meta.v1.ObjectMeta", "ownerReferences", "associative list uid"},
		{"finalizers belong to who adds them", "fairlead.meta.v1.ObjectMeta", "finalizers", "associative list"},
		{"labels belong to who adds them", "fairlead.meta.v1.ObjectMeta", "labels", "map"},
		{"arbitrary JSON is merged as what it is", "fairlead.meta.v1.ManagedFieldsEntry", "fieldsV1", "value"},
	} {
		def, ok := s.FindNamedType(c.message)
		if !ok {
			t.Fatalf("there is no %s", c.message)
		}
		f, ok := def.Map.FindField(c.field)
		if !ok {
			t.Errorf("%s has no %s", c.message, c.field)
			continue
		}
		if got := merging(s, f.Type); got != c.want {
			t.Errorf("%s.%s: got %s, want %s: %s", c.message, c.field, got, c.want, c.reason)
		}
	}
}
