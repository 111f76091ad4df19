// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// goodService is a service that would be taken.
func goodService(image string) string {
	return fmt.Sprintf(`{"apiVersion":"serving.knative.dev/v1","kind":"Service","metadata":{"name":"web"},"spec":{"template":{"spec":{"containers":[{"image":%q}]}}}}`, image)
}

// TestBadInput sends what must be refused: the code, the words and the fields of the answer are checked, and that nothing
// was stored.
func TestBadInput(t *testing.T) {
	ns := namespace(t)
	services := path("serving.knative.dev/v1", ns, "services")
	applyPath := "/apply?namespace=" + ns
	svc := func(metadata, spec string) string {
		return "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: " + metadata + "\nspec: " + spec + "\n"
	}
	const containers = "{template: {spec: {containers: [{image: registry.test/a:1}]}}}"
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'l'; c++ {
		bomb += fmt.Sprintf("%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n", c, c, c-1, c-1, c-1, c-1, c-1, c-1, c-1, c-1, c-1)
	}
	cases := map[string]struct {
		r      request
		code   int
		reason string
		says   []string
		fields []string
	}{
		"unknown kind, applied": {
			request{method: "POST", path: applyPath, body: "apiVersion: serving.knative.dev/v1\nkind: Servise\nmetadata: {name: web}\n"},
			400, "BadRequest", []string{"Servise", "serving.knative.dev/v1"}, []string{"documents[0]"},
		},
		"unknown kind, native": {
			request{method: "POST", path: applyPath, body: "apiVersion: v1\nkind: Podd\nmetadata: {name: web}\n"},
			404, "NotFound", []string{"Podd"}, nil,
		},
		"unknown resource": {
			request{method: "GET", path: path("serving.knative.dev/v1", ns, "servises")},
			404, "NotFound", []string{"/apis"}, nil,
		},
		"wrong kind at a path": {
			request{method: "POST", path: services, body: "apiVersion: serving.knative.dev/v1\nkind: Route\nmetadata: {name: web}\n"},
			400, "", []string{"Route", "Service"}, nil,
		},
		"unknown field, applied": {
			request{method: "POST", path: applyPath, body: svc("{name: web}", "{template: {spec: {containers: [{image: registry.test/a:1}], replicas: 3}}}")},
			400, "", []string{"spec.template.spec.replicas"}, nil,
		},
		"unknown field, Strict": {
			request{method: "POST", path: services + "?fieldValidation=Strict", body: svc("{name: web}", "{template: {spec: {containers: [{image: registry.test/a:1, imag: x}]}}}")},
			400, "", []string{"spec.template.spec.containers[0].imag"}, nil,
		},
		"wrong type": {
			request{method: "POST", path: services, body: svc("{name: web}", "{template: {spec: {containers: [{image: registry.test/a:1}], timeoutSeconds: soon}}}")},
			0, "", []string{"spec.template.spec.timeoutSeconds"}, nil,
		},
		"several faults at once": {
			request{method: "POST", path: services, body: svc("{name: web}",
				"{template: {spec: {containerConcurrency: -1, timeoutSeconds: 99999, containers: [{image: ''}]}}, traffic: [{percent: 30, latestRevision: true}]}")},
			422, "Invalid", nil,
			[]string{"spec.template.spec.containerConcurrency", "spec.template.spec.timeoutSeconds", "spec.template.spec.containers[0].image", "spec.traffic"},
		},
		"a name that is no DNS label": {
			request{method: "POST", path: services, body: svc("{name: Web_Shop}", containers)},
			422, "Invalid", []string{"Web_Shop"}, []string{"metadata.name"},
		},
		"percents that are not 100": {
			request{method: "POST", path: services, body: svc("{name: web}", "{template: {spec: {containers: [{image: registry.test/a:1}]}}, traffic: [{percent: 60, latestRevision: true}, {percent: 60, revisionName: web-00001}]}")},
			422, "Invalid", []string{"100"}, []string{"spec.traffic"},
		},
		"a body of 5 MB": {
			request{method: "POST", path: services, body: svc("{name: web, annotations: {a: "+strings.Repeat("x", 5<<20)+"}}", containers)},
			413, "RequestEntityTooLarge", nil, nil,
		},
		"a body of 5 MB, applied": {
			request{method: "POST", path: applyPath, body: svc("{name: web, annotations: {a: "+strings.Repeat("x", 5<<20)+"}}", containers)},
			413, "RequestEntityTooLarge", nil, nil,
		},
		"truncated YAML": {
			request{method: "POST", path: applyPath, body: svc("{name: web}", containers) + "---\napiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: web2\n"},
			400, "BadRequest", []string{"document 2"}, nil,
		},
		"a YAML bomb": {
			request{method: "POST", path: applyPath, body: bomb},
			400, "BadRequest", nil, nil,
		},
		"a YAML bomb at a resource": {
			request{method: "POST", path: services, body: bomb},
			400, "BadRequest", nil, nil,
		},
		"a namespace that does not exist": {
			request{method: "POST", path: path("serving.knative.dev/v1", "no-such-place", "services"), body: svc("{name: web}", containers)},
			404, "NotFound", []string{`namespaces "no-such-place" not found`}, nil,
		},
		"another namespace in the body": {
			request{method: "POST", path: services, body: svc("{name: web, namespace: elsewhere}", containers)},
			400, "BadRequest", []string{"elsewhere", ns}, nil,
		},
		"no token": {
			request{method: "GET", path: services, token: "-"},
			401, "Unauthorized", []string{"Bearer"}, nil,
		},
		"a forged token": {
			request{method: "GET", path: services, token: "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9."},
			401, "Unauthorized", nil, nil,
		},
		"a body of the wrong type": {
			request{method: "POST", path: services, body: "name=web", contentType: "application/x-www-form-urlencoded"},
			415, "UnsupportedMediaType", []string{"application/json"}, nil,
		},
		"a path with dots": {
			request{method: "GET", path: "/api/v1/../../apis/serving.knative.dev/v1/services"},
			0, "", nil, nil,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			a := do(t, tc.r)
			t.Logf("answered in %s", time.Since(start))
			if a.code < 400 || a.code >= 500 || tc.code != 0 && a.code != tc.code {
				t.Fatalf("code: got %d, want %d\n%s", a.code, tc.code, abridge(a.body))
			}
			st := a.status(t)
			if tc.reason != "" && string(st.Reason) != tc.reason {
				t.Errorf("reason: got %s, want %s", st.Reason, tc.reason)
			}
			for _, text := range tc.says {
				if !strings.Contains(st.Message, text) {
					t.Errorf("the message does not name %q: %s", text, st.Message)
				}
			}
			for _, f := range tc.fields {
				if !slices.Contains(fields(st), f) {
					t.Errorf("no cause names %s: %v", f, fields(st))
				}
			}
		})
	}
	a := do(t, request{method: http.MethodGet, path: services})
	var list struct{ Items []json.RawMessage }
	if err := json.Unmarshal(a.body, &list); err != nil || len(list.Items) != 0 {
		t.Errorf("something was stored: %d %s", a.code, a.body)
	}
}

