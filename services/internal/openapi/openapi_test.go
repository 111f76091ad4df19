// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package openapi_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kube-openapi/pkg/spec3"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/openapi"
)

// groups are the kinds by group and version.
func groups() map[string][]kinds.Kind {
	out := map[string][]kinds.Kind{}
	for _, k := range kinds.All() {
		out[k.APIVersion()] = append(out[k.APIVersion()], k)
	}
	return out
}

func document(t *testing.T, apiVersion string) []byte {
	t.Helper()
	group, version, _ := strings.Cut(apiVersion, "/")
	doc, err := openapi.Document(group, version, groups()[apiVersion])
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func read(t *testing.T, doc []byte) *spec3.OpenAPI {
	t.Helper()
	out := &spec3.OpenAPI{}
	if err := json.Unmarshal(doc, out); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestDocument reads each document as kubectl does: every reference leads somewhere, every kind has its schema and its
// operations, and PATCH has the parameters that kubectl looks for and no strategic merge patch.
func TestDocument(t *testing.T) {
	t.Parallel()
	for apiVersion, ks := range groups() {
		t.Run(apiVersion, func(t *testing.T) {
			t.Parallel()
			data := document(t, apiVersion)
			if diff := cmp.Diff(string(data), string(document(t, apiVersion))); diff != "" {
				t.Errorf("two calls differ:\n%s", diff)
			}
			doc := read(t, data)
			var tree any
			if err := json.Unmarshal(data, &tree); err != nil {
				t.Fatal(err)
			}
			checkReferences(t, doc, tree)
			checkOperationIDs(t, doc)
			for _, k := range ks {
				checkKind(t, doc, k)
			}
		})
	}
}

func checkReferences(t *testing.T, doc *spec3.OpenAPI, v any) {
	t.Helper()
	switch v := v.(type) {
	case map[string]any:
		if ref, ok := v["$ref"].(string); ok {
			if _, ok := doc.Components.Schemas[strings.TrimPrefix(ref, "#/components/schemas/")]; !ok || len(v) > 1 {
				t.Errorf("reference %v leads nowhere, or has something beside it", v)
			}
		}
		for _, item := range v {
			checkReferences(t, doc, item)
		}
	case []any:
		for _, item := range v {
			checkReferences(t, doc, item)
		}
	}
}

func checkOperationIDs(t *testing.T, doc *spec3.OpenAPI) {
	t.Helper()
	seen := map[string]bool{}
	for path, item := range doc.Paths.Paths {
		for _, op := range []*spec3.Operation{item.Get, item.Put, item.Post, item.Delete, item.Patch} {
			if op == nil {
				continue
			}
			if op.OperationId == "" || seen[op.OperationId] {
				t.Errorf("%s: operation id %q is empty or there twice", path, op.OperationId)
			}
			seen[op.OperationId] = true
		}
		for _, p := range item.Parameters {
			if !strings.Contains(path, "{"+p.Name+"}") || !p.Required {
				t.Errorf("%s: has no parameter %s, or it is not required", path, p.Name)
			}
		}
		if strings.Count(path, "{") != len(item.Parameters) {
			t.Errorf("%s: has %d parameters", path, len(item.Parameters))
		}
	}
}

func checkKind(t *testing.T, doc *spec3.OpenAPI, k kinds.Kind) {
	t.Helper()
	want := map[string]string{"group": k.Group, "version": k.Version, "kind": k.Kind}
	schema := doc.Components.Schemas[string(k.Message)]
	if schema == nil {
		t.Fatalf("%s has no schema", k.Kind)
	}
	var gvks []map[string]string
	if err := schema.Extensions.GetObject("x-kubernetes-group-version-kind", &gvks); err != nil || len(gvks) != 1 || !maps.Equal(gvks[0], want) {
		t.Errorf("%s: the schema is for %v: %v", k.Kind, gvks, err)
	}
	for _, name := range []string{"apiVersion", "kind", "metadata"} {
		if p, ok := schema.Properties[name]; !ok || p.Description == "" {
			t.Errorf("%s: %s is missing or not described", k.Kind, name)
		}
	}
	base := "/apis/" + k.APIVersion() + "/" + k.Plural
	if k.Namespaced {
		base = "/apis/" + k.APIVersion() + "/namespaces/{namespace}/" + k.Plural
	}
	collection, one := doc.Paths.Paths[base], doc.Paths.Paths[base+"/{name}"]
	if collection == nil || one == nil {
		t.Fatalf("%s: no path %s, or none for a name", k.Kind, base)
	}
	patch := []string{"dryRun", "fieldManager", "fieldValidation", "force"}
	write := patch[:3]
	remove := []string{"dryRun", "gracePeriodSeconds", "propagationPolicy"}
	list := []string{
		"allowWatchBookmarks", "continue", "fieldSelector", "labelSelector", "limit", "resourceVersion", "resourceVersionMatch",
		"sendInitialEvents", "timeoutSeconds", "watch",
	}
	checks := []operation{
		{"list", collection.Get, list},
		{"post", collection.Post, write},
		{"deletecollection", collection.Delete, []string{"dryRun", "fieldSelector", "labelSelector", "propagationPolicy"}},
		{"get", one.Get, []string{"resourceVersion"}},
		{"put", one.Put, write},
		{"patch", one.Patch, patch},
		{"delete", one.Delete, remove},
	}
	if k.HasStatus {
		status := doc.Paths.Paths[base+"/{name}/status"]
		if status == nil {
			t.Fatalf("%s: no path for its status", k.Kind)
		}
		checks = append(checks, operation{"put", status.Put, write}, operation{"patch", status.Patch, patch})
	}
	if k.Namespaced {
		checks = append(checks, operation{"list", doc.Paths.Paths["/apis/"+k.APIVersion()+"/"+k.Plural].Get, list})
	}
	for _, c := range checks {
		c.check(t, want)
	}
	if _, ok := one.Patch.RequestBody.Content["application/strategic-merge-patch+json"]; ok || len(one.Patch.RequestBody.Content) != 3 {
		t.Errorf("%s: PATCH takes %v", k.Kind, slices.Collect(maps.Keys(one.Patch.RequestBody.Content)))
	}
}

type operation struct {
	action string
	op     *spec3.Operation
	query  []string
}

func (o operation) check(t *testing.T, want map[string]string) {
	t.Helper()
	if o.op == nil {
		t.Errorf("%v: no operation %s", want, o.action)
		return
	}
	var gvk map[string]string
	if err := o.op.Extensions.GetObject("x-kubernetes-group-version-kind", &gvk); err != nil || !maps.Equal(gvk, want) {
		t.Errorf("%s: is for %v, want %v: %v", o.action, gvk, want, err)
	}
	if action, _ := o.op.Extensions.GetString("x-kubernetes-action"); action != o.action {
		t.Errorf("%v: action %s, want %s", want, action, o.action)
	}
	var names []string
	for _, p := range o.op.Parameters {
		if p.In != "query" || p.Description == "" || p.Schema == nil {
			t.Errorf("%v: %s: parameter %+v", want, o.action, p)
		}
		names = append(names, p.Name)
	}
	slices.Sort(names)
	if diff := cmp.Diff(o.query, names); diff != "" {
		t.Errorf("%v: parameters of %s (-want +got):\n%s", want, o.action, diff)
	}
	if o.op.Description == "" {
		t.Errorf("%v: %s is not described", want, o.action)
	}
}

// TestSchemas looks at fields of each form.
func TestSchemas(t *testing.T) {
	t.Parallel()
	var doc struct {
		Components struct {
			Schemas map[string]map[string]any `json:"schemas"`
		} `json:"components"`
	}
	merge := func(apiVersion string) {
		if err := json.Unmarshal(document(t, apiVersion), &doc); err != nil {
			t.Fatal(err)
		}
	}
	merge("serving.knative.dev/v1")
	merge("build.knative.dev/v1alpha1")
	cases := map[string]string{
		"fairlead.serving.v1.RevisionSpec.timeoutSeconds": `{"type":"integer","format":"int64","minimum":0,"maximum":600,
			"description":"Seconds in which a request must be done; 300 by default, at most 600."}`,
		"fairlead.serving.v1.RevisionTemplateSpec.spec": `{"allOf":[{"$ref":"#/components/schemas/fairlead.serving.v1.RevisionSpec"}],
			"description":"The revision's spec."}`,
		"fairlead.core.v1.ContainerPort.containerPort": `{"type":"integer","format":"int32",
			"description":"` + "`containerPort`, as in Kubernetes' ContainerPort." + `"}`,
		"fairlead.build.v1.BuildSpec.timeout": `{"type":"string",
			"description":"How long the build may take, as a Go duration such as ` + "`10m0s`; 10 minutes by default, at most 24 hours." + `"}`,
		"fairlead.build.v1.BuildSpec.nodeSelector": `{"type":"object","additionalProperties":{"type":"string"},"description":"Labels a node must have."}`,
		"fairlead.build.v1.BuildSpec.status": `{"type":"string","enum":["","BuildCancelled"],
			"description":"Empty, or ` + "`BuildCancelled`" + ` to end the build."}`,
		"fairlead.build.v1.BuildStatus.startTime":      `{"type":"string","format":"date-time","description":"When the build was first seen."}`,
		"fairlead.meta.v1.ObjectMeta.finalizers":       `{"type":"array","items":{"type":"string"},"x-kubernetes-list-type":"set","description":"Names of those who must act before the object may go."}`,
		"fairlead.meta.v1.ManagedFieldsEntry.fieldsV1": `{"x-kubernetes-preserve-unknown-fields":true,"description":"The field set, as Kubernetes writes it."}`,
	}
	for name, text := range cases {
		i := strings.LastIndex(name, ".")
		properties, _ := doc.Components.Schemas[name[:i]]["properties"].(map[string]any)
		var want any
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, properties[name[i+1:]]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	spec := doc.Components.Schemas["fairlead.serving.v1.RevisionSpec"]["properties"].(map[string]any)
	containers, _ := spec["containers"].(map[string]any)
	if diff := cmp.Diff([]any{"name"}, containers["x-kubernetes-list-map-keys"]); diff != "" || containers["x-kubernetes-list-type"] != "map" {
		t.Errorf("containers are %v", containers)
	}
	if _, ok := spec["podSpec"]; ok {
		t.Error("an inline message has a name")
	}
	for name, key := range map[string]string{
		"fairlead.meta.v1.IntOrString": "x-kubernetes-int-or-string", "io.k8s.apimachinery.pkg.api.resource.Quantity": "oneOf",
	} {
		if _, ok := doc.Components.Schemas[name][key]; !ok {
			t.Errorf("%s has no %s", name, key)
		}
	}
	if diff := cmp.Diff([]any{"spec"}, doc.Components.Schemas["fairlead.build.v1.Build"]["required"]); diff != "" {
		t.Errorf("required fields of Build (-want +got):\n%s", diff)
	}
}

// TestDescribed shows that everything is described, and so that descriptors.binpb is not older than the protos.
func TestDescribed(t *testing.T) {
	t.Parallel()
	for apiVersion := range groups() {
		for name, schema := range read(t, document(t, apiVersion)).Components.Schemas {
			if schema.Description == "" {
				t.Errorf("%s is not described; run services/internal/openapi/generate.sh", name)
			}
			for field, p := range schema.Properties {
				if p.Description == "" {
					t.Errorf("%s.%s is not described; run services/internal/openapi/generate.sh", name, field)
				}
			}
		}
	}
}

// TestOtherCalls shows that calls that are not of a kind are in the document of their path's group.
func TestOtherCalls(t *testing.T) {
	t.Parallel()
	log := read(t, document(t, "build.knative.dev/v1alpha1")).Paths.Paths["/apis/build.knative.dev/v1alpha1/namespaces/{namespace}/builds/{name}/log"]
	if log == nil || log.Get == nil || log.Get.Responses.StatusCodeResponses[200].Content["text/plain"] == nil || len(log.Get.Parameters) != 2 {
		t.Errorf("the log of a build is %+v", log)
	}
	tokens := read(t, document(t, "auth.fairlead.dev/v1")).Paths.Paths["/apis/auth.fairlead.dev/v1/tokens"]
	if tokens == nil || tokens.Post == nil || tokens.Post.RequestBody == nil || len(tokens.Post.Parameters) != 0 {
		t.Errorf("tokens are %+v", tokens)
	}
}

func TestDocumentOfOtherGroup(t *testing.T) {
	t.Parallel()
	if _, err := openapi.Document("x", "v1", kinds.All()); err == nil {
		t.Error("kinds of another group give no error")
	}
	if _, err := openapi.Document("x", "v1", nil); err == nil {
		t.Error("no kinds give no error")
	}
}

// TestKubectlExplain lets kubectl explain fields, where there is one.
func TestKubectlExplain(t *testing.T) {
	t.Parallel()
	kubectl, err := exec.LookPath("kubectl")
	if err != nil {
		t.Skip("kubectl is not there")
	}
	server := httptest.NewServer(cluster(t))
	t.Cleanup(server.Close)
	for _, tc := range []struct {
		args string
		want []string
	}{
		{"ksvc", []string{"GROUP:      serving.knative.dev", "KIND:       Service", "VERSION:    v1",
			"Service is a workload with a name and an address", "metadata\t<ObjectMeta>", "spec\t<ServiceSpec>\n    What is wanted.", "apiVersion\t<string>"}},
		{"services.serving.knative.dev.spec.template.spec.containers", []string{"FIELD: containers <[]Container>", "ports\t<[]ContainerPort>",
			"resources\t<ResourceRequirements>", "image\t<string>"}},
		{"ksvc.spec.template.spec.containers.resources", []string{"limits\t<map[string]Quantity>"}},
		{"ksvc.spec.template.spec.containers.livenessProbe.httpGet", []string{"port\t<IntOrString>"}},
		{"ksvc.spec.template.spec.timeoutSeconds", []string{"FIELD: timeoutSeconds <integer>", "Seconds in which a request must be done"}},
		{"builds.spec", []string{"status\t<string>\n  enum: \"\", BuildCancelled"}},
		{"builds.spec.source.git", []string{"url\t<string> -required-"}},
		{"ksvc --recursive", []string{"containerConcurrency\t<integer>"}},
	} {
		cmd := exec.CommandContext(t.Context(), kubectl, append([]string{"explain", "--server", server.URL, "--cache-dir", t.TempDir()}, strings.Fields(tc.args)...)...)
		cmd.Env = append(os.Environ(), "KUBECONFIG="+filepath.Join(t.TempDir(), "none"), "HOME="+t.TempDir())
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("kubectl explain %s: %s\n%s", tc.args, err, out)
			continue
		}
		for _, want := range tc.want {
			if !strings.Contains(string(out), want) {
				t.Errorf("kubectl explain %s does not tell %q:\n%.3000s", tc.args, want, out)
			}
		}
	}
}

// cluster answers what kubectl asks for before it explains.
func cluster(t *testing.T) http.Handler {
	t.Helper()
	mux := http.NewServeMux()
	answer := func(path string, v any) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if err := json.NewEncoder(w).Encode(v); err != nil {
				t.Error(err)
			}
		})
	}
	list := kmetav1.APIGroupList{TypeMeta: kmetav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}}
	paths := map[string]any{}
	for apiVersion, ks := range groups() {
		gv := kmetav1.GroupVersionForDiscovery{GroupVersion: apiVersion, Version: ks[0].Version}
		list.Groups = append(list.Groups, kmetav1.APIGroup{Name: ks[0].Group, Versions: []kmetav1.GroupVersionForDiscovery{gv}, PreferredVersion: gv})
		resources := kmetav1.APIResourceList{TypeMeta: kmetav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: apiVersion}
		for _, k := range ks {
			resources.APIResources = append(resources.APIResources, kmetav1.APIResource{
				Name: k.Plural, SingularName: k.Singular, Namespaced: k.Namespaced, Kind: k.Kind, ShortNames: k.ShortNames, Verbs: kmetav1.Verbs{"get", "list"},
			})
		}
		answer("/apis/"+apiVersion, resources)
		answer("/openapi/v3/apis/"+apiVersion, json.RawMessage(document(t, apiVersion)))
		paths["apis/"+apiVersion] = map[string]string{"serverRelativeURL": "/openapi/v3/apis/" + apiVersion}
	}
	answer("/apis", list)
	answer("/api", kmetav1.APIVersions{TypeMeta: kmetav1.TypeMeta{Kind: "APIVersions"}})
	answer("/openapi/v3", map[string]any{"paths": paths})
	return mux
}
