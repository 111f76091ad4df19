// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package storetest gives tests a running store, and holds the suite that every way to reach etcd must pass.
package storetest

import (
	"context"
	"log/slog"
	"os"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/store/etcdtest"
)

// Start runs a store over an etcd of its own until the test ends.
func Start(t testing.TB) *store.Store {
	t.Helper()
	return StartOn(t, etcdtest.Start(t), store.Options{})
}

// StartOn runs a store over client until the test ends. Nothing is compacted unless the options say so.
func StartOn(t testing.TB, client *clientv3.Client, o store.Options) *store.Store {
	t.Helper()
	if o.CompactionInterval == 0 {
		o.CompactionInterval = -1
	}
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	}
	s, err := store.New(client, o)
	if err != nil {
		t.Fatal(err)
	}
	RunUntilEnd(t, s)
	return s
}

// RunUntilEnd runs s until the test ends.
func RunUntilEnd(t testing.TB, s *store.Store) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run the store: %v", err)
		}
	})
}
