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
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	e, err := etcd.StartEmbedded(t.Context(), etcd.Config{Dir: dir, Log: log})
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
