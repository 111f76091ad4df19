// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package versions_test

import (
	"bufio"
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/store/gc"
)

const (
	v1alpha1 = "/apis/serving.knative.dev/v1alpha1/namespaces/default/"
	v1       = "/apis/serving.knative.dev/v1/namespaces/default/"
	mimeJSON = "application/json"
	merge    = "application/merge-patch+json"
	tables   = "application/json;as=Table;v=v1;g=meta.k8s.io"

	runLatest = `{"apiVersion":"serving.knative.dev/v1alpha1","kind":"Service","metadata":{"name":"web","labels":{"tier":"web"}},
		"spec":{"runLatest":{"configuration":{"revisionTemplate":{"spec":{"container":{"image":"registry.test/greeter:1"}}}}}}}`
)

// field returns what is at a path of keys in a JSON document.
func field(t *testing.T, text string, path ...string) any {
	t.Helper()
	var v any
	decode(t, text, &v)
	for _, key := range path {
		m, _ := v.(map[string]any)
		v = m[key]
	}
	return v
}

// TestReads has lists, tables, selectors and watches of an older version, of objects that are written in either.
func TestReads(t *testing.T) {
	r := start(t)
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.rest+v1alpha1+"services?watch=true&labelSelector=tier%3Dweb", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+r.Admin)
	watch, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = watch.Body.Close() }()
	events := bufio.NewReader(watch.Body)
	next := func(what string, path ...string) any {
		t.Helper()
		line, err := events.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if got := field(t, line, "type"); got != what || field(t, line, "object", "apiVersion") != "serving.knative.dev/v1alpha1" {
			t.Fatalf("want %s: %s", what, line)
		}
		return field(t, line, append([]string{"object"}, path...)...)
	}
	made := r.must(http.MethodPost, v1alpha1+"services", mimeJSON, runLatest)
	if got := next("ADDED", "spec", "runLatest"); got == nil {
		t.Error("the watch has another form")
	}
	// Over v1 somebody shares the requests out: that is no runLatest any more.
	r.must(http.MethodPatch, v1+"services/web", merge, `{"spec":{"traffic":[{"latestRevision":true,"percent":90},{"revisionName":"web-00001","percent":10}]}}`)
	if got := next("MODIFIED", "spec", "traffic"); len(got.([]any)) != 2 {
		t.Errorf("traffic: %v", got)
	}
	// And with all of it back for the newest, it is again.
	r.must(http.MethodPatch, v1+"services/web", merge, `{"spec":{"traffic":[{"latestRevision":true,"percent":100}]}}`)
	if got := next("MODIFIED", "spec"); got.(map[string]any)["runLatest"] == nil || got.(map[string]any)["template"] != nil {
		t.Errorf("spec: %v", got)
	}
	r.must(http.MethodPost, v1+"services", mimeJSON, `{"apiVersion":"serving.knative.dev/v1","kind":"Service","metadata":{"name":"other"},
		"spec":{"template":{"spec":{"containers":[{"image":"registry.test/greeter:1"}]}}}}`)
	for query, want := range map[string]int{"": 2, "?labelSelector=tier%3Dweb": 1, "?fieldSelector=metadata.name%3Dother": 1} {
		list := r.must(http.MethodGet, v1alpha1+"services"+query, "", "")
		items := field(t, list, "items").([]any)
		if len(items) != want || field(t, list, "kind") != "ServiceList" || field(t, list, "apiVersion") != "serving.knative.dev/v1alpha1" {
			t.Errorf("list%s: %s", query, list)
		}
	}
	table := r.must(http.MethodGet, v1alpha1+"services", "", "", "Accept", tables)
	var columns []string
	for _, c := range field(t, table, "columnDefinitions").([]any) {
		columns = append(columns, c.(map[string]any)["name"].(string))
	}
	if d := cmp.Diff([]string{"Name", "Domain", "LatestCreated", "LatestReady", "Ready", "Reason", "Age"}, columns); d != "" {
		t.Errorf("columns (-want +got):\n%s", d)
	}
	r.must(http.MethodDelete, v1alpha1+"services/web", "", "")
	next("DELETED")
	if made == "" {
		t.Error("nothing was made")
	}
}

