// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"

	"fairlead.dev/services/eventing/engine"
)

// serveNATS runs a NATS server on a port; 0 means any.
func serveNATS(t *testing.T, dir string, port int) *server.Server {
	t.Helper()
	if port == 0 {
		port = server.RANDOM_PORT
	}
	srv, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	if !srv.ReadyForConnections(20 * time.Second) {
		t.Fatal("the server does not start")
	}
	t.Cleanup(func() {
		srv.Shutdown()
		srv.WaitForShutdown()
	})
	return srv
}

func TestServerElsewhereThatComesBack(t *testing.T) {
	dir := t.TempDir()
	srv := serveNATS(t, dir, 0)
	port := srv.Addr().(interface{ AddrPort() netip.AddrPort }).AddrPort().Port()
	e := open(t, "", func(c *engine.Config) { c.URL = srv.ClientURL() })
	withStream(t, e, "t-1")
	publish(t, e, "1")
	srv.Shutdown()
	srv.WaitForShutdown()
	if err := e.Publish(t.Context(), broker.UID, message("2")); !errors.Is(err, engine.ErrUnavailable) {
		t.Errorf("publish without a server: got %v", err)
	}
	serveNATS(t, dir, int(port))
	for deadline := time.Now().Add(20 * time.Second); e.Publish(t.Context(), broker.UID, message("3")) != nil; {
		if time.Now().After(deadline) {
			t.Fatal("the engine does not connect again")
		}
	}
	if d := cmp.Diff([]string{"1", "3"}, pull(t, e, "t-1", 2)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
