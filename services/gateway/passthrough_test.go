// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// raw sends a request byte by byte as it is written, with line breaks as HTTP has them, and returns the first answer.
func (f *fixture) raw(request string) *http.Response {
	f.Helper()
	at, err := url.Parse(f.url)
	if err != nil {
		f.Fatal(err)
	}
	conn, err := (&net.Dialer{}).DialContext(f.Context(), "tcp", at.Host)
	if err != nil {
		f.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		f.Fatal(err)
	}
	if _, err := io.WriteString(conn, strings.ReplaceAll(request, "\n", "\r\n")); err != nil {
		f.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		f.Fatalf("%q: %v", request, err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		f.Fatalf("%q: %v", request, err)
	}
	res.Body = io.NopCloser(bytes.NewReader(data))
	return res
}

// TestPathsThroughToTheCluster writes paths in every way that may be read differently here and there.
func TestPathsThroughToTheCluster(t *testing.T) {
	f := start(t)
	tests := []struct {
		reason, target string
		code           int
		reaches        string // as the cluster gets it; empty for what must not get there
	}{
		{"a plain path", "GET /api/v1/pods", 200, "/api/v1/pods"},
		{"query parameters in their order, as they were written", "GET /api/v1/pods?b=%20x&a=1&a=2&labelSelector=x%20in%20(a%2Cb)&watch", 200, "/api/v1/pods?b=%20x&a=1&a=2&labelSelector=x%20in%20(a%2Cb)&watch"},
		{"an encoded slash in a name", "GET /api/v1/namespaces/a/services/b%2Fc/proxy", 200, "/api/v1/namespaces/a/services/b%2Fc/proxy"},
		{"dots", "GET /api/v1/../../apis/serving.knative.dev/v1/services", 400, ""},
		{"dots at the end", "GET /api/v1/..", 400, ""},
		{"a dot", "GET /api/./v1/pods", 400, ""},
		{"a dot at the end", "GET /api/v1/.", 400, ""},
		{"encoded dots", "GET /api/v1/%2e%2e/%2E%2e/apis/serving.knative.dev/v1/services", 400, ""},
		{"encoded dots and slashes", "GET /api/v1/..%2f..%2fapis/serving.knative.dev/v1/services", 400, ""},
		{"all encoded twice is a name", "GET /api/v1/%252e%252e/%252e%252e/apis", 200, "/api/v1/%252e%252e/%252e%252e/apis"},
		{"two slashes", "GET //apis/serving.knative.dev/v1/services", 400, ""},
		{"an encoded slash after a slash", "GET /%2fapis/serving.knative.dev/v1/services", 400, ""},
		{"our group behind encoded slashes is ours", "GET /apis%2Fserving.knative.dev%2Fv1%2Fnamespaces%2Fdefault%2Fservices", 200, ""},
		{"our group with an encoded letter is ours", "GET /apis/%73erving.knative.dev/v1/services", 200, ""},
		{"our group in a version that there is not", "GET /apis/serving.knative.dev/v9/services", 404, ""},
		{"our group as a segment of something else", "GET /apis/apps/v1/namespaces/serving.knative.dev/deployments", 200, "/apis/apps/v1/namespaces/serving.knative.dev/deployments"},
		{"an absolute URI", "GET http://elsewhere.test/api/v1/pods", 200, "/api/v1/pods"},
		{"an absolute URI with a password", "GET https://root:secret@elsewhere.test/api/v1/pods", 200, "/api/v1/pods"},
		{"an absolute URI to our group", "GET http://elsewhere.test/apis/serving.knative.dev/v1/services", 200, ""},
		{"a tunnel", "CONNECT elsewhere.test:443", 405, ""},
		{"an echo", "TRACE /api/v1/pods", 405, ""},
		{"the server itself", "OPTIONS *", 200, ""},
	}
	for _, test := range tests {
		t.Run(test.reason, func(t *testing.T) {
			f.cluster.forget()
			res := f.raw(test.target + " HTTP/1.1\nHost: door.test\nAuthorization: Bearer ada\nConnection: close\n\n")
			got := ""
			if r := f.cluster.seen(); r != nil {
				got = r.RequestURI
				if r.Host != strings.TrimPrefix(f.cluster.address, "http://") {
					t.Errorf("the cluster was asked as %s", r.Host)
				}
			}
			if res.StatusCode != test.code || got != test.reaches {
				t.Errorf("got %d, and %q reached the cluster; want %d, %q", res.StatusCode, got, test.code, test.reaches)
			}
		})
	}
}

// TestHeadersThroughToTheCluster writes headers in every way that may keep something from being taken off.
func TestHeadersThroughToTheCluster(t *testing.T) {
	f := start(t)
	tests := []struct{ reason, headers string }{
		{"nothing special", ""},
		{"X-Remote in odd case", "x-rEmOtE-uSeR: root\nX-REMOTE-GROUP: system:masters\nx-remote-extra-scopes: all\n"},
		{"headers of ours named as those of the connection", "Connection: Impersonate-User, Impersonate-Group, Authorization\n"},
		{"headers of the connection in several lines", "Connection: keep-alive\nConnection: impersonate-user\n"},
		{"what goes one hop only", "Connection: X-Secret\nX-Secret: 1\nKeep-Alive: 5\nProxy-Authorization: Basic eDp5\nProxy-Connection: Impersonate-User\nTe: trailers\nTrailer: Impersonate-User\n"},
		{"where the request was before", "X-Forwarded-For: 10.0.0.1\nX-Forwarded-Host: a\nX-Forwarded-Proto: https\nForwarded: for=10.0.0.1\n"},
		{"a second token", "Authorization: Bearer robot\n"},
		{"a session", "Cookie: session=1\n"},
		{"a token among the protocols of a websocket", "Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.cm9ib3Q\nsec-websocket-protocol: v5.channel.k8s.io,BASE64URL.bearer.authorization.k8s.io.cm9ib3Q, \n"},
	}
	for _, test := range tests {
		t.Run(test.reason, func(t *testing.T) {
			f.cluster.forget()
			res := f.raw("GET /api/v1/pods HTTP/1.1\nHost: door.test\nAuthorization: Bearer ada\n" + test.headers + "\n")
			r := f.cluster.seen()
			if res.StatusCode != http.StatusOK || r == nil {
				t.Fatalf("got %d, want 200 from the cluster", res.StatusCode)
			}
			got := map[string][]string{}
			for name, values := range r.Header {
				if name != "X-Request-Id" && name != "Accept-Encoding" && name != "User-Agent" && name != "Traceparent" {
					got[name] = values
				}
			}
			want := map[string][]string{"Impersonate-User": {"fairlead:ada"}, "Impersonate-Group": {"fairlead:staff"}}
			if strings.Contains(test.headers, "v5.channel.k8s.io") {
				want["Sec-Websocket-Protocol"] = []string{"v5.channel.k8s.io"}
			}
			if strings.Contains(test.headers, "Te: trailers") {
				want["Te"] = []string{"trailers"} // which the proxy says for itself
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("what the cluster is told (-want +got):\n%s", d)
			}
		})
	}
}

// TestRequestsInRequests hides a second request in a first one.
func TestRequestsInRequests(t *testing.T) {
	f := start(t)
	tests := []struct{ reason, request string }{
		{"two ways to tell a length", "POST /api/v1/pods HTTP/1.1\nHost: a\nAuthorization: Bearer ada\nContent-Length: 4\nTransfer-Encoding: chunked\n\n0\n\nGET /smuggled HTTP/1.1\nHost: a\n\n"},
		{"two lengths", "POST /api/v1/pods HTTP/1.1\nHost: a\nAuthorization: Bearer ada\nContent-Length: 0\nContent-Length: 4\n\nGET /smuggled HTTP/1.1\nHost: a\n\n"},
		{"an odd encoding", "POST /api/v1/pods HTTP/1.1\nHost: a\nAuthorization: Bearer ada\nTransfer-Encoding: xchunked\n\n0\n\nGET /smuggled HTTP/1.1\nHost: a\n\n"},
		{"a body that asks", "GET /api/v1/pods HTTP/1.1\nHost: a\nAuthorization: Bearer ada\nContent-Length: 35\n\nGET /smuggled HTTP/1.1\nHost: a\n\n"},
		{"a header with an end of line", "GET /api/v1/pods HTTP/1.1\nHost: a\nAuthorization: Bearer ada\nX-A: b\r\rGET /smuggled HTTP/1.1\n\n"},
		{"two hosts", "GET /smuggled HTTP/1.1\nHost: a\nHost: b\nAuthorization: Bearer ada\n\n"},
		{"a header with a space before its colon", "GET /smuggled HTTP/1.1\nHost: a\nAuthorization : Bearer ada\n\n"},
	}
	for _, test := range tests {
		t.Run(test.reason, func(t *testing.T) {
			f.cluster.forget()
			f.raw(test.request)
			if r := f.cluster.seen(); r != nil && strings.Contains(r.RequestURI, "smuggled") {
				t.Errorf("%s reached the cluster", r.RequestURI)
			}
		})
	}
}

// TestHTTP2ThroughToTheCluster says over HTTP/2 that the request is for somebody else, by somebody else.
func TestHTTP2ThroughToTheCluster(t *testing.T) {
	f := start(t)
	front := httptest.NewUnstartedServer(f.handler)
	front.EnableHTTP2 = true
	front.StartTLS()
	defer front.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, front.URL+"/api/v1/pods?a=b", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "kubernetes.default.svc" // :authority
	req.Header = http.Header{"authorization": {"Bearer ada"}, "x-remote-user": {"root"}, "X-REMOTE-GROUP": {"system:masters"}}
	res, err := front.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got := f.cluster.seen()
	if res.ProtoMajor != 2 || res.StatusCode != http.StatusOK || got == nil {
		t.Fatalf("got HTTP/%d %d, want HTTP/2 200 from the cluster", res.ProtoMajor, res.StatusCode)
	}
	if got.RequestURI != "/api/v1/pods?a=b" || got.Host != strings.TrimPrefix(f.cluster.address, "http://") {
		t.Errorf("the cluster was asked for %s as %s", got.RequestURI, got.Host)
	}
	for name := range got.Header {
		if strings.HasPrefix(name, "X-Remote") || name == "Authorization" {
			t.Errorf("%s reached the cluster", name)
		}
	}
	if got.Header.Get("Impersonate-User") != "fairlead:ada" {
		t.Errorf("impersonated: %s", got.Header.Get("Impersonate-User"))
	}
}

// TestRedirects has the cluster send clients to other places.
func TestRedirects(t *testing.T) {
	f := start(t)
	tests := []struct{ reason, to, handedOn string }{
		{"another host", "https://elsewhere.test/a", ""},
		{"another host without a scheme", "//elsewhere.test/a", ""},
		{"another host as browsers read it", `/\elsewhere.test/a`, ""},
		{"another host after a tab", "/\t/elsewhere.test/a", ""},
		{"another scheme", "javascript:alert(1)", ""},
		{"an address that is none", "https://[::1", ""},
		{"a path", "/api/v1/pods?a=b", "/api/v1/pods?a=b"},
		{"a path from here", "pods", "pods"},
		{"the cluster's own address", f.cluster.address + "/api/v1/pods?a=b", "/api/v1/pods?a=b"},
		{"the cluster's own address, and then another", f.cluster.address + "//elsewhere.test/a", ""},
		{"the cluster's own address with a password", strings.Replace(f.cluster.address, "http://", "http://a:b@", 1) + "/api", "/api"},
	}
	for _, test := range tests {
		t.Run(test.reason, func(t *testing.T) {
			code, header, body := f.send("GET", "/redirect?to="+url.QueryEscape(test.to), "")
			switch {
			case test.handedOn == "" && (code != 500 || header.Get("Location") != "" || !strings.Contains(body, "redirect")):
				t.Errorf("got %d to %q, want 500 that tells of the redirect: %s", code, header.Get("Location"), body)
			case test.handedOn != "" && (code != 302 || header.Get("Location") != test.handedOn):
				t.Errorf("got %d to %q, want 302 to %q", code, header.Get("Location"), test.handedOn)
			}
		})
	}
}
