// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"fairlead.dev/services/e2e/harness"
)

// asBearer asks the front door for something with a token.
func asBearer(t *testing.T, token, method, path, body string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, s.server.URL()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(data)
}

// TestServiceAccountOfTheCluster uses the API with a token that kubectl made, and the rights that the cluster gives.
func TestServiceAccountOfTheCluster(t *testing.T) {
	ns := namespace(t)
	direct := func(stdin string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), harness.Kubectl(s.state), append([]string{"--kubeconfig", s.cluster.Kubeconfig, "--namespace", ns}, args...)...)
		cmd.Stdin = strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v", args[0], err) // what it printed may hold a token
		}
		return strings.TrimSpace(string(out))
	}
	direct("", "create", "serviceaccount", "robot")
	token := direct("", "create", "token", "robot")
	services := "/apis/serving.knative.dev/v1/namespaces/" + ns + "/services"
	code := func(want int) func() (bool, string) {
		return func() (bool, string) {
			got, body := asBearer(t, token, http.MethodGet, services, "")
			return got == want, body
		}
	}
	if got, body := asBearer(t, token, http.MethodGet, services, ""); got != http.StatusForbidden || !strings.Contains(body, "system:serviceaccount:"+ns+":robot") {
		t.Fatalf("without a right: %d %s", got, body)
	}
	direct("apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: reader}\nrules: [{verbs: [get, list], apiGroups: [serving.knative.dev], resources: [services]}]\n",
		"apply", "--filename", "-")
	direct("", "create", "rolebinding", "robots", "--role=reader", "--serviceaccount="+ns+":robot")
	begin := time.Now()
	eventually(t, 20*time.Second, "the cluster's right holds here", code(http.StatusOK))
	t.Logf("a right of the cluster held after %s", time.Since(begin))
	direct("", "delete", "rolebinding", "robots")
	begin = time.Now()
	eventually(t, 20*time.Second, "the cluster's right is gone here", code(http.StatusForbidden))
	t.Logf("it was gone %s after kubectl said that it was taken away", time.Since(begin))

	// What is the cluster's it reaches under its own name.
	got, body := asBearer(t, token, http.MethodPost, "/apis/authentication.k8s.io/v1/selfsubjectreviews", `{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}`)
	if got != http.StatusCreated || !strings.Contains(body, `"username":"system:serviceaccount:`+ns+`:robot"`) {
		t.Errorf("who it is in the cluster: %d %s", got, body)
	}
	if out, err := kubectl(t, "", "auth", "can-i", "delete", "services.serving.knative.dev", "--namespace", ns); err != nil || !strings.Contains(out, "yes") {
		t.Errorf("the administrator: %s %v", out, err)
	}

	// Anyone may know by which keys tokens are checked.
	got, body = asBearer(t, "", http.MethodGet, "/openid/v1/jwks", "")
	var keys struct {
		Keys []map[string]string `json:"keys"`
	}
	if err := json.Unmarshal([]byte(body), &keys); got != http.StatusOK || err != nil || len(keys.Keys) == 0 || keys.Keys[0]["kty"] != "OKP" {
		t.Errorf("keys: %d %s %v", got, body, err)
	}
}
