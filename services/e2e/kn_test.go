// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"fairlead.dev/services/e2e/kn"
)

// knTime is how long one command of kn may take.
const knTime = 2 * time.Minute

func knIn(t *testing.T, ns string) (context.Context, *kn.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), knTime)
	t.Cleanup(cancel)
	return ctx, &kn.Client{
		URL: fmt.Sprintf("https://127.0.0.1:%d", s.server.Config().Ports.HTTPS), Token: token(t), Namespace: ns, HTTP: httpClient(t),
	}
}

// TestKnService goes with one service through what kn does and waits for: create, update, describe, delete --wait.
func TestKnService(t *testing.T) {
	ns := namespace(t)
	ctx, c := knIn(t, ns)
	service := kn.Service(ns, "web", app(t))
	if _, err := c.CreateService(ctx, service, false); err != nil {
		t.Fatal(err)
	}
	if err := c.WaitReady(ctx, kn.Serving, "services", "web"); err != nil {
		t.Fatalf("create: %v", err)
	}
	if _, err := c.Update(ctx, kn.Serving, "services", "web", func(s kn.Object) {
		kn.Container(s)["env"] = []any{kn.Object{"name": "A", "value": "b"}}
	}); err != nil {
		t.Fatal(err)
	}
	if err := c.WaitReady(ctx, kn.Serving, "services", "web"); err != nil {
		t.Fatalf("update: %v", err)
	}
	revisions, err := c.Revisions(ctx, "web")
	if err != nil || len(revisions) != 2 {
		t.Fatalf("describe finds %d revisions, %v; want 2", len(revisions), err)
	}
	base, err := c.BaseRevision(ctx, "web", 2)
	if err != nil || len(base) != 1 {
		t.Fatalf("generation 2 has %d revisions, %v; want 1", len(base), err)
	}
	for _, resource := range []string{"routes", "configurations"} {
		if _, err := c.Get(ctx, kn.Serving, resource, "web"); err != nil {
			t.Error(err)
		}
	}
	pruned, err := c.Prune(ctx, "web")
	if err != nil || len(pruned) != 1 {
		t.Errorf("revision delete --prune: %q, %v; want the older one", pruned, err)
	}
	if err := c.Delete(ctx, kn.Serving, "services", "web", true); err != nil {
		t.Fatalf("delete --wait: %v", err)
	}
	for _, resource := range []string{"services", "routes", "configurations"} {
		if _, err := c.Get(ctx, kn.Serving, resource, "web"); !kn.IsReason(err, kmetav1.StatusReasonNotFound) {
			t.Errorf("%s after delete --wait: %v, want NotFound", resource, err)
		}
	}
}

// TestWhatKnAndTknAskTheCluster has both ask for what is the cluster's, or not served yet: each gets a clear answer.
func TestWhatKnAndTknAskTheCluster(t *testing.T) {
	ns := namespace(t)
	ctx, c := knIn(t, ns)
	ask := func(path string, query url.Values) (kn.Object, error) {
		return c.Do(ctx, http.MethodGet, path, query, "", nil)
	}
	types, err := ask("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", url.Values{"labelSelector": {"duck.knative.dev/source=true"}})
	if items, ok := types["items"].([]any); err != nil || !ok || len(items) != 0 {
		t.Errorf("source list-types: %v, %v; want an empty list, and so the word that there are none", types, err)
	}
	nobody := do(t, request{
		method: http.MethodPost, path: "/apis/auth.fairlead.dev/v1/tokens", body: `{"user":"kn-` + ns + `"}`, contentType: "application/json",
	})
	var issued struct{ Token string }
	if err := json.Unmarshal(nobody.body, &issued); err != nil || issued.Token == "" {
		t.Fatalf("a token: %d %s", nobody.code, nobody.body)
	}
	stranger := *c
	stranger.Token = issued.Token
	if _, err := stranger.Do(ctx, http.MethodGet, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", nil, "", nil); !kn.IsReason(err, kmetav1.StatusReasonForbidden) {
		t.Errorf("source list-types of one who may not: %v; want Forbidden, at which kn falls back to what it knows", err)
	}
	for _, name := range []string{"pipelines-info", "triggers-info"} {
		path := "/api/v1/namespaces/" + ns + "/configmaps/" + name
		if _, err := ask(path, nil); !kn.IsReason(err, kmetav1.StatusReasonNotFound) {
			t.Errorf("tkn version: %v, want NotFound", err)
		}
		info := &corev1.ConfigMap{ObjectMeta: kmetav1.ObjectMeta{Name: name}, Data: map[string]string{"version": "v1.0.0"}}
		if _, err := s.kube.CoreV1().ConfigMaps(ns).Create(ctx, info, kmetav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		if found, err := ask(path, nil); err != nil || kn.At(found, "data", "version") != "v1.0.0" {
			t.Errorf("tkn version: %v, %v", found, err)
		}
	}
	for _, path := range []string{"/version", "/api", "/apis"} {
		if _, err := ask(path, nil); err != nil {
			t.Errorf("discovery: %v", err)
		}
	}
	for _, path := range []string{"/apis/tekton.dev/v1", "/apis/tekton.dev/v1/namespaces/" + ns + "/pipelines", "/apis/triggers.tekton.dev/v1beta1/namespaces/" + ns + "/eventlisteners"} {
		if a := do(t, request{method: http.MethodGet, path: path}); a.code != http.StatusNotFound {
			t.Errorf("%s: %d %s, want 404", path, a.code, a.body)
		}
	}
}
