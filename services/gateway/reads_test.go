// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	acceptTable       = "application/json;as=Table;v=v1;g=meta.k8s.io"
	acceptOldTable    = "application/json;as=Table;v=v1beta1;g=meta.k8s.io"
	acceptPartial     = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
	acceptPartialList = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
	protobuf          = "application/vnd.kubernetes.protobuf"
)

// TestForms asks for objects in every form, and in some that there are not.
func TestForms(t *testing.T) {
	f := start(t)
	f.send("POST", builds, build("one", `,"labels":{"a":"b"}`))
	tests := []struct {
		reason, path, accept string
		code                 int
		says, lacks          string
	}{
		{"kubectl's own header", builds, acceptTable + "," + acceptOldTable + ",application/json", 200, `{"kind":"Table","apiVersion":"meta.k8s.io/v1",`, ""},
		{"older kubectl", builds, acceptOldTable, 200, `{"kind":"Table","apiVersion":"meta.k8s.io/v1beta1",`, ""},
		{"rows hold metadata", builds, acceptTable, 200, `"object":{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{`, `"spec"`},
		{"and say so", builds + "?includeObject=Metadata", acceptTable, 200, `"PartialObjectMetadata"`, `"spec"`},
		{"rows hold objects", builds + "?includeObject=Object", acceptTable, 200, `"spec":{"steps"`, ""},
		{"rows hold nothing", builds + "?includeObject=None", acceptTable, 200, `"object":null`, "PartialObjectMetadata"},
		{"rows hold nonsense", builds + "?includeObject=Some", acceptTable, 400, "must be 'Metadata', 'Object', 'None', or empty", ""},
		{"an unwanted parameter is ignored", builds + "?includeObject=Some", "application/json", 200, `"kind":"BuildList"`, ""},
		{"metadata of a list", builds, acceptPartialList, 200, `{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","metadata":{"resourceVersion":"`, `"spec"`},
		{"metadata of its items", builds, acceptPartialList, 200, `"items":[{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"one"`, `"spec"`},
		{"metadata of no items", builds + "?labelSelector=a%3Dc", acceptPartialList, 200, `"items":[]`, ""},
		{"metadata of an object", builds + "/one", acceptPartial, 200, `{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"one"`, `"spec"`},
		{"metadata as it was", builds + "/one", strings.Replace(acceptPartial, "v=v1", "v=v1beta1", 1), 200, `"apiVersion":"meta.k8s.io/v1beta1"`, `"spec"`},
		{"an object is no list", builds + "/one", acceptPartialList, 406, `"reason":"NotAcceptable"`, ""},
		{"a list is no object", builds, acceptPartial, 406, `"reason":"NotAcceptable"`, ""},
		{"protobuf alone", builds, protobuf, 406, `"reason":"NotAcceptable"`, ""},
		{"metadata in protobuf alone", builds, protobuf + ";as=PartialObjectMetadataList;v=v1;g=meta.k8s.io", 406, "", ""},
		{"protobuf or else", builds, protobuf + ",application/json", 200, `"kind":"BuildList"`, ""},
		{"a preference", builds, "application/json;q=0.2, application/yaml;q=0.9", 200, "kind: BuildList\n", ""},
		{"a Table that there is not", builds, "application/json;as=Table;v=v9;g=meta.k8s.io", 406, "", ""},
		{"a Table that there is not, or else", builds, "application/json;as=Table;v=v9;g=meta.k8s.io,application/json", 200, `"kind":"BuildList"`, ""},
		{"what nobody knows", builds, "application/json;as=Chair;v=v1;g=meta.k8s.io", 406, "", ""},
		{"discovery in protobuf alone", "/apis/build.knative.dev/v1alpha1", protobuf, 406, "", ""},
	}
	for _, test := range tests {
		t.Run(test.reason, func(t *testing.T) {
			code, _, body := f.send("GET", test.path, "", "Accept", test.accept)
			if code != test.code || !strings.Contains(body, test.says) || test.lacks != "" && strings.Contains(body, test.lacks) {
				t.Errorf("got %d %s, want %d with %q and without %q", code, body, test.code, test.says, test.lacks)
			}
		})
	}
	for _, accept := range []string{acceptTable, acceptPartial} {
		code, _, body := f.send("POST", builds, build("made", ""), "Accept", accept)
		if want := strings.TrimPrefix(strings.Split(accept, ";")[1], "as="); code != 201 || !strings.Contains(body, `"kind":"`+want+`"`) {
			t.Errorf("an object as it is made, as %s: got %d %s", want, code, body)
		}
		f.send("DELETE", builds+"/made", "", "Accept", accept)
	}
}