// TestSubresourceAndHistory writes status in the older form, and goes back to an earlier spec.
func TestStatusAndHistory(t *testing.T) {
	r := start(t)
	r.must(http.MethodPost, v1alpha1+"services", mimeJSON, runLatest)
	status := r.must(http.MethodPatch, v1alpha1+"services/web/status", merge, `{"status":{"url":"http://web.default.example.com:8080","address":{"url":"http://web.default.svc.cluster.local"},"domain":"made up"}}`)
	if got := field(t, status, "status", "domain"); got != "web.default.example.com" {
		t.Errorf("domain: %v", got)
	}
	if got := field(t, status, "status", "domainInternal"); got != "web.default.svc.cluster.local" {
		t.Errorf("domainInternal: %v", got)
	}
	r.must(http.MethodPatch, v1alpha1+"services/web", merge, `{"spec":{"runLatest":{"configuration":{"revisionTemplate":{"spec":{"container":{"image":"registry.test/greeter:2"}}}}}}}`)
	back := r.must(http.MethodPost, v1alpha1+"services/web/rollback?generation=1", mimeJSON, "")
	image := field(t, back, "spec", "runLatest", "configuration", "revisionTemplate", "spec", "container", "image")
	if image != "registry.test/greeter:1" || field(t, back, "status", "url") == nil {
		t.Errorf("rolled back: %s", back)
	}
}

// TestManualAndBack leaves a service to its user, over both versions, and takes it up again.
func TestManualAndBack(t *testing.T) {
	r := start(t)
	manual := `{"apiVersion":"serving.knative.dev/v1alpha1","kind":"Service","metadata":{"name":"web"},"spec":{"manual":{}}}`
	r.must(http.MethodPost, v1alpha1+"services", mimeJSON, manual)
	if got := field(t, r.must(http.MethodPatch, v1+"services/web", merge, `{"metadata":{"labels":{"a":"b"}}}`), "spec", "template"); got != nil {
		t.Errorf("v1 has a template: %v", got)
	}
	changed := r.must(http.MethodPatch, v1alpha1+"services/web", merge, `{"spec":{"manual":null,`+runLatest[strings.Index(runLatest, `"runLatest"`):strings.LastIndex(runLatest, "}}")]+`}}`)
	if field(t, changed, "spec", "runLatest") == nil || field(t, changed, "spec", "manual") != nil {
		t.Errorf("changed: %s", changed)
	}
	if code, text, _ := r.call(http.MethodPost, v1+"services", mimeJSON, `{"apiVersion":"serving.knative.dev/v1","kind":"Service","metadata":{"name":"none"},"spec":{}}`); code != http.StatusUnprocessableEntity {
		t.Errorf("a v1 Service without a template: %d %s", code, text)
	}
}

