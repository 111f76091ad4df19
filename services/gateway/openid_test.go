// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Anyone may know by which keys tokens are checked.
func TestOpenID(t *testing.T) {
	f := start(t)
	code, header, body := f.send("GET", "/openid/v1/jwks", "", "Authorization", "")
	want := `{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","use":"sig","kid":"k1","x":"` + strings.Repeat("A", 43) + `"}]}` + "\n"
	if code != 200 || body != want || header.Get("Cache-Control") != "public, max-age=60" {
		t.Errorf("got %d %s", code, body)
	}
	code, _, body = f.send("GET", "/.well-known/openid-configuration", "", "Authorization", "")
	var doc map[string]any
	if err := json.Unmarshal([]byte(body), &doc); err != nil || code != 200 {
		t.Fatalf("%d %s: %v", code, body, err)
	}
	if doc["issuer"] != "fairlead" || doc["jwks_uri"] != "https://front/openid/v1/jwks" {
		t.Errorf("got %v", doc)
	}
	if code, _, _ := f.send("POST", "/openid/v1/jwks", "{}", "Authorization", ""); code != 405 {
		t.Errorf("a write: %d", code)
	}
	if f.cluster.seen() != nil {
		t.Error("the cluster was asked, whose keys are others")
	}
}

// Service accounts of the cluster go on to it under their own names.
func TestServiceAccountsPassThroughAsThemselves(t *testing.T) {
	f := start(t)
	f.send("GET", "/api/v1/pods", "", "Authorization", "Bearer robot")
	got := map[string][]string{}
	for name, values := range f.cluster.seen().Header {
		if strings.HasPrefix(name, "Impersonate-") {
			got[strings.ToLower(name)] = values
		}
	}
	want := map[string][]string{
		"impersonate-user": {"system:serviceaccount:ci:robot"}, "impersonate-group": {"system:serviceaccounts"}, "impersonate-uid": {"u1"},
		"impersonate-extra-authentication.kubernetes.io%2fpod-name": {"p"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

// `kubectl auth can-i` about kinds of ours is answered here, about others by the cluster.
func TestSelfAccessReviews(t *testing.T) {
	f := start(t)
	const path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
	ask := func(group, token string) (int, string) {
		code, _, body := f.send("POST", path, `{"apiVersion":"authorization.k8s.io/v1","kind":"SelfSubjectAccessReview","spec":{"resourceAttributes":{"group":"`+
			group+`","resource":"services","subresource":"status","verb":"get","namespace":"shop"}}}`, "Authorization", "Bearer "+token)
		return code, body
	}
	if code, body := ask("serving.knative.dev", "ada"); code != 201 || !strings.Contains(body, `"allowed":true`) || !strings.Contains(body, "get services/status in shop") {
		t.Errorf("ada: %d %s", code, body)
	}
	if code, body := ask("serving.knative.dev", "bob"); code != 201 || !strings.Contains(body, `"allowed":false`) {
		t.Errorf("bob: %d %s", code, body)
	}
	if f.cluster.seen() != nil {
		t.Error("the cluster was asked about a kind of ours")
	}
	ask("apps", "bob")
	if seen := f.cluster.seen(); seen == nil || seen.URL.Path != path || seen.ContentLength == 0 {
		t.Errorf("the cluster was not asked about its own: %v", seen)
	}
}
