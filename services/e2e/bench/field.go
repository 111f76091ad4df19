// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"fairlead.dev/services/internal/store"
)

// field is everything that is measured, running: kube-apiserver and Fairlead, each over an etcd of its own, and an etcd
// for the store and for raw puts. Fairlead's Kubernetes is that kube-apiserver, so that nothing else is disturbed.
type field struct {
	kubeEtcd, fairleadEtcd, rawEtcdProcess *process
	kubeProcess, fairleadProcess           *process

	raw   *rawEtcd
	store *storeSystem
	kube  *rest
	grpc  *overGRPC
	front *rest

	// storeObject is an object that the store has in namespaceCreate.
	storeObject string
	closers     []func() error
}

func (f *field) onClose(c func() error) { f.closers = append(f.closers, c) }

func (f *field) close() error {
	var errs []error
	for _, c := range slices.Backward(f.closers) {
		errs = append(errs, c())
	}
	return errors.Join(errs...)
}

// startField starts everything anew, on empty folders; the etcd of the store and of raw puts only where it is wanted.
func (r *run) startField(ctx context.Context, name string, withRaw, etcdInside bool) (_ *field, err error) {
	f := &field{}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.close())
		}
	}()
	dir := filepath.Join(r.Dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	if withRaw {
		if err := r.startRaw(ctx, dir, f); err != nil {
			return nil, err
		}
	}
	if err := r.startKube(ctx, dir, f); err != nil {
		return nil, err
	}
	if err := r.startFairlead(ctx, dir, f, etcdInside); err != nil {
		return nil, err
	}
	for _, ns := range []string{namespaceCreate, namespaceApply, namespaceList, namespaceWatch + "-0", namespaceWatch + "-1", namespaceMass} {
		if err := f.kube.makeNamespace(ctx, ns); err != nil {
			return nil, err
		}
	}
	return f, nil
}

func (r *run) start(ctx context.Context, f *field, p *process) error {
	took, err := p.start(ctx)
	f.onClose(p.stop)
	if err == nil {
		r.sayf("%s answers after %s", p.name, took.Round(time.Millisecond))
	}
	return err
}

func (r *run) startRaw(ctx context.Context, dir string, f *field) error {
	p, endpoint, err := newEtcd(r.Devcluster, dir, "etcd-raw")
	if err != nil {
		return err
	}
	f.rawEtcdProcess = p
	if err := r.start(ctx, f, p); err != nil {
		return err
	}
	client, err := dialEtcd(endpoint)
	if err != nil {
		return err
	}
	f.onClose(client.Close)
	f.raw = &rawEtcd{client}
	return f.openStore(ctx, client)
}

func (f *field) openStore(ctx context.Context, client *clientv3.Client) error {
	s, err := store.New(client, store.Options{})
	if err != nil {
		return err //nolint:wrapcheck // says it all
	}
	k, err := roleKind()
	if err != nil {
		return err
	}
	f.store, f.storeObject = &storeSystem{s, k}, newName()
	return f.store.create(ctx, 0, namespaceCreate, f.storeObject, now())
}

func (r *run) startKube(ctx context.Context, dir string, f *field) error {
	p, endpoint, err := newEtcd(r.Devcluster, dir, "etcd-kube")
	if err != nil {
		return err
	}
	f.kubeEtcd = p
	if err := r.start(ctx, f, p); err != nil {
		return err
	}
	token, err := newToken()
	if err != nil {
		return err
	}
	probe := &http.Client{Transport: &authorized{newTransport(), token}}
	p, url, err := newKubeAPIServer(r.Devcluster, dir, endpoint, token, probe)
	if err != nil {
		return err
	}
	f.kubeProcess = p
	if err := r.start(ctx, f, p); err != nil {
		return err
	}
	f.kube = newREST(url, token, r.connections())
	f.onClose(func() error { f.kube.close(); return nil })
	return f.kube.define(ctx)
}

// connections is how many connections there are: one a client.
func (r *run) connections() int { return r.Clients + r.Watchers }

func newToken() (string, error) {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", fmt.Errorf("bench: token: %w", err)
	}
	return hex.EncodeToString(b[:]), nil
}

// authorized sends a token with each request.
type authorized struct {
	next  http.RoundTripper
	token string
}

// RoundTrip is of http.RoundTripper.
func (a *authorized) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", "Bearer "+a.token)
	return a.next.RoundTrip(req) //nolint:wrapcheck // a pass-through
}

func (r *run) startFairlead(ctx context.Context, dir string, f *field, etcdInside bool) error {
	var beside []string
	if !etcdInside {
		p, endpoint, err := newEtcd(r.Devcluster, dir, "etcd-fairlead")
		if err != nil {
			return err
		}
		f.fairleadEtcd, beside = p, []string{"--etcd-endpoints", endpoint}
		if err := r.start(ctx, f, p); err != nil {
			return err
		}
	}
	ports, err := freePorts(6)
	if err != nil {
		return err
	}
	dir = filepath.Join(dir, "fairlead")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("fairlead: %w", err)
	}
	kubeconfig, token := filepath.Join(dir, "kubeconfig"), filepath.Join(dir, "token")
	if err := writeFile(kubeconfig, kubeconfigOf(f.kube)); err != nil {
		return err
	}
	https, http, grpc := loopback(ports[0]), loopback(ports[1]), loopback(ports[2])
	f.fairleadProcess = &process{
		name: "fairlead", path: r.Fairlead, log: filepath.Join(dir, "log"), ready: "http://" + http + "/readyz",
		args: append([]string{
			"server", "--data-dir", dir, "--kubeconfig", kubeconfig, "--installation", "bench", "--system-namespace", "bench-system",
			"--https-listen", https, "--http-listen", http, "--grpc-listen", grpc,
			"--metrics-listen", loopback(ports[3]), "--router-listen", loopback(ports[4]), "--broker-listen", loopback(ports[5]),
			"--step-image", "registry.invalid/step", "--write-token", token,
			"--own-groups", "fairlead", // the kube-apiserver beside it has CRDs of a group of ours, to be measured by
		}, beside...),
	}
	if err := r.start(ctx, f, f.fairleadProcess); err != nil {
		return err
	}
	secret, err := os.ReadFile(token)
	if err != nil {
		return fmt.Errorf("fairlead: token: %w", err)
	}
	f.front = newREST("http://"+http, strings.TrimSpace(string(secret)), r.connections())
	f.onClose(func() error { f.front.close(); return nil })
	f.grpc, err = newGRPC(grpc, strings.TrimSpace(string(secret)), r.connections())
	if err == nil {
		f.onClose(f.grpc.close)
	}
	return err
}

// kubeconfigOf is a kubeconfig of kube-apiserver, whose certificate is not checked.
func kubeconfigOf(k *rest) string {
	return strings.Join([]string{
		"apiVersion: v1", "kind: Config", "current-context: bench",
		"clusters: [{name: bench, cluster: {server: '" + k.url + "', insecure-skip-tls-verify: true}}]",
		"users: [{name: bench, user: {token: '" + k.token + "'}}]",
		"contexts: [{name: bench, context: {cluster: bench, user: bench}}]", "",
	}, "\n")
}
