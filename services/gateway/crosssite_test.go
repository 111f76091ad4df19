// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"fairlead.dev/services/gateway"
)

// TestPagesOfOthersDoNotActForCertificates has a browser, which shows its owner's certificate by itself, send what a page of
// another site can have it send without asking.
func TestPagesOfOthersDoNotActForCertificates(t *testing.T) {
	d := openDoor(t, nil)
	ada, proxy := d.company.Issue(t, "ada", "staff"), d.proxies.Issue(t, "proxy")
	elsewhere := []string{"Origin", "https://evil.test"}
	crossSite := []string{"Sec-Fetch-Site", "cross-site"}
	socket := []string{"Connection", "Upgrade", "Upgrade", "websocket"}
	const exec, pods = "/api/v1/namespaces/shop/pods/a/exec?command=id", "/api/v1/namespaces/shop/pods"
	cases := []struct {
		reason, method, path string
		cert                 *tls.Certificate
		headers              []string
		reaches              bool
	}{
		{"a page elsewhere writes", http.MethodPost, pods, ada, elsewhere, false},
		{"as browsers say so", http.MethodPost, pods, ada, crossSite, false},
		{"a page elsewhere opens a websocket", http.MethodGet, exec, ada, slices.Concat(socket, elsewhere), false},
		{"a page elsewhere reads, and is not given what comes back", http.MethodGet, pods, ada, crossSite, true},
		{"no page", http.MethodPost, pods, ada, nil, true},
		{"a websocket of no page", http.MethodGet, exec, ada, socket, true},
		{"a page of ours", http.MethodPost, pods, ada, []string{"Sec-Fetch-Site", "same-origin"}, true},
		{"a client that names our own origin", http.MethodGet, exec, ada, slices.Concat(socket, []string{"Origin", d.url}), true},
		{"a token, which no browser sends by itself", http.MethodPost, pods, nil, slices.Concat(elsewhere, []string{"Authorization", "Bearer bob"}), true},
		{"a front proxy, which knows its own pages", http.MethodPost, pods, proxy, slices.Concat(elsewhere, []string{"X-Auth-User", "eve"}), true},
	}
	for _, tc := range cases {
		d.fixture.cluster.forget()
		code, body := d.as(tc.cert, tc.method, tc.path, "{}", tc.headers...)
		if reached := d.fixture.cluster.seen() != nil; reached != tc.reaches || !reached && code != http.StatusForbidden {
			t.Errorf("%s: %d %s, reached the cluster: %t", tc.reason, code, body, reached)
		}
	}
	const apply = "/apply"
	if code, body := d.as(ada, http.MethodPost, apply, build("one", ""), crossSite...); code != http.StatusForbidden {
		t.Errorf("%s: %d %s", apply, code, body)
	}
}

// TestSlowCalls has nobody in particular begin a call over Connect, and send no more of it.
func TestSlowCalls(t *testing.T) {
	f := startWith(t, nil, func(c *gateway.Config, _ *gateway.Deps) { c.ClientTimeout = 50 * time.Millisecond })
	conn := f.connect("POST /fairlead.auth.v1.TokenService/WhoAmI HTTP/1.1\nHost: x\nContent-Type: application/json\nContent-Length: 100\n\n{")
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("the call goes on although nobody sends: %v", err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	if res.StatusCode < http.StatusBadRequest || strings.Contains(string(body), "ada") {
		t.Errorf("%d %s", res.StatusCode, body)
	}
}
