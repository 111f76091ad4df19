// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fairlead.dev/services/internal/audit"
	"fairlead.dev/services/internal/clientauth"
	"fairlead.dev/services/internal/clientauth/clientauthtest"
)

// door is a front door with TLS, that believes certificates of a company, of a cluster and of front proxies.
type door struct {
	*fixture

	url                               string
	company, cluster, proxies, apiser *clientauthtest.Issuer
}

func openDoor(t *testing.T, log *audit.Log) *door {
	t.Helper()
	d := &door{
		fixture: startAudited(t, log), company: clientauthtest.NewIssuer(t, "company"), cluster: clientauthtest.NewIssuer(t, "kubernetes"),
		proxies: clientauthtest.NewIssuer(t, "proxies"), apiser: clientauthtest.NewIssuer(t, "front-proxy"),
	}
	err := d.trust.Set(clientauth.Set{
		Clients: []clientauth.Authorities{{PEM: d.company.PEM}, {PEM: d.cluster.PEM, Cluster: true}},
		Proxies: []clientauth.Proxy{
			{PEM: d.proxies.PEM, AllowedNames: []string{"proxy"}, UsernameHeaders: []string{"X-Auth-User"}, GroupHeaders: []string{"X-Auth-Group"}},
			{PEM: d.apiser.PEM, Aggregator: true},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(d.handler)
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	d.url = server.URL
	return d
}

// as sends a request of whoever shows a certificate; nil shows none.
func (d *door) as(cert *tls.Certificate, method, path, body string, headers ...string) (int, string) {
	d.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	if cert != nil {
		transport.TLSClientConfig.Certificates = []tls.Certificate{*cert}
	}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(d.Context(), method, d.url+path, strings.NewReader(body))
	if err != nil {
		d.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	res, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		d.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		d.Fatal(err)
	}
	return res.StatusCode, string(data)
}

// TestWhoIsAtTheDoor has callers of every kind say in every way who they are, true and forged. The cluster behind sees as
// whom they came in.
func TestWhoIsAtTheDoor(t *testing.T) {
	d := openDoor(t, nil)
	ada, boss := d.company.Issue(t, "ada", "staff"), d.cluster.Issue(t, "boss", "system:masters")
	proxy, apiserver := d.proxies.Issue(t, "proxy"), d.apiser.Issue(t, "front-proxy-client")
	stranger := clientauthtest.NewIssuer(t, "stranger").Issue(t, "ada")
	remote := []string{"X-Remote-User", "eve", "X-Remote-Group", "system:masters", "X-Remote-Uid", "7", "X-Remote-Extra-Example.org%2fa", "b"}
	auth := []string{"X-Auth-User", "eve", "X-Auth-Group", "g1", "X-Auth-Group", "g2"}
	token := []string{"Authorization", "Bearer bob"}
	ofAda, ofBob := []string{"fairlead:ada", "fairlead:staff"}, []string{"fairlead:bob", "fairlead:staff"}
	cases := []struct {
		name    string
		cert    *tls.Certificate
		headers []string
		code    int
		seen    []string // the user and the groups, as the cluster sees them
	}{
		{"a certificate", ada, nil, 200, ofAda},
		{"a certificate counts before a token", ada, token, 200, ofAda},
		{"the cluster's is one of its own", boss, nil, 200, []string{"boss", "system:masters"}},
		{"a stranger's is nothing", stranger, nil, 401, nil},
		{"a stranger's beside a token does no harm", stranger, token, 200, ofBob},
		{"the cluster's names from another authority", d.company.Issue(t, "ada", "system:masters"), nil, 401, nil},
		{"names of our services", d.cluster.Issue(t, "system:fairlead:gateway", "system:fairlead:services"), nil, 401, nil},
		{"nobody", nil, nil, 401, nil},

		{"a front proxy", proxy, auth, 200, []string{"eve", "g1", "g2"}},
		{"a front proxy counts before a token", proxy, slices.Concat(auth, token), 200, []string{"eve", "g1", "g2"}},
		{"by its own headers alone", proxy, remote, 401, nil},
		{"one of another name", d.proxies.Issue(t, "other"), auth, 401, nil},
		{"a front proxy that names nobody", proxy, token, 200, ofBob},
		{"a front proxy names none of our services", proxy, []string{"X-Auth-User", "system:fairlead:router"}, 401, nil},
		{"headers of a person", ada, slices.Concat(remote, auth), 200, ofAda},
		{"headers of a token's holder", nil, slices.Concat(remote, auth, token), 200, ofBob},
		{"headers of nobody", nil, slices.Concat(remote, auth), 401, nil},
		{"headers of a stranger", stranger, slices.Concat(remote, auth), 401, nil},
		{"what kube-apiserver hands on never goes back", apiserver, remote, 404, nil},

		{"acting as another", ada, []string{"Impersonate-User", "bob", "Impersonate-Group", "ops"}, 200, []string{"fairlead:bob", "fairlead:ops"}},
		{"without the right", nil, append([]string{"Impersonate-User", "ada"}, token...), 403, nil},
		{"as whom", ada, []string{"Impersonate-Group", "ops"}, 400, nil},
		{"as two", ada, []string{"Impersonate-User", "bob", "Impersonate-User", "carl"}, 400, nil},
		{"by a header that is none", ada, []string{"Impersonate-User", "bob", "Impersonate-Everything", "true"}, 400, nil},
		{"with the right here, and not in the cluster", boss, []string{"Impersonate-User", "bob"}, 403, nil},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			d.fixture.cluster.forget()
			code, body := d.as(tc.cert, http.MethodGet, "/api/v1/pods", "", tc.headers...)
			if code != tc.code {
				t.Fatalf("%d, want %d: %s", code, tc.code, body)
			}
			seen := d.fixture.cluster.seen()
			if tc.seen == nil {
				if seen != nil && seen.URL.Path == "/api/v1/pods" {
					t.Errorf("it reached the cluster, as %q", seen.Header)
				}
				return
			}
			got := append(seen.Header.Values("Impersonate-User"), seen.Header.Values("Impersonate-Group")...)
			if d := cmp.Diff(tc.seen, got); d != "" {
				t.Errorf("as the cluster sees it (-want +got):\n%s", d)
			}
			for name := range seen.Header {
				if strings.HasPrefix(name, "X-Remote") || strings.HasPrefix(name, "X-Auth") || name == "Authorization" {
					t.Errorf("%s reached the cluster", name)
				}
			}
		})
	}
}

// TestServicesKnowWhoIsAtTheDoor has kinds of ours, and an atomic apply, ask for the rights of whom the door let in, and the
// audit log names who that was and as whom it acted.
func TestServicesKnowWhoIsAtTheDoor(t *testing.T) {
	file := filepath.Join(t.TempDir(), "audit.log")
	log, err := audit.Open(audit.Config{File: file})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- log.Run(ctx) }()
	d := openDoor(t, log)
	ada, bob, apiserver := d.company.Issue(t, "ada", "staff"), d.company.Issue(t, "bob"), d.apiser.Issue(t, "front-proxy-client")
	for _, tc := range []struct {
		name    string
		cert    *tls.Certificate
		headers []string
		code    int
	}{
		{"ada", ada, nil, 201},
		{"bob", bob, nil, 403},
		{"bob-with-adas-token", bob, []string{"Authorization", "Bearer ada"}, 403},
		{"proxied", apiserver, []string{"X-Remote-User", "ada"}, 201},
		{"proxied-bob", apiserver, []string{"X-Remote-User", "bob"}, 403},
		{"ada-as-bob", ada, []string{"Impersonate-User", "bob"}, 403},
		{"nobody", nil, []string{"X-Remote-User", "ada"}, 401},
	} {
		code, body := d.as(tc.cert, http.MethodPost, builds, build(tc.name, ""), append(tc.headers, "Content-Type", "application/json")...)
		if code != tc.code {
			t.Errorf("%s: %d, want %d: %s", tc.name, code, tc.code, body)
		}
	}
	for cert, code := range map[*tls.Certificate]int{ada: 200, bob: 403} {
		doc := `{"apiVersion":"build.knative.dev/v1alpha1","kind":"Build",` + strings.TrimPrefix(build("together", ""), `{"apiVersion":"build.knative.dev/v1alpha1","kind":"Build",`)
		got, body := d.as(cert, http.MethodPost, "/apply?atomic=true&namespace=default", doc, "Content-Type", "application/json")
		if got != code {
			t.Errorf("atomic apply: %d, want %d: %s", got, code, body)
		}
	}
	cancel()
	if err := <-ran; err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var both bool
	for line := range bytes.Lines(data) {
		var e audit.Event
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		both = both || e.User.Username == "ada" && e.ImpersonatedUser != nil && e.ImpersonatedUser.Username == "bob"
	}
	if !both {
		t.Errorf("no line says that ada acted as bob:\n%s", data)
	}
}

// TestTheAggregatorIsToldOfOurGroupsAlone, and nothing that it asks leads back to the cluster.
func TestTheAggregatorIsToldOfOurGroupsAlone(t *testing.T) {
	d := openDoor(t, nil)
	apiserver := d.apiser.Issue(t, "front-proxy-client")
	for _, path := range []string{"/apis", "/openapi/v3", "/openapi/v2", "/apis/serving.knative.dev/v1", "/version", "/api", "/apis/apps/v1"} {
		code, body := d.as(apiserver, http.MethodGet, path, "", "X-Remote-User", "system:aggregator")
		if want := map[string]int{"/api": 404, "/apis/apps/v1": 404}[path]; code != max(want, 200) {
			t.Errorf("%s: %d %.200s", path, code, body)
		}
		if strings.Contains(body, `"apps"`) || strings.Contains(body, "api/v1\"") {
			t.Errorf("%s tells of the cluster's: %.300s", path, body)
		}
	}
	if seen := d.fixture.cluster.seen(); seen != nil {
		t.Errorf("the cluster was asked for %s", seen.URL)
	}
}
