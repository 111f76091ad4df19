// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package matrix_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"fairlead.dev/services/e2e/inprocess"
	"fairlead.dev/services/e2e/matrix"
)

// callsTimeout is how long all calls of a test may take.
const callsTimeout = 5 * time.Minute

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs the services of the all-in-one on a real etcd, as far as they need no cluster.
func start(t *testing.T) matrix.Target {
	t.Helper()
	server := inprocess.Start(t)
	return matrix.Target{Conn: server.Conn, Admin: server.Admin, Namespace: "shop", Other: "elsewhere", Offline: true}
}

func TestEverybodyAtEveryRPC(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), callsTimeout)
	defer cancel()
	target := start(t)
	services, err := matrix.Registered(ctx, target.Conn)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(matrix.Services(), services); d != "" {
		t.Errorf("services that are there, and registered (-want +got):\n%s", d)
	}
	rows, faults := matrix.RowsOf(services)
	for _, fault := range faults {
		t.Error(fault)
	}
	people, err := matrix.Gather(ctx, target, rows)
	if err != nil {
		t.Fatal(err)
	}
	cells := people.Cells(rows)
	for _, fault := range target.Run(ctx, cells) {
		t.Error(fault)
	}
	t.Logf("%d calls of %d RPCs by %d kinds of strangers and %d holders of a right", len(cells), len(rows), len(people.Strangers), len(people.Holders))
	if err := people.Leave(ctx); err != nil {
		t.Error(err)
	}
}

func TestStreamsEndWithTheirCallers(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), callsTimeout)
	defer cancel()
	target := start(t)
	rows, _ := matrix.RowsOf(matrix.Services())
	for _, row := range rows {
		switch row.Method {
		case "/fairlead.build.v1.BuildService/Watch", "/fairlead.serving.v1.RouterService/Sync", "/fairlead.eventing.v1.DispatcherService/Sync":
		default:
			continue
		}
		ends, err := target.EndStreams(ctx, row)
		if err != nil {
			t.Error(err)
		}
		for _, e := range ends {
			t.Logf("%s: the %s is gone: ended after %s: %v", row.Method, e.What, e.After, e.Err)
		}
	}
}
