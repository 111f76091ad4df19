// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"
)

// Kube is a kube-apiserver over an etcd, and nothing else of a cluster: no controllers run.
type Kube struct {
	// URL is where it serves, with a certificate that it made itself.
	URL string
	// Token is that of an administrator.
	Token string

	processes []*process
	transport *http.Transport
}

// StartKube starts one from the binary devcluster, with its data in dir.
func StartKube(ctx context.Context, devcluster, dir string) (*Kube, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	token, err := newToken()
	if err != nil {
		return nil, err
	}
	k := &Kube{Token: token, transport: newTransport()}
	etcd, endpoint, err := newEtcd(devcluster, dir, "etcd")
	if err != nil {
		return nil, err
	}
	server, url, err := newKubeAPIServer(devcluster, dir, endpoint, token, &http.Client{Transport: k.Transport()})
	if err != nil {
		return nil, err
	}
	k.URL = url
	for _, p := range []*process{etcd, server} {
		k.processes = append([]*process{p}, k.processes...)
		if _, err := p.start(ctx); err != nil {
			return nil, errors.Join(err, k.Close())
		}
	}
	return k, nil
}

// Transport sends requests to it as the administrator.
func (k *Kube) Transport() http.RoundTripper { return &authorized{k.transport, k.Token} }

// Close ends it.
func (k *Kube) Close() error {
	k.transport.CloseIdleConnections()
	var errs []error
	for _, p := range k.processes {
		errs = append(errs, p.stop())
	}
	return errors.Join(errs...)
}

// Define creates a CustomResourceDefinition, as JSON, and waits until the path of its objects is served.
func (k *Kube) Define(ctx context.Context, definition []byte, path string) error {
	r := &rest{url: k.URL, token: k.Token, clients: []*http.Client{{Transport: k.transport}}}
	if _, err := r.call(ctx, 0, http.MethodPost, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		_, err := r.call(ctx, 0, http.MethodGet, path, nil)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is not served: %w", path, err)
		case <-time.After(readyEvery):
		}
	}
}
