// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package etcd_test

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"

	"fairlead.dev/services/internal/etcd"
)

// oldMember is a member of etcd that has a version, and nothing else.
type oldMember struct {
	etcdserverpb.UnimplementedMaintenanceServer

	version string
}

func (m oldMember) Status(context.Context, *etcdserverpb.StatusRequest) (*etcdserverpb.StatusResponse, error) {
	return &etcdserverpb.StatusResponse{Version: m.version}, nil
}

// startMember serves a version until the test ends, and returns its address.
func startMember(t *testing.T, version string) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	etcdserverpb.RegisterMaintenanceServer(server, oldMember{version: version})
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return "http://" + l.Addr().String()
}

func TestConnectChecksVersions(t *testing.T) {
	const nobody = "http://127.0.0.1:1"
	for name, tc := range map[string]struct {
		versions []string
		away     bool
		refused  string // part of the error; empty when it is none
	}{
		"the newest":           {[]string{"3.7.3"}, false, ""},
		"the oldest":           {[]string{"3.6.0"}, false, ""},
		"a later one":          {[]string{"4.0.1"}, false, ""},
		"one to come":          {[]string{"3.6.0-rc.1"}, false, ""},
		"too old":              {[]string{"3.5.21"}, false, "3.5.21"},
		"one of them too old":  {[]string{"3.6.4", "3.4.0"}, false, "3.4.0"},
		"no version":           {[]string{"new"}, false, `"new"`},
		"one that is away":     {[]string{"3.6.4"}, true, ""},
		"away, and one is old": {[]string{"3.5.0"}, true, "3.5.0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var endpoints []string
			for _, v := range tc.versions {
				endpoints = append(endpoints, startMember(t, v))
			}
			if tc.away {
				endpoints = append(endpoints, nobody)
			}
			client, err := etcd.Connect(etcd.ClientConfig{Endpoints: endpoints, Log: slog.New(slog.DiscardHandler)})
			if client != nil {
				defer client.Close()
			}
			if tc.refused == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.refused) {
				t.Errorf("got %v, want an error that says %q", err, tc.refused)
			}
		})
	}
}
