// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package fields_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"fairlead.dev/services/e2e/inprocess"
)

// TestManagersOfSeveralVersions has managers apply one object in two versions: each keeps its own version, and they see each
// other's fields all the same.
func TestManagersOfSeveralVersions(t *testing.T) {
	server := inprocess.Start(t)
	document := func(version, labels, image string) string {
		return `{"apiVersion":"serving.knative.dev/` + version + `","kind":"Service","metadata":{"name":"web","namespace":"shop","labels":{` + labels + `}},` +
			`"spec":{"template":{"spec":{"containers":[{"name":"main","image":"` + image + `"}]}}}}`
	}
	apply := func(version, manager, query, doc string) (int, []byte) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPatch,
			"/apis/serving.knative.dev/"+version+"/namespaces/shop/services/web?fieldManager="+manager+query, strings.NewReader(doc))
		r.Header.Set("Content-Type", "application/apply-patch+yaml")
		r.Header.Set("Authorization", "Bearer "+server.Admin)
		w := httptest.NewRecorder()
		server.Handler.ServeHTTP(w, r)
		return w.Code, w.Body.Bytes()
	}
	for _, c := range []struct {
		reason, version, manager, query, labels, image string
		code                                           int
		message                                        string
		want                                           []string
		wantLabels                                     map[string]string
	}{
		{reason: "made in the stored version", version: "v1", manager: "new", labels: `"a":"new"`, image: "one", code: http.StatusCreated,
			want: []string{"new v1"}, wantLabels: map[string]string{"a": "new"}},
		{reason: "shared in an older one", version: "v1beta1", manager: "old", labels: `"b":"old"`, image: "one", code: http.StatusOK,
			want: []string{"new v1", "old v1beta1"}, wantLabels: map[string]string{"a": "new", "b": "old"}},
		{reason: "a conflict with a field of another version", version: "v1", manager: "new", labels: `"a":"new"`, image: "two", code: http.StatusConflict,
			message: `conflict with "old": .spec.template.spec.containers[name="main"].image`},
		{reason: "by force", version: "v1", manager: "new", query: "&force=true", labels: `"a":"new"`, image: "two", code: http.StatusOK,
			want: []string{"new v1", "old v1beta1"}, wantLabels: map[string]string{"a": "new", "b": "old"}},
		{reason: "a manager comes to the newer version, and what it wants no longer goes", version: "v1", manager: "old", labels: `"c":"old"`, image: "two",
			code: http.StatusOK, want: []string{"new v1", "old v1"}, wantLabels: map[string]string{"a": "new", "c": "old"}},
	} {
		code, body := apply(c.version, c.manager, c.query, document(c.version, c.labels, c.image))
		if code != c.code || !strings.Contains(string(body), strings.ReplaceAll(c.message, `"`, `\"`)) {
			t.Fatalf("%s: %d %s", c.reason, code, body)
		}
		if c.want == nil {
			continue
		}
		var obj kmetav1.PartialObjectMetadata
		if err := json.Unmarshal(body, &obj); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range obj.ManagedFields {
			got = append(got, e.Manager+" "+strings.TrimPrefix(e.APIVersion, "serving.knative.dev/"))
		}
		slices.Sort(got)
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: managers (-want +got):\n%s", c.reason, d)
		}
		if d := cmp.Diff(c.wantLabels, obj.Labels); d != "" {
			t.Errorf("%s: labels (-want +got):\n%s", c.reason, d)
		}
	}
	for _, version := range []string{"v1", "v1beta1"} {
		code, first := apply(version, "again", "", document(version, `"a":"new"`, "two"))
		_, second := apply(version, "again", "", document(version, `"a":"new"`, "two"))
		if code != http.StatusOK || string(first) != string(second) {
			t.Errorf("applied again in %s, it changes: %d\n%s\n%s", version, code, first, second)
		}
	}
}
