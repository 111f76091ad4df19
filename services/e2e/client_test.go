// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"fairlead.dev/services/e2e/harness"
)

// token reads the admin's token.
func token(t *testing.T) string {
	t.Helper()
	return tokenOf(t, s.server.Config())
}

// tokenOf reads the token of a server's admin.
func tokenOf(t *testing.T, of harness.ServerConfig) string {
	t.Helper()
	data, err := os.ReadFile(of.Token)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(data))
}

// request is one request to the front door.
type request struct {
	method, path, body string
	contentType        string
	accept             string
	token              string // the admin's by default; "-" for none
}

// answer is what came back.
type answer struct {
	code   int
	header http.Header
	body   []byte
}

// status reads the answer as a Kubernetes Status.
func (a answer) status(t *testing.T) *kmetav1.Status {
	t.Helper()
	st := &kmetav1.Status{}
	if err := json.Unmarshal(a.body, st); err != nil || st.Kind != "Status" {
		t.Fatalf("no Status but %d %s", a.code, a.body)
	}
	return st
}

// fields are the fields that a Status names.
func fields(st *kmetav1.Status) []string {
	if st.Details == nil {
		return nil
	}
	out := make([]string, len(st.Details.Causes))
	for i, c := range st.Details.Causes {
		out[i] = c.Field
	}
	return out
}

// httpClient speaks TLS to the front door, by its own authority.
func httpClient(t *testing.T) *http.Client {
	t.Helper()
	return clientOf(t, s.server.Config())
}

// clientOf speaks TLS to the front door of a server.
func clientOf(t *testing.T, of harness.ServerConfig) *http.Client {
	t.Helper()
	ca, err := os.ReadFile(of.CA())
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	transport := &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 3 * time.Minute}
}

// do sends a request to the front door.
func do(t *testing.T, r request) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), r.method, fmt.Sprintf("https://127.0.0.1:%d%s", s.server.Config().Ports.HTTPS, r.path), strings.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	switch r.token {
	case "":
		req.Header.Set("Authorization", "Bearer "+token(t))
	case "-":
	default:
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	if r.contentType == "" && r.body != "" {
		r.contentType = "application/yaml"
	}
	if r.contentType != "" {
		req.Header.Set("Content-Type", r.contentType)
	}
	if r.accept != "" {
		req.Header.Set("Accept", r.accept)
	}
	res, err := httpClient(t).Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", r.method, r.path, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{code: res.StatusCode, header: res.Header, body: body}
}

// apply posts documents and wants them to be taken.
func apply(t *testing.T, namespace, docs string) {
	t.Helper()
	if a := do(t, request{method: http.MethodPost, path: "/apply?namespace=" + namespace, body: docs}); a.code != http.StatusOK {
		t.Fatalf("apply: %d %s", a.code, a.body)
	}
}

// object is any object of ours, as far as tests look at it.
type object struct {
	Metadata kmetav1.ObjectMeta `json:"metadata"`
	Spec     json.RawMessage    `json:"spec"`
	Status   struct {
		URL                string      `json:"url"`
		ObservedGeneration int64       `json:"observedGeneration"`
		Conditions         []condition `json:"conditions"`
	} `json:"status"`
}

type condition struct{ Type, Status, Reason, Message string }

func (o object) condition(kind string) condition {
	for _, c := range o.Status.Conditions {
		if c.Type == kind {
			return c
		}
	}
	return condition{}
}

// path is the path of a resource in a namespace.
func path(groupVersion, namespace, plural string, name ...string) string {
	return "/apis/" + groupVersion + "/namespaces/" + namespace + "/" + strings.Join(append([]string{plural}, name...), "/")
}

// until watches one object until ok says that it is as wanted, and returns it.
func until(t *testing.T, groupVersion, ns, plural, name string, within time.Duration, ok func(object) bool) object {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	url := fmt.Sprintf("https://127.0.0.1:%d%s?watch=true&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan&fieldSelector=metadata.name%%3D%s",
		s.server.Config().Ports.HTTPS, path(groupVersion, ns, plural), name)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token(t))
	client := httpClient(t)
	client.Timeout = 0
	res, err := client.Do(req)
	if err != nil {
		t.Fatalf("watch %s/%s: %v", plural, name, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		data, _ := io.ReadAll(res.Body)
		t.Fatalf("watch %s/%s: %d %s", plural, name, res.StatusCode, data)
	}
	var last bytes.Buffer
	events := json.NewDecoder(io.TeeReader(res.Body, &last))
	for {
		var e struct {
			Type   string
			Object object
		}
		before := last.Len()
		if err := events.Decode(&e); err != nil {
			t.Fatalf("%s/%s was not as wanted within %s: %v\n%s", plural, name, within, err, last.Bytes())
		}
		if e.Type == "ERROR" {
			t.Fatalf("watch %s/%s: %s", plural, name, last.Bytes()[before:])
		}
		if (e.Type == "ADDED" || e.Type == "MODIFIED") && ok(e.Object) {
			return e.Object
		}
	}
}

// get asks the router for a host.
func get(t *testing.T, host, path string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d%s", s.server.Config().Ports.Router, path), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("router: %v", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("router: %v", err)
	}
	return res.StatusCode, string(body)
}
