// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// maxEventBytes is the longest line of a watch.
const maxEventBytes = 4 << 20

// rest speaks Kubernetes' REST in JSON: to kube-apiserver, and to the front door of Fairlead.
type rest struct {
	url, token string
	clients    []*http.Client
}

// newREST has a connection for each client; those of kube-apiserver are HTTP/2 over TLS, as always.
func newREST(url, token string, clients int) *rest {
	r := &rest{url: url, token: token}
	for range clients {
		r.clients = append(r.clients, &http.Client{Transport: newTransport()})
	}
	return r
}

// newTransport takes any certificate, for the servers have just made theirs, and asks for no compression.
func newTransport() *http.Transport {
	return &http.Transport{
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}, //nolint:gosec // loopback
		ForceAttemptHTTP2: true, DisableCompression: true, MaxIdleConnsPerHost: 1,
		ReadBufferSize: 64 << 10,
	}
}

func (r *rest) close() {
	for _, c := range r.clients {
		c.CloseIdleConnections()
	}
}

func (r *rest) client(n int) *http.Client { return r.clients[n%len(r.clients)] }

func path(namespace, name string) string {
	p := "/apis/" + group + "/" + version + "/namespaces/" + namespace + "/" + plural
	if name != "" {
		p += "/" + name
	}
	return p
}

// do makes a request and hands its body on, which must be read whole.
func (r *rest) do(ctx context.Context, client int, method, path string, body []byte) (*http.Response, error) {
	var in io.Reader
	if body != nil {
		in = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, r.url+path, in)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	req.Header.Set("Authorization", "Bearer "+r.token)
	req.Header.Set("Accept", "application/json")
	switch {
	case method == http.MethodPatch:
		req.Header.Set("Content-Type", "application/apply-patch+yaml")
	case body != nil:
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := r.client(client).Do(req)
	if err != nil {
		return nil, err //nolint:wrapcheck // names method and URL
	}
	if res.StatusCode >= http.StatusMultipleChoices {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 1<<12))
		_ = res.Body.Close()
		return nil, fmt.Errorf("%s %s: %s: %s", method, path, res.Status, text)
	}
	return res, nil
}

// call makes a request and returns the size of the answer.
func (r *rest) call(ctx context.Context, client int, method, path string, body []byte) (int, error) {
	res, err := r.do(ctx, client, method, path, body)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(io.Discard, res.Body)
	return int(n), errors.Join(err, res.Body.Close())
}

func (r *rest) create(ctx context.Context, client int, namespace, name string, sent int64) error {
	_, err := r.call(ctx, client, http.MethodPost, path(namespace, ""), roleJSON(namespace, name, sent))
	return err
}

func (r *rest) apply(ctx context.Context, client int, namespace, name string, sent int64) error {
	_, err := r.call(ctx, client, http.MethodPatch, path(namespace, name)+"?fieldManager="+applyManager, roleJSON(namespace, name, sent))
	return err
}

// cachedQuery asks for any state, which is answered from memory.
func cachedQuery(cached bool) string {
	if cached {
		return "?resourceVersion=0"
	}
	return ""
}

func (r *rest) get(ctx context.Context, client int, namespace, name string, cached bool) error {
	_, err := r.call(ctx, client, http.MethodGet, path(namespace, name)+cachedQuery(cached), nil)
	return err
}

func (r *rest) list(ctx context.Context, namespace string, cached bool) (int, error) {
	return r.call(ctx, 0, http.MethodGet, path(namespace, "")+cachedQuery(cached), nil)
}

func (r *rest) watch(ctx context.Context, client int, namespace string, opened func(), seen func(int64)) error {
	from, err := r.version(ctx, client, namespace)
	if err != nil {
		return err
	}
	res, err := r.do(ctx, client, http.MethodGet, path(namespace, "")+"?watch=true&resourceVersion="+from, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	opened()
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(make([]byte, 64<<10), maxEventBytes)
	for lines.Scan() {
		if bytes.HasPrefix(lines.Bytes(), []byte(`{"type":"ERROR"`)) {
			return fmt.Errorf("the watch ended: %s", lines.Bytes())
		}
		sentIn(lines.Bytes(), seen)
	}
	return lines.Err() //nolint:wrapcheck // the caller names it
}

// version is the newest version of a namespace's objects, of which there are none yet.
func (r *rest) version(ctx context.Context, client int, namespace string) (string, error) {
	res, err := r.do(ctx, client, http.MethodGet, path(namespace, "")+"?limit=1", nil)
	if err != nil {
		return "", err
	}
	var list struct {
		Metadata struct {
			ResourceVersion string `json:"resourceVersion"`
		} `json:"metadata"`
	}
	err = json.NewDecoder(res.Body).Decode(&list)
	return list.Metadata.ResourceVersion, errors.Join(err, res.Body.Close())
}

// define makes the kind, and waits until it is served.
func (r *rest) define(ctx context.Context) error {
	body, err := json.Marshal(definition())
	if err != nil {
		return fmt.Errorf("definition of the kind: %w", err)
	}
	if _, err := r.call(ctx, 0, http.MethodPost, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", body); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		if _, err = r.list(ctx, "default", false); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the kind is not served: %w", err)
		case <-time.After(readyEvery):
		}
	}
}

// makeNamespace makes a namespace.
func (r *rest) makeNamespace(ctx context.Context, name string) error {
	body, err := json.Marshal(&unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name},
	}})
	if err != nil {
		return fmt.Errorf("namespace %s: %w", name, err)
	}
	_, err = r.call(ctx, 0, http.MethodPost, "/api/v1/namespaces", body)
	return err
}
