// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"encoding/json"
	"strings"
	"testing"

	openapi_v2 "github.com/google/gnostic-models/openapiv2"
	openapi_v3 "github.com/google/gnostic-models/openapiv3"
	"google.golang.org/protobuf/proto"
	"k8s.io/kube-openapi/pkg/util/proto/validation"
	"k8s.io/kube-openapi/pkg/validation/spec"

	openapimodels "k8s.io/kube-openapi/pkg/util/proto"
)

const (
	openAPIV2Protobuf = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
	openAPIV3Protobuf = "application/com.github.proto-openapi.spec.v3@v1.0+protobuf"
)

// TestOpenAPIV2 has the document of clients that know no v3: the cluster's and ours in one, as JSON and as protobuf.
func TestOpenAPIV2(t *testing.T) {
	f := start(t)
	code, header, body := f.send("GET", "/openapi/v2", "")
	doc := &spec.Swagger{}
	if err := json.Unmarshal([]byte(body), doc); err != nil || code != 200 || doc.Swagger != "2.0" {
		t.Fatalf("got %d %.200s: %v", code, body, err)
	}
	for path, want := range map[string]bool{
		"/api/v1/pods": true, "/apis/serving.knative.dev/v1/namespaces/{namespace}/services": true, "/apis/serving.knative.dev/v0/relics": false,
	} {
		if _, ok := doc.Paths.Paths[path]; ok != want {
			t.Errorf("%s is there: %t, want %t", path, ok, want)
		}
	}
	if code, _, body := f.send("GET", "/openapi/v2", "", "If-None-Match", header.Get("ETag")); code != 304 {
		t.Errorf("again: got %d %.200s, want 304", code, body)
	}
	if code, _, body := f.send("GET", "/openapi/v2", "", "Accept", "image/png"); code != 406 {
		t.Errorf("as an image: got %d %.200s, want 406", code, body)
	}
	_, _, body = f.send("GET", "/openapi/v2", "", "Accept", openAPIV2Protobuf)
	message := &openapi_v2.Document{}
	if err := proto.Unmarshal([]byte(body), message); err != nil {
		t.Fatal(err)
	}
	models, err := openapimodels.NewOpenAPIData(message)
	if err != nil {
		t.Fatalf("kubectl cannot read it: %v", err)
	}
	service := models.LookupModel("fairlead.serving.v1.Service")
	if service == nil {
		t.Fatalf("no model of a Service in %v", models.ListModels())
	}
	object := func(text string) any {
		var v any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	good := `{"apiVersion":"serving.knative.dev/v1","kind":"Service","metadata":{"name":"a"},"spec":{"template":{"spec":{"containers":[{"image":"i","ports":[{"containerPort":1}],"livenessProbe":{"httpGet":{"port":"http"}},"resources":{"limits":{"cpu":"1"}}}]}}}}`
	if errs := validation.ValidateModel(object(good), service, "Service"); len(errs) > 0 {
		t.Errorf("a good service is refused: %v", errs)
	}
	if errs := validation.ValidateModel(object(strings.Replace(good, "image", "imagee", 1)), service, "Service"); len(errs) == 0 {
		t.Error("a service with an unknown field is taken")
	}
}

// TestOpenAPIV3 has the documents of our groups in both forms, to be kept by their hash.
func TestOpenAPIV3(t *testing.T) {
	f := start(t)
	_, _, body := f.send("GET", "/openapi/v3", "")
	var index struct {
		Paths map[string]struct{ ServerRelativeURL string }
	}
	if err := json.Unmarshal([]byte(body), &index); err != nil {
		t.Fatal(err)
	}
	if _, ok := index.Paths["apis/serving.knative.dev/v0"]; ok {
		t.Error("the index leads to the cluster for a group of ours")
	}
	at := index.Paths["apis/serving.knative.dev/v1"].ServerRelativeURL
	code, header, body := f.send("GET", at, "")
	if code != 200 || header.Get("Cache-Control") != "public, immutable" || !strings.Contains(body, `"openapi":"3.0.0"`) {
		t.Errorf("by its hash: got %d %v %.200s", code, header, body)
	}
	if code, header, _ := f.send("GET", strings.Split(at, "?")[0]+"?hash=OLD", ""); code != 301 || header.Get("Location") != at {
		t.Errorf("by an old hash: got %d to %s, want 301 to %s", code, header.Get("Location"), at)
	}
	code, header, body = f.send("GET", at, "", "Accept", openAPIV3Protobuf)
	message := &openapi_v3.Document{}
	if err := proto.Unmarshal([]byte(body), message); err != nil || code != 200 || message.GetOpenapi() != "3.0.0" {
		t.Errorf("in protobuf: got %d %v: %v", code, header, err)
	}
	tests := []struct {
		reason, method, path, accept string
		code                         int
	}{
		{"a form that there is not", "GET", at, "image/png", 406},
		{"one form or another", "GET", at, "image/png, */*", 200},
		{"a version that there is not", "GET", "/openapi/v3/apis/serving.knative.dev/v9", "", 404},
		{"a group of the cluster", "GET", "/openapi/v3/apis/apps/v1", "", 200},
		{"a method that there is not", "POST", "/openapi/v3", "", 405},
	}
	for _, test := range tests {
		if code, _, body := f.send(test.method, test.path, "", "Accept", test.accept); code != test.code {
			t.Errorf("%s: got %d %.200s, want %d", test.reason, code, body, test.code)
		}
	}
}