// TestReadOptions gives options in every way, right and wrong: the answers are kube-apiserver's.
func TestReadOptions(t *testing.T) {
	f := start(t)
	f.send("POST", builds, build("one", ""))
	f.send("POST", builds, build("two", ""))
	_, _, body := f.send("GET", builds+"?limit=1", "")
	var page struct{ Metadata kmetav1.ListMeta }
	if err := json.Unmarshal([]byte(body), &page); err != nil || page.Metadata.Continue == "" || *page.Metadata.RemainingItemCount != 1 {
		t.Fatalf("a page: %s", body)
	}
	next, version := "continue="+url.QueryEscape(page.Metadata.Continue), page.Metadata.ResourceVersion
	tests := []struct {
		reason, query string
		code          int
		status        kmetav1.StatusReason
		says          string
	}{
		{"the next page", next, 200, "", `"name":"two"`},
		{"the next page, by those who began with any version", next + "&resourceVersion=0", 200, "", `"name":"two"`},
		{"the next page of another version", next + "&resourceVersion=" + version, 400, "BadRequest", "continue"},
		{"the next page, and a match", next + "&resourceVersionMatch=Exact&resourceVersion=" + version, 422, "Invalid", "resourceVersionMatch is forbidden when continue is provided"},
		{"the token of another list", next + "&labelSelector=a", 400, "BadRequest", "continue"},
		{"a token that is none", "continue=%00", 400, "BadRequest", "continue"},
		{"a token of kube-apiserver's form", "continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiIuLi8uLi8ifQ", 400, "BadRequest", "continue"},
		{"any version", "resourceVersion=0", 200, "", `"name":"one"`},
		{"any version, so said", "resourceVersion=0&resourceVersionMatch=NotOlderThan", 200, "", `"name":"one"`},
		{"any version is not exactly one", "resourceVersion=0&resourceVersionMatch=Exact", 422, "Invalid", `forbidden for resourceVersion \"0\"`},
		{"exactly a version", "resourceVersionMatch=Exact&resourceVersion=" + version, 200, "", `"resourceVersion":"` + version + `"`},
		{"at least a version", "resourceVersionMatch=NotOlderThan&resourceVersion=" + version, 200, "", `"name":"two"`},
		{"a match of nothing", "resourceVersionMatch=Exact", 422, "Invalid", "forbidden unless resourceVersion is provided"},
		{"a match that there is not", "resourceVersionMatch=Nearly&resourceVersion=1", 422, "Invalid", `Unsupported value: \"Nearly\"`},
		{"a version that is none", "resourceVersion=abc", 400, "BadRequest", ""},
		{"a watch from a version that is none", "watch=1&resourceVersion=abc", 400, "BadRequest", ""},
		{"exactly a version to come", "resourceVersionMatch=Exact&resourceVersion=9000000000", 504, "Timeout", "Too large resource version"},
		{"a version to come", "resourceVersion=9000000000", 504, "Timeout", "Too large resource version"},
		{"initial events of a list", "sendInitialEvents=true", 422, "Invalid", "sendInitialEvents is forbidden for list"},
		{"a limit that is no number", "limit=some", 400, "BadRequest", "some"},
		{"no limit", "limit=-1", 200, "", `"name":"two"`},
		{"a label selector that is none", "labelSelector=a%3D%3D%3Db", 400, "BadRequest", ""},
		{"a label selector with a value that no label has", "labelSelector=a%3D%2F%2F", 400, "BadRequest", ""},
		{"a field selector that is none", "fieldSelector=x", 400, "BadRequest", ""},
		{"a field that is not to select by", "fieldSelector=spec.source%3Da", 400, "BadRequest", "field label not supported: spec.source"},
		{"a watch at a match", "watch=1&resourceVersionMatch=NotOlderThan", 422, "Invalid", "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"},
		{"a watch that began nowhere", "watch=1&sendInitialEvents=true", 422, "Invalid", "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"},
		{"a watch of another match", "watch=1&sendInitialEvents=true&resourceVersionMatch=Exact", 422, "Invalid", "NotOlderThan"},
		{"a watch from a version to come", "watch=1&timeoutSeconds=1&resourceVersion=9000000000", 504, "Timeout", "Too large resource version"},
		{"a watch whose time is no number", "watch=1&timeoutSeconds=soon", 400, "BadRequest", "soon"},
		{"all that is not false is true", "watch=yes&timeoutSeconds=1&labelSelector=a%3D%3D%3Db", 400, "BadRequest", ""},
	}
	for _, test := range tests {
		t.Run(test.reason, func(t *testing.T) {
			code, _, body := f.send("GET", builds+"?"+test.query, "")
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

// events reads the events of a watch until there are n of them.
func (f *fixture) events(path, accept string, n int) []string {
	f.Helper()
	ctx, cancel := context.WithTimeout(f.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url+path, http.NoBody)
	if err != nil {
		f.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer ada")
	req.Header.Set("Accept", accept)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		f.Fatal(err)
	}
	defer res.Body.Close()
	var out []string
	for lines := bufio.NewScanner(res.Body); len(out) < n; {
		if !lines.Scan() {
			f.Fatalf("the watch ended after %q: %v", out, lines.Err())
		}
		out = append(out, lines.Text())
	}
	return out
}

// TestWatchForms watches in every form, from the objects that there are to the bookmark after them.
func TestWatchForms(t *testing.T) {
	f := start(t)
	f.send("POST", builds, build("one", ""))
	f.send("POST", builds, build("two", ""))
	initial := builds + "?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
	for accept, kind := range map[string]string{"application/json": "Build", acceptTable: "Table", acceptPartial: "PartialObjectMetadata"} {
		t.Run(kind, func(t *testing.T) {
			type event struct {
				Type   string
				Object struct {
					Kind              string
					ColumnDefinitions []any
				}
			}
			var types []string
			var headers []bool
			got := f.events(initial, accept, 3)
			for _, line := range got {
				var e event
				if err := json.Unmarshal([]byte(line), &e); err != nil || e.Object.Kind != kind {
					t.Errorf("%s: %v, want a %s", line, err, kind)
				}
				types, headers = append(types, e.Type), append(headers, len(e.Object.ColumnDefinitions) > 0)
			}
			if d := cmp.Diff([]string{"ADDED", "ADDED", "BOOKMARK"}, types); d != "" {
				t.Errorf("events (-want +got):\n%s", d)
			}
			if d := cmp.Diff([]bool{kind == "Table", false, false}, headers); d != "" {
				t.Errorf("headers come once (-want +got):\n%s", d)
			}
			if !strings.Contains(got[2], `"k8s.io/initial-events-end":"true"`) {
				t.Errorf("the bookmark does not say that it is the end of the initial events: %s", got[2])
			}
		})
	}
	if got := f.events(strings.Replace(builds, "/namespaces", "/watch/namespaces", 1), "application/json", 2); !strings.Contains(got[0], `"type":"ADDED"`) {
		t.Errorf("at the path that watches once had: %s", got[0])
	}
	if code, _, body := f.send("GET", builds+"?watch=1", "", "Accept", acceptPartialList); code != 406 {
		t.Errorf("a watch as a list: got %d %s, want 406", code, body)
	}
}

// TestDiscoveryForms asks for discovery as every kubectl does, and again with what it was told.
func TestDiscoveryForms(t *testing.T) {
	f := start(t)
	const v2beta1 = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"
	tests := []struct{ reason, path, accept, contentType, says string }{
		{"plain", "/apis", "application/json", "application/json", `"kind":"APIGroupList"`},
		{"a browser", "/apis", "text/html,application/xhtml+xml,*/*;q=0.8", "application/json", `"kind":"APIGroupList"`},
		{"a version that there is not", "/apis", strings.Replace(v2beta1, "v2beta1", "v9", 1) + ",application/json", "application/json", `"kind":"APIGroupList"`},
		{"a group", "/apis/serving.knative.dev", "application/json", "application/json", `"kind":"APIGroup"`},
		{"a version", "/apis/serving.knative.dev/v1", "application/json", "application/json", `"name":"services/status"`},
		{"the cluster's version", "/version", "", "application/json", `"gitVersion"`},
	}
	for _, test := range tests {
		t.Run(test.reason, func(t *testing.T) {
			code, header, body := f.send("GET", test.path, "", "Accept", test.accept)
			if code != 200 || header.Get("Content-Type") != test.contentType || !strings.Contains(body, test.says) {
				t.Errorf("got %d, Content-Type %q, %s", code, header.Get("Content-Type"), body)
			}
			code, _, body = f.send("GET", test.path, "", "Accept", test.accept, "If-None-Match", header.Get("ETag"))
			if code != http.StatusNotModified || body != "" {
				t.Errorf("again: got %d %s, want 304", code, body)
			}
		})
	}
	if code, _, body := f.send("POST", "/apis", "{}"); code != 405 {
		t.Errorf("POST: got %d %s, want 405", code, body)
	}
}
