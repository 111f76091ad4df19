// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package reference_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/gateway/reference"
)

func TestPage(t *testing.T) {
	h, err := reference.New(kinds.Versions())
	if err != nil {
		t.Fatal(err)
	}
	get := func(method, path, match string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
		r.Header.Set("If-None-Match", match)
		h.ServeHTTP(w, r)
		return w
	}
	page := get("GET", "/reference/", "")
	for _, tc := range []struct {
		reason, method, path string
		code                 int
		mime, says           string
	}{
		{"the page", "GET", "/reference/", 200, "text/html", "Fairlead API reference"},
		{"its folder without a slash", "GET", "/reference", 301, "", ""},
		{"its script", "GET", "/reference/reference.js", 200, "text/javascript", "SwaggerUIBundle"},
		{"its groups", "GET", "/reference/groups.json", 200, "application/json", `"serving.knative.dev/v1"`},
		{"Swagger UI", "GET", "/reference/swagger-ui/swagger-ui-bundle.js", 200, "text/javascript", "SwaggerUIBundle"},
		{"its styles", "GET", "/reference/swagger-ui/swagger-ui.css", 200, "text/css", ".swagger-ui"},
		{"no such file", "GET", "/reference/other.js", 404, "", ""},
		{"a folder", "GET", "/reference/swagger-ui/", 404, "", ""},
		{"a write", "POST", "/reference/", 405, "", ""},
	} {
		w := get(tc.method, tc.path, "")
		if w.Code != tc.code || !strings.HasPrefix(w.Header().Get("Content-Type"), tc.mime) || !strings.Contains(w.Body.String(), tc.says) {
			t.Errorf("%s: %d %s %.200s", tc.reason, w.Code, w.Header().Get("Content-Type"), w.Body)
		}
		if w.Header().Get("Content-Security-Policy") == "" {
			t.Errorf("%s: no Content-Security-Policy", tc.reason)
		}
	}
	if w := get("GET", "/reference/", page.Header().Get("ETag")); w.Code != http.StatusNotModified {
		t.Errorf("a page that the browser has: %d, want 304", w.Code)
	}
	for _, name := range []string{"/reference/", "/reference/reference.css", "/reference/reference.js"} {
		if found := regexp.MustCompile(`(src|href|url|import|fetch)\W{1,3}(https?:)?//`).FindString(get("GET", name, "").Body.String()); found != "" {
			t.Errorf("%s loads from another server: %s", name, found)
		}
	}
}
