// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"encoding/json"
	"strings"
	"testing"

	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestWriteOptions gives options in every way, right and wrong: the answers are kube-apiserver's.
func TestWriteOptions(t *testing.T) {
	f := start(t)
	f.send("POST", builds, build("one", ""))
	const merge = "application/merge-patch+json"
	tests := []struct {
		reason, method, path, body, contentType string
		code                                    int
		status                                  kmetav1.StatusReason
		says                                    string
	}{
		{"a dry run that there is not", "POST", builds + "?dryRun=Some", build("a", ""), "", 422, "Invalid", `CreateOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value`},
		{"a dry run of some, in an update", "PUT", builds + "/one?dryRun=Some", build("one", ""), "", 422, "Invalid", "UpdateOptions"},
		{"a dry run of some, in a patch", "PATCH", builds + "/one?dryRun=Some", "{}", merge, 422, "Invalid", "PatchOptions"},
		{"a dry run of some, in a deletion", "DELETE", builds + "/one?dryRun=Some", "", "", 422, "Invalid", "DeleteOptions"},
		{"a dry run of some, in the body of a deletion", "DELETE", builds + "/one", `{"dryRun":["Some"]}`, "", 422, "Invalid", "DeleteOptions"},
		{"a dry run of a deletion", "DELETE", builds + "/one", `{"kind":"DeleteOptions","apiVersion":"v1","dryRun":["All"]}`, "", 200, "", `"status":"Success"`},
		{"a dry run of the deletion of all", "DELETE", builds + "?dryRun=All", "", "", 200, "", `"status":"Success"`},
		{"after both", "GET", builds + "/one", "", "", 200, "", `"name":"one"`},
		{"a validation that there is not", "POST", builds + "?fieldValidation=Loose", build("a", ""), "", 422, "Invalid", "fieldValidation: Unsupported value"},
		{"a manager without end", "POST", builds + "?fieldManager=" + strings.Repeat("m", 129), build("a", ""), "", 422, "Invalid", "fieldManager: Too long"},
		{"a manager that nobody can print", "POST", builds + "?fieldManager=%07", build("a", ""), "", 422, "Invalid", "fieldManager: Invalid value"},
		{"force where nothing is applied", "PATCH", builds + "/one?force=true", "{}", merge, 422, "Invalid", "force: Forbidden: may not be specified for non-apply patch"},
		{"an apply by nobody", "PATCH", builds + "/one", build("one", ""), "application/apply-patch+yaml", 422, "Invalid", "fieldManager: Required value: is required for apply patch"},
		{"a policy that there is not", "DELETE", builds + "/one?propagationPolicy=Sideways", "", "", 422, "Invalid", "propagationPolicy: Unsupported value"},
		{"a policy in two ways", "DELETE", builds + "/one", `{"propagationPolicy":"Orphan","orphanDependents":true}`, "", 422, "Invalid", "cannot be both set"},
		{"a grace period that is no number", "DELETE", builds + "/one?gracePeriodSeconds=long", "", "", 400, "BadRequest", "long"},
		{"a body of another kind", "DELETE", builds + "/one", `{"kind":"Pod","apiVersion":"v1"}`, "", 400, "BadRequest", "the body is a Pod"},
		{"a body that is no JSON", "DELETE", builds + "/one", `{"kind":`, "", 400, "BadRequest", ""},
		{"another version", "DELETE", builds + "/one", `{"preconditions":{"resourceVersion":"1"}}`, "", 409, "Conflict", ""},
		{"a scale, which there is not", "GET", builds + "/one/scale", "", "", 404, "NotFound", `builds.build.knative.dev have no subresource \"scale\"`},
		{"a scale to write", "PUT", builds + "/one/scale", `{"spec":{"replicas":2}}`, "", 404, "NotFound", "subresource"},
		{"a status is read", "GET", builds + "/one/status", "", "", 200, "", `"name":"one"`},
		{"a status of nothing", "GET", builds + "/absent/status", "", "", 404, "NotFound", `\"absent\" not found`},
		{"a status is not made", "POST", builds + "/one/status", build("one", ""), "", 405, "MethodNotAllowed", ""},
		{"a status of what has none", "GET", "/apis/auth.fairlead.dev/v1/namespaces/default/roles/a/status", "", "", 404, "NotFound", "subresource"},
		{"an object is not made at its own path", "POST", builds + "/one", build("one", ""), "", 405, "MethodNotAllowed", ""},
		{"the same policy as old clients say it", "DELETE", builds + "/one", `{"orphanDependents":true}`, "", 200, "", `"finalizers":["orphan"]`},
	}
	for _, test := range tests {
		t.Run(test.reason, func(t *testing.T) {
			code, _, body := f.send(test.method, test.path, test.body, "Content-Type", test.contentType)
			var st kmetav1.Status
			if err := json.Unmarshal([]byte(body), &st); err != nil {
				t.Fatalf("%v: %s", err, body)
			}
			if code != test.code || st.Reason != test.status || !strings.Contains(body, test.says) {
				t.Errorf("got %d %s, want %d %s with %q", code, body, test.code, test.status, test.says)
			}
		})
	}
}