func abridge(b []byte) []byte {
	if len(b) > 2000 {
		return b[:2000]
	}
	return b
}

// TestUnknownFieldWarns has an unknown field taken with a warning, as kube-apiserver does by default.
func TestUnknownFieldWarns(t *testing.T) {
	ns := namespace(t)
	body := strings.Replace(goodService(app(t)), `"containers"`, `"replicas":3,"containers"`, 1)
	a := do(t, request{method: http.MethodPost, path: path("serving.knative.dev/v1", ns, "services"), body: body, contentType: "application/json"})
	if a.code != http.StatusCreated {
		t.Fatalf("got %d %s", a.code, a.body)
	}
	if w := a.header.Get("Warning"); !strings.Contains(w, "spec.template.spec.replicas") {
		t.Errorf("Warning: %q does not name the field", w)
	}
}

// TestTokens has a token work, then expire or be revoked, and one refused where it has no right.
func TestTokens(t *testing.T) {
	ns := namespace(t)
	issue := func(seconds int) (tok, id string) {
		t.Helper()
		a := do(t, request{
			method: http.MethodPost, path: "/apis/auth.fairlead.dev/v1/tokens", contentType: "application/json",
			body: fmt.Sprintf(`{"user":"ada","expirationSeconds":%d}`, seconds),
		})
		var out struct{ Token, ID string }
		if err := json.Unmarshal(a.body, &out); err != nil || out.Token == "" {
			t.Fatalf("issue: %d %s", a.code, a.body)
		}
		return out.Token, out.ID
	}
	builds := path("build.knative.dev/v1alpha1", ns, "builds")

	tok, id := issue(600)
	if a := do(t, request{method: http.MethodGet, path: builds, token: tok}); a.code != http.StatusForbidden || !strings.Contains(a.status(t).Message, "ada") {
		t.Errorf("without a right: got %d %s, want 403 naming the user", a.code, a.body)
	}
	if a := do(t, request{method: http.MethodGet, path: "/api/v1/namespaces/" + ns + "/pods", token: tok}); a.code != http.StatusForbidden || !strings.Contains(string(a.body), "fairlead:ada") {
		t.Errorf("at the cluster: got %d %s, want 403 for fairlead:ada", a.code, a.body)
	}
	apply(t, ns, fmt.Sprintf(`apiVersion: auth.fairlead.dev/v1
kind: Role
metadata: {name: reader, namespace: %[1]s}
rules: [{apiGroups: [build.knative.dev], resources: [builds], verbs: [get, list]}]
---
apiVersion: auth.fairlead.dev/v1
kind: RoleBinding
metadata: {name: reader, namespace: %[1]s}
subjects: [{kind: User, name: ada, apiGroup: auth.fairlead.dev}]
roleRef: {apiGroup: auth.fairlead.dev, kind: Role, name: reader}
`, ns))
	waitCode(t, request{method: http.MethodGet, path: builds, token: tok}, http.StatusOK)
	if a := do(t, request{method: http.MethodGet, path: path("build.knative.dev/v1alpha1", "default", "builds"), token: tok}); a.code != http.StatusForbidden {
		t.Errorf("in another namespace: got %d, want 403", a.code)
	}
	if a := do(t, request{method: http.MethodDelete, path: "/apis/auth.fairlead.dev/v1/tokens/" + id}); a.code != http.StatusOK {
		t.Fatalf("revoke: %d %s", a.code, a.body)
	}
	waitCode(t, request{method: http.MethodGet, path: builds, token: tok}, http.StatusUnauthorized)

	short, _ := issue(1)
	waitCode(t, request{method: http.MethodGet, path: builds, token: short}, http.StatusUnauthorized)
	if a := do(t, request{method: http.MethodGet, path: builds, token: short}); !strings.Contains(a.status(t).Message, "expired") {
		t.Errorf("expired: the message does not say so: %s", a.body)
	}
}

// waitCode sends a request until it is answered with a code; rights and revocations take a moment to be known.
func waitCode(t *testing.T, r request, code int) {
	t.Helper()
	var a answer
	for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); {
		if a = do(t, r); a.code == code {
			return
		}
	}
	t.Fatalf("%s %s: got %d %s, want %d", r.method, r.path, a.code, a.body, code)
}
