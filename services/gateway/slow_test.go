// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"fairlead.dev/services/gateway"
	"fairlead.dev/services/internal/fairness"
)

// startBefore starts a gateway before a cluster of the test's own.
func startBefore(t *testing.T, cluster http.HandlerFunc, change func(*gateway.Config, *gateway.Deps)) *fixture {
	t.Helper()
	server := httptest.NewServer(cluster)
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	return startWith(t, nil, func(c *gateway.Config, d *gateway.Deps) {
		d.Cluster = &rest.Config{Host: server.URL}
		change(c, d)
	})
}

// connect opens a connection and sends the beginning of a request.
func (f *fixture) connect(request string) net.Conn {
	f.Helper()
	conn, err := (&net.Dialer{}).DialContext(f.Context(), "tcp", strings.TrimPrefix(f.url, "http://"))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		f.Fatal(err)
	}
	if _, err := io.WriteString(conn, strings.ReplaceAll(request, "\n", "\r\n")); err != nil {
		f.Fatal(err)
	}
	return conn
}

// TestSlowBodies has clients begin a body and send no more of it: they are answered, and their connection is closed.
func TestSlowBodies(t *testing.T) {
	f := startWith(t, nil, func(c *gateway.Config, _ *gateway.Deps) { c.ClientTimeout = 50 * time.Millisecond })
	for _, path := range []string{"/apis/serving.knative.dev/v1/namespaces/shop/services", "/apply"} {
		conn := f.connect(fmt.Sprintf("POST %s HTTP/1.1\nHost: x\nAuthorization: Bearer ada\nContent-Type: application/json\nContent-Length: 100\n\n{", path))
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		body, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if res.StatusCode != http.StatusBadRequest || !strings.Contains(string(body), "could not be read to its end") {
			t.Errorf("%s: %d %s", path, res.StatusCode, body)
		}
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			t.Errorf("%s: the connection stays open", path)
		}
	}
}

// TestAClientThatWaitsKeepsItsWatch sends nothing for longer than a body may take: only bodies have that limit.
func TestAClientThatWaitsKeepsItsWatch(t *testing.T) {
	f := startWith(t, nil, func(c *gateway.Config, _ *gateway.Deps) { c.ClientTimeout = 20 * time.Millisecond })
	code, _, body := f.send(http.MethodGet, "/apis/serving.knative.dev/v1/namespaces/shop/services?watch=true&timeoutSeconds=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true", "")
	if code != http.StatusOK || !strings.Contains(body, "initial-events-end") {
		t.Errorf("%d %s", code, body)
	}
}

// TestAStreamThatSaysNothingStays has a stream of the cluster pause for longer than a client may take to read, over HTTP/2 as
// kubectl has it, where a deadline that passes ends a stream of which nothing is being written.
func TestAStreamThatSaysNothingStays(t *testing.T) {
	const patience = 50 * time.Millisecond
	f := startBefore(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "first\n")
		_ = http.NewResponseController(w).Flush()
		select {
		case <-time.After(5 * patience):
			_, _ = io.WriteString(w, "last\n")
		case <-r.Context().Done():
		}
	}, func(c *gateway.Config, _ *gateway.Deps) { c.ClientTimeout = patience })
	front := httptest.NewUnstartedServer(f.handler)
	front.EnableHTTP2 = true
	front.StartTLS()
	t.Cleanup(front.Close)
	f.url = front.URL
	for _, path := range []string{"/api/v1/pods?watch=true", "/api/v1/namespaces/shop/services/a/proxy/events"} {
		code, body, err := f.over(front.Client(), path)
		if code != http.StatusOK || body != "first\nlast\n" || err != nil {
			t.Errorf("%s: %d %q, %v", path, code, body, err)
		}
	}
}

// over reads a path as ada, by a client that must speak HTTP/2.
func (f *fixture) over(client *http.Client, path string) (int, string, error) {
	f.Helper()
	ctx, cancel := context.WithTimeout(f.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url+path, nil)
	if err != nil {
		f.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer ada")
	res, err := client.Do(req)
	if err != nil {
		f.Fatal(err)
	}
	defer res.Body.Close()
	if res.ProtoMajor != 2 {
		f.Fatalf("the front door speaks %s", res.Proto)
	}
	body, err := io.ReadAll(res.Body)
	return res.StatusCode, string(body), err //nolint:wrapcheck // a test's
}

// TestAClientThatDoesNotRead asks the cluster for more than lies in buffers, and reads nothing: the request ends.
func TestAClientThatDoesNotRead(t *testing.T) {
	ended := make(chan struct{})
	f := startBefore(t, func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		part := make([]byte, 1<<20)
		for r.Context().Err() == nil {
			if _, err := w.Write(part); err != nil {
				return
			}
		}
	}, func(c *gateway.Config, _ *gateway.Deps) { c.ClientTimeout = 50 * time.Millisecond })
	f.connect("GET /api/v1/pods HTTP/1.1\nHost: x\nAuthorization: Bearer ada\n\n")
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		t.Fatal("the request goes on although nobody reads")
	}
}

// TestLimitsOfTheCluster has a user with as many requests and watches going on as may be.
func TestLimitsOfTheCluster(t *testing.T) {
	limits, err := fairness.New(fairness.Config{PerUser: 1, StreamsPerUser: 1})
	if err != nil {
		t.Fatal(err)
	}
	began, end := make(chan struct{}, 1), make(chan struct{}, 1)
	f := startBefore(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v1/slow" {
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			began <- struct{}{}
			select {
			case <-end:
			case <-r.Context().Done():
			}
		}
		_, _ = io.WriteString(w, "{}")
	}, func(_ *gateway.Config, d *gateway.Deps) { d.Limits = limits })
	for _, query := range []string{"", "?watch=true"} {
		done := make(chan int, 1)
		go func() {
			defer close(done) // also where the request fails
			code, _, _ := f.send(http.MethodGet, "/api/v1/slow"+query, "")
			done <- code
		}()
		select {
		case <-began:
		case code := <-done:
			t.Fatalf("%q: the first one ends with %d", query, code)
		}
		code, header, body := f.send(http.MethodGet, "/api/v1/pods"+query, "")
		if code != http.StatusTooManyRequests || header.Get("Retry-After") == "" || !strings.Contains(body, `"reason":"TooManyRequests"`) {
			t.Errorf("%q: got %d %s, want 429 that says when to come again", query, code, body)
		}
		if code, _, body := f.send(http.MethodGet, "/api/v1/pods"+query, "", "Authorization", "Bearer bob"); code != http.StatusOK {
			t.Errorf("%q: another user: %d %s", query, code, body)
		}
		end <- struct{}{}
		if code := <-done; code != http.StatusOK {
			t.Errorf("%q: the first one: %d", query, code)
		}
	}
}
