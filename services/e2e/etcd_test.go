// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"fairlead.dev/services/e2e/harness"
	"fairlead.dev/services/internal/etcd"
	"fairlead.dev/services/internal/nettest"
)

// ownEtcd runs an etcd in this process until the test ends, and returns a line to it that can be cut.
func ownEtcd(t *testing.T) *nettest.Proxy {
	t.Helper()
	e, err := etcd.StartEmbedded(t.Context(), etcd.Config{Dir: t.TempDir(), Listen: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, endpoint := range e.Endpoints() {
		if address, ok := strings.CutPrefix(endpoint, "http://"); ok {
			return nettest.New(t, "tcp", address)
		}
	}
	t.Fatalf("etcd listens at no TCP address: %v", e.Endpoints())
	return nil
}

func serverOnEtcd(t *testing.T, name string, lines ...*nettest.Proxy) *harness.Server {
	t.Helper()
	endpoints := make([]string, len(lines))
	for i, l := range lines {
		endpoints[i] = "http://" + l.Address()
	}
	return anotherServer(t, name, func(cfg *harness.ServerConfig) {
		cfg.Flags = append(slices.Clip(cfg.Flags), "--etcd-endpoints", strings.Join(endpoints, ","))
	})
}

// TestEtcdDown has etcd out of reach for a while under a mixed load: the server says that it is not ready, and why;
// afterwards nothing is lost, and nothing is stuck.
func TestEtcdDown(t *testing.T) {
	line := ownEtcd(t)
	server := serverOnEtcd(t, "down", line)
	l, ns := mixedLoad(t, server.Config())
	pause(t, 3*time.Second)
	line.Cut()
	why := untilReady(t, server, false)
	if !strings.Contains(why, "etcd") {
		t.Errorf("/readyz does not name etcd: %s", why)
	}
	pause(t, short(4*time.Second, 30*time.Second))
	line.Restore()
	untilReady(t, server, true)
	pause(t, 2*time.Second)
	checkLoad(t, l, ns)
}

// TestEtcdSlow has etcd answer 200 ms late under a mixed load.
func TestEtcdSlow(t *testing.T) {
	line := ownEtcd(t)
	server := serverOnEtcd(t, "slow", line)
	line.Slow(200 * time.Millisecond)
	l, ns := mixedLoad(t, server.Config())
	pause(t, short(10*time.Second, 60*time.Second))
	checkLoad(t, l, ns)
}

// untilReady waits until the server is ready, or is not, and returns what it says of it.
func untilReady(t *testing.T, server *harness.Server, wanted bool) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	last := "no answer"
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL()+"/readyz", nil)
		if err != nil {
			t.Fatal(err)
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			text, _ := io.ReadAll(res.Body)
			_ = res.Body.Close()
			last = fmt.Sprintf("%d %s", res.StatusCode, text)
			if (res.StatusCode == http.StatusOK) == wanted {
				return last
			}
		}
		select {
		case <-ctx.Done():
			t.Fatalf("ready: want %t, last: %s", wanted, last)
		case <-tick.C:
		}
	}
}