// TestFaultsAreInItsWords tells what is wrong with an older document as it says it, and what is kept and does nothing.
func TestFaultsAreInItsWords(t *testing.T) {
	r := start(t)
	template := `"revisionTemplate":{"spec":{"container":{"image":"a"}}}`
	for _, c := range []struct {
		reason, kind, spec string
		want               []string
	}{
		{"nothing at all", "Service", `{}`, []string{"spec"}},
		{"two ways at once", "Service", `{"manual":{},"runLatest":{"configuration":{` + template + `}}}`, []string{"spec"}},
		{"a way and a template", "Service", `{"manual":{},` + template + `}`, []string{"spec"}},
		{"no template", "Service", `{"runLatest":{"configuration":{}}}`, []string{"spec.runLatest.configuration"}},
		{"no configuration", "Service", `{"runLatest":{}}`, []string{"spec.runLatest.configuration"}},
		{"no image", "Service", `{"runLatest":{"configuration":{"revisionTemplate":{"spec":{"container":{}}}}}}`, []string{"spec.runLatest.configuration.revisionTemplate.spec.container.image"}},
		{"a bad name of a revision", "Service", `{"pinned":{"revisionName":"A!","configuration":{` + template + `}}}`, []string{"spec.pinned.revisionName"}},
		{"three revisions", "Service", `{"release":{"revisions":["a","b","c"],"configuration":{` + template + `}}}`, []string{"spec.release.revisions"}},
		{"a bad candidate", "Service", `{"release":{"revisions":["a","B!"],"configuration":{` + template + `}}}`, []string{"spec.release.revisions[1]"}},
		{"all for the candidate", "Service", `{"release":{"revisions":["a","b"],"rolloutPercent":100,"configuration":{` + template + `}}}`, []string{"spec.release.rolloutPercent"}},
		{"a share for nobody", "Service", `{"release":{"revisions":["a"],"rolloutPercent":10,"configuration":{` + template + `}}}`, []string{"spec.release.rolloutPercent"}},
		{"two templates", "Configuration", `{"template":{"spec":{"container":{"image":"a"}}},` + template + `}`, []string{"spec"}},
		{"two containers", "Configuration", `{"template":{"spec":{"container":{"image":"a"},"containers":[{"image":"a"}]}}}`, []string{"spec.template.spec"}},
		{"a container's port", "Configuration", `{"revisionTemplate":{"spec":{"container":{"image":"a","ports":[{"containerPort":70000}]}}}}`, []string{"spec.revisionTemplate.spec.container.ports[0].containerPort"}},
		{"a model that is none", "Revision", `{"concurrencyModel":"Double","container":{"image":"a"}}`, []string{"spec.concurrencyModel"}},
		{"a limit that is not the model's", "Revision", `{"concurrencyModel":"Single","containerConcurrency":2,"container":{"image":"a"}}`, []string{"spec.containerConcurrency"}},
		{"two names", "Route", `{"traffic":[{"name":"a","tag":"b","percent":100,"revisionName":"x"}]}`, []string{"spec.traffic[0].name"}},
	} {
		body := `{"apiVersion":"serving.knative.dev/v1alpha1","kind":"` + c.kind + `","metadata":{"name":"x"},"spec":` + c.spec + `}`
		code, text, _ := r.call(http.MethodPost, v1alpha1+strings.ToLower(c.kind)+"s", mimeJSON, body)
		if code != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d %s", c.reason, code, text)
			continue
		}
		var got []string
		for _, cause := range field(t, text, "details", "causes").([]any) {
			got = append(got, cause.(map[string]any)["field"].(string))
		}
		if d := cmp.Diff(c.want, slices.Compact(got)); d != "" {
			t.Errorf("%s (-want +got):\n%s%s", c.reason, d, text)
		}
	}
	_, _, header := r.call(http.MethodPost, v1alpha1+"configurations?dryRun=All", mimeJSON,
		`{"apiVersion":"serving.knative.dev/v1alpha1","kind":"Configuration","metadata":{"name":"x"},"spec":{"build":{"a":1},`+template+`}}`)
	if got := header.Values("Warning"); len(got) != 1 || !strings.Contains(got[0], "spec.build is kept, but not acted on") {
		t.Errorf("warnings: %q", got)
	}
}

