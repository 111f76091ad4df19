// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdtest_test

import (
	"context"
	"os"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"

	"fairlead.dev/services/internal/store/etcdtest"
)

func TestMain(m *testing.M) {
	etcdtest.Main()
	goleak.VerifyTestMain(m)
}

// put writes within a limit, again where it fails, and returns whether it was acknowledged.
func put(t *testing.T, c *clientv3.Client, key string, limit time.Duration) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	for {
		_, err := c.Put(ctx, key, "x")
		if err == nil || ctx.Err() != nil {
			return err == nil
		}
	}
}

func exists(t *testing.T, c *clientv3.Client, key string) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	resp, err := c.Get(ctx, key)
	if err != nil {
		t.Fatal(err)
	}
	return len(resp.Kvs) == 1
}

const long, short = 20 * time.Second, 200 * time.Millisecond

func TestProcess(t *testing.T) {
	p := etcdtest.StartProcess(t)
	c := p.Client()
	if !put(t, c, "a", long) {
		t.Fatal("a put fails")
	}
	p.Pause()
	if put(t, c, "b", short) {
		t.Error("a paused etcd writes")
	}
	p.Resume()
	if !put(t, c, "c", long) {
		t.Error("a put fails after the pause")
	}
	p.Kill()
	p.Kill() // once more does nothing
	if put(t, c, "d", short) {
		t.Error("a killed etcd writes")
	}
	p.Restart()
	if !exists(t, c, "a") || !exists(t, c, "c") {
		t.Error("what was acknowledged is gone")
	}
	if _, err := os.Stat(p.Dir()); err != nil {
		t.Error(err)
	}
	p.Pause()
	p.Restart() // of one that is paused
	if !put(t, c, "e", long) {
		t.Error("a put fails after the restart")
	}
}

func TestCluster(t *testing.T) {
	cluster := etcdtest.StartCluster(t, 3)
	c := cluster.Client()
	if !put(t, c, "a", long) {
		t.Fatal("a put fails")
	}
	leader := cluster.Leader(t.Context(), c)
	if leader < 0 {
		t.Fatal("nobody leads")
	}
	cluster.Members[leader].Kill()
	if !put(t, c, "b", long) || !exists(t, c, "a") {
		t.Error("two of three do not go on")
	}
	other := (leader + 1) % 3
	cluster.Members[other].Pause()
	if put(t, c, "c", short) {
		t.Error("one of three writes")
	}
	cluster.Members[other].Resume()
	cluster.Members[leader].Restart()
	if !put(t, c, "d", long) || !exists(t, c, "b") {
		t.Error("three of three do not go on")
	}
}
