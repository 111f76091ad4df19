// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"net/http"
	"strings"
	"testing"
)

func TestHistoryAndRollback(t *testing.T) {
	f := start(t)
	if code, _, body := f.send(http.MethodPost, builds, build("web", "")); code != http.StatusCreated {
		t.Fatalf("%d %s", code, body)
	}
	if code, _, body := f.send(http.MethodPatch, builds+"/web", `{"spec":{"serviceAccountName":"robot"}}`, "Content-Type", "application/merge-patch+json"); code != http.StatusOK {
		t.Fatalf("%d %s", code, body)
	}
	for _, c := range []struct {
		reason, method, path, body string
		headers                    []string
		code                       int
		want                       string
	}{
		{"what was", "GET", "/web/history", "", nil, 200, `{"versions":[{"generation":1,"replaced":"`},
		{"unknown parameters are passed over", "GET", "/web/history?pretty=true&resourceVersion=1", "", nil, 200, `"generation":1`},
		{"as YAML", "GET", "/web/history", "", []string{"Accept", "application/yaml"}, 200, "- generation: 1"},
		{"no such object", "GET", "/none/history", "", nil, 404, "not found"},
		{"no right", "GET", "/web/history", "", []string{"Authorization", "Bearer bob"}, 403, "bob may not get"},
		{"no way to write it", "PUT", "/web/history", "{}", nil, 405, "not supported"},
		{"nothing below it", "GET", "/web/history/1", "", nil, 404, "nothing is served"},
		{"a dry run", "POST", "/web/rollback?generation=1&dryRun=All", "", nil, 200, `"generation":3`},
		{"to what never was", "POST", "/web/rollback?generation=7", "", nil, 422, "there are the generations 1"},
		{"to what is no number", "POST", "/web/rollback?generation=x", "", nil, 400, "generation"},
		{"to what is below any", "POST", "/web/rollback?generation=-1", "", nil, 422, "generation"},
		{"a bad dry run", "POST", "/web/rollback?dryRun=Some", "", nil, 422, "dryRun"},
		{"no right to change", "POST", "/web/rollback", "", []string{"Authorization", "Bearer bob"}, 403, "bob may not update"},
		{"of no such object", "POST", "/none/rollback", "", nil, 404, "not found"},
		{"no way to read it", "GET", "/web/rollback", "", nil, 405, "not supported"},
		{"whatever the body says", "POST", "/web/rollback?generation=1", `{"a":`, []string{"Content-Type", "text/nonsense"}, 200, `"generation":3`},
		{"now it is as it was", "GET", "/web", "", nil, 200, `"generation":3`},
	} {
		code, _, body := f.send(c.method, builds+c.path, c.body, c.headers...)
		if code != c.code || !strings.Contains(body, c.want) {
			t.Errorf("%s: got %d %s, want %d with %s", c.reason, code, body, c.code, c.want)
		}
	}
	if _, _, body := f.send(http.MethodGet, builds+"/web", ""); strings.Contains(body, "robot") {
		t.Errorf("after the rollback: %s", body)
	}
}

func TestAtomicApply(t *testing.T) {
	f := start(t)
	two := build("one", "") + "\n---\n" + build("two", "")
	bad := strings.Replace(build("Bad_Name", ""), "spec", "specs", 1)
	for _, c := range []struct {
		reason, query, body string
		headers             []string
		code                int
		want                string
	}{
		{"a dry run", "?atomic=true&dryRun=All", two, nil, 200, `"action":"created"`},
		{"which stored nothing", "?atomic=true&dryRun=All", two, nil, 200, `"action":"created"`},
		{"a fault in one", "?atomic=true", two + "\n---\n" + bad, nil, 400, "specs"},
		{"a kind of the cluster's", "?atomic=true", two + "\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n", nil, 400, "no part in an atomic apply"},
		{"no right", "?atomic=true", two, []string{"Authorization", "Bearer bob"}, 403, "documents[1]"},
		{"no document", "?atomic=true", "", nil, 400, "no document"},
		{"neither true nor false", "?atomic=maybe", two, nil, 400, "it may be true or false"},
		{"a bad dry run", "?atomic=true&dryRun=Some", two, nil, 400, "it may be All"},
		{"not YAML", "?atomic=true", "{", nil, 400, ""},
		{"both", "?atomic=true", two, nil, 200, `"kind":"ApplyResult","apiVersion":"apply.fairlead.dev/v1"`},
		{"both again", "?atomic=1", two, nil, 200, `"action":"unchanged"`},
	} {
		code, _, body := f.send(http.MethodPost, "/apply"+c.query, c.body, c.headers...)
		if code != c.code || !strings.Contains(body, c.want) {
			t.Errorf("%s: got %d %s, want %d with %s", c.reason, code, body, c.code, c.want)
		}
	}
}

func TestSubresourcesAreDiscovered(t *testing.T) {
	f := start(t)
	_, _, body := f.send(http.MethodGet, "/apis/build.knative.dev/v1alpha1", "")
	for _, want := range []string{`"name":"builds/history"`, `"name":"builds/rollback"`, `"name":"builds/status"`} {
		if !strings.Contains(body, want) {
			t.Errorf("%s is not in %s", want, body)
		}
	}
	if _, _, body := f.send(http.MethodGet, "/openapi/v3/apis/build.knative.dev/v1alpha1", ""); !strings.Contains(body, "/builds/{name}/rollback") {
		t.Error("OpenAPI has no rollback")
	}
}