// TestDiscovery lists every version, the newest first, and describes the older ones.
func TestDiscovery(t *testing.T) {
	r := start(t)
	for group, want := range map[string][]string{
		"serving.knative.dev":  {"v1", "v1beta1", "v1alpha1"},
		"eventing.knative.dev": {"v1", "v1beta1", "v1alpha1"},
	} {
		text := r.must(http.MethodGet, "/apis/"+group, "", "")
		var got []string
		for _, v := range field(t, text, "versions").([]any) {
			got = append(got, v.(map[string]any)["version"].(string))
		}
		if d := cmp.Diff(want, got); d != "" || field(t, text, "preferredVersion", "version") != "v1" {
			t.Errorf("%s (-want +got):\n%s%s", group, d, text)
		}
		for _, version := range want {
			var names []string
			for _, res := range field(t, r.must(http.MethodGet, "/apis/"+group+"/"+version, "", ""), "resources").([]any) {
				names = append(names, res.(map[string]any)["name"].(string))
			}
			kind := map[string]string{"serving.knative.dev": "services", "eventing.knative.dev": "brokers"}[group]
			if !slices.Contains(names, kind) || !slices.Contains(names, kind+"/status") {
				t.Errorf("%s/%s has %v", group, version, names)
			}
		}
	}
	schemas := r.must(http.MethodGet, "/openapi/v3/apis/serving.knative.dev/v1alpha1", "", "")
	if !strings.Contains(schemas, `"rolloutPercent"`) || !strings.Contains(schemas, `"concurrencyModel"`) {
		t.Error("the OpenAPI document lacks the fields of the older version")
	}
}

// TestOwnersInOlderVersions has an owner that is named in an older version: it is found, and what it owns goes with it.
func TestOwnersInOlderVersions(t *testing.T) {
	r := start(t)
	made := r.must(http.MethodPost, v1alpha1+"services", mimeJSON, runLatest)
	uid := field(t, made, "metadata", "uid").(string)
	r.must(http.MethodPost, v1+"routes", mimeJSON, `{"apiVersion":"serving.knative.dev/v1","kind":"Route","metadata":{"name":"owned","ownerReferences":[
		{"apiVersion":"serving.knative.dev/v1alpha1","kind":"Service","name":"web","uid":"`+uid+`"}]},"spec":{"traffic":[{"configurationName":"web","percent":100}]}}`)
	ctx, cancel := context.WithCancel(r.ctx)
	done := make(chan error, 1)
	go func() { done <- gc.Run(ctx, r.Store, kinds.All(), nil) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.rest+v1alpha1+"routes?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+r.Admin)
	watch, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = watch.Body.Close() }()
	r.must(http.MethodPatch, v1+"routes/owned", merge, `{"metadata":{"labels":{"still":"there"}}}`)
	r.must(http.MethodDelete, v1alpha1+"services/web", "", "")
	lines := bufio.NewScanner(watch.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if field(t, lines.Text(), "type") == "DELETED" {
			return
		}
	}
	t.Errorf("the route is still there: %v", lines.Err())
}

// TestKindsThatAreNotThere are named, with those that are.
func TestKindsThatAreNotThere(t *testing.T) {
	r := start(t)
	for file, want := range map[string][]string{
		"eventing-v1alpha1.yaml": {"there is no kind ClusterBus in channels.knative.dev/v1alpha1; there are Build in build.knative.dev/v1alpha1", "Service in serving.knative.dev/v1, v1"},
		"triggers-v1beta1.yaml":  {"there is no kind EventListener in triggers.tekton.dev/v1beta1; there are"},
		"build-v1alpha1.yaml":    {"there is no kind ClusterBuildTemplate in build.knative.dev/v1alpha1; there are Build in build.knative.dev/v1alpha1"},
	} {
		_, errs, code := r.fairlead("apply", "-f", "testdata/"+file)
		for _, text := range want {
			if code == 0 || !strings.Contains(errs, text) {
				t.Errorf("fairlead apply -f %s: %d, want %q in\n%s", file, code, text, errs)
			}
		}
		d := documents(t, file)[0]
		answer, text, _ := r.call(http.MethodPost, "/apply", mimeJSON, d.json)
		if answer < http.StatusBadRequest || !strings.Contains(text, "there is no kind "+d.kindName) {
			t.Errorf("/apply of %s: %d %s", file, answer, text)
		}
	}
}
