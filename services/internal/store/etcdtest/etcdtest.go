// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package etcdtest gives tests a real etcd of their own.
package etcdtest

import (
	"log/slog"
	"os"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"fairlead.dev/services/internal/etcd"
)

// Start runs an etcd until the test ends, and returns a client of it. Its data is thrown away.
func Start(t testing.TB) *clientv3.Client {
	t.Helper()
	return StartEmbedded(t, t.TempDir()).Client()
}

// StartEmbedded runs an etcd on dir until the test ends.
func StartEmbedded(t testing.TB, dir string) *etcd.Embedded {
	t.Helper()
	return StartWith(t, etcd.Config{Dir: dir})
}

// StartWith runs an etcd of a configuration until the test ends. Without a log in it, errors go to stderr.
func StartWith(t testing.TB, c etcd.Config) *etcd.Embedded {
	t.Helper()
	if c.Log == nil {
		c.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	}
	e, err := etcd.StartEmbedded(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("close etcd: %v", err)
		}
	})
	return e
}
