// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"

	"fairlead.dev/services/internal/etcd"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/store/etcdtest"
	"fairlead.dev/services/internal/store/storetest"
)

func TestMain(m *testing.M) {
	etcdtest.Main()
	goleak.VerifyTestMain(m)
}

// TestConformance runs the suite over both ways to reach etcd: calls inside the process, and gRPC.
func TestConformance(t *testing.T) {
	e := etcdtest.StartEmbedded(t, t.TempDir())
	clients := map[string]*clientv3.Client{"in process": e.Client(), "over a socket": dial(t, e)}
	for name, client := range clients {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) *store.Store {
				return storetest.StartOn(t, client, store.Options{Prefix: "/" + t.Name()})
			})
		})
	}
}

func dial(t testing.TB, e *etcd.Embedded) *clientv3.Client {
	t.Helper()
	client, err := etcd.Connect(etcd.ClientConfig{Endpoints: e.Endpoints()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Errorf("close the client: %v", err)
		}
	})
	return client
}
