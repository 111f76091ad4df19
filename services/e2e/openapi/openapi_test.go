// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package openapi_test has validators of others read the OpenAPI documents that the front door serves.
package openapi_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/getkin/kin-openapi/openapi2"
	"github.com/getkin/kin-openapi/openapi2conv"
	"github.com/getkin/kin-openapi/openapi3"
	"github.com/go-openapi/loads"
	"github.com/go-openapi/strfmt"
	"github.com/go-openapi/validate"
	"go.uber.org/goleak"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/e2e/inprocess"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func get(t *testing.T, s inprocess.Server, path string) []byte {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	r.Header.Set("Authorization", "Bearer "+s.Admin)
	r.Header.Set("Accept", "application/json")
	s.Handler.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Fatalf("%s: %d %s", path, w.Code, w.Body)
	}
	return w.Body.Bytes()
}

// TestV3 has kin-openapi validate the document of each group and version, which the index lists.
func TestV3(t *testing.T) {
	s := inprocess.Start(t)
	var index struct {
		Paths map[string]struct {
			ServerRelativeURL string `json:"serverRelativeURL"`
		} `json:"paths"`
	}
	if err := json.Unmarshal(get(t, s, "/openapi/v3"), &index); err != nil {
		t.Fatal(err)
	}
	var seen []string
	for _, k := range kinds.Versions() {
		path := "apis/" + k.APIVersion()
		if slices.Contains(seen, path) {
			continue
		}
		seen = append(seen, path)
		t.Run(k.APIVersion(), func(t *testing.T) {
			listed, ok := index.Paths[path]
			if !ok {
				t.Fatalf("the index does not list it: %v", index)
			}
			doc, err := openapi3.NewLoader().LoadFromData(get(t, s, listed.ServerRelativeURL))
			if err != nil {
				t.Fatal(err)
			}
			if err := doc.Validate(t.Context()); err != nil {
				t.Error(err)
			}
			if doc.Paths.Len() == 0 || len(doc.Components.Schemas) == 0 {
				t.Error("the document is empty")
			}
		})
	}
}

// TestV2 has go-openapi hold the one document of all groups against the schema of OpenAPI v2, and kin-openapi follow its
// references and read it as v3. go-openapi's other checks write out every reference in place, which pods are too large for.
func TestV2(t *testing.T) {
	data := get(t, inprocess.Start(t), "/openapi/v2")
	doc, err := loads.Analyzed(data, "2.0")
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(data, &tree); err != nil {
		t.Fatal(err)
	}
	if err := validate.AgainstSchema(doc.Schema(), tree, strfmt.Default); err != nil {
		t.Error(err)
	}
	var v2 openapi2.T
	if err := json.Unmarshal(data, &v2); err != nil {
		t.Fatal(err)
	}
	v3, err := openapi2conv.ToV3(&v2)
	if err != nil {
		t.Fatal(err)
	}
	if err := v3.Validate(t.Context()); err != nil {
		t.Error(err)
	}
	if v3.Paths.Len() == 0 {
		t.Error("the document is empty")
	}
}
