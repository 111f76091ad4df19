// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/store/etcdtest"
	"fairlead.dev/services/internal/store/storetest"
)

// soak is set for the long form of the tests of faults.
var soak = os.Getenv("FAIRLEAD_SOAK") != ""

// faultTime is how long a fault lasts.
func faultTime() time.Duration {
	if soak {
		return 30 * time.Second
	}
	return 3 * time.Second
}

// last lets a fault last.
func last(t testing.TB, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}

// quietStore runs a store whose complaints about faults nobody needs to read.
func quietStore(t testing.TB, client *clientv3.Client, o store.Options) *store.Store {
	t.Helper()
	o.Log = slog.New(slog.DiscardHandler)
	if o.RequestTimeout == 0 {
		o.RequestTimeout = 2 * time.Second
	}
	return storetest.StartOn(t, client, o)
}

// TestEtcdDown kills etcd under writers, readers and watchers, and starts it again.
func TestEtcdDown(t *testing.T) {
	t.Parallel()
	p := etcdtest.StartProcess(t)
	l := startLoad(t, quietStore(t, p.Client(), store.Options{}))
	l.progress("before")
	p.Kill()
	last(t, faultTime())
	if l.failed.Load() == 0 {
		t.Error("no call failed without etcd")
	}
	p.Restart()
	l.progress("after etcd is back")
	l.finish()
}

// TestEtcdPaused stops etcd so that it neither answers nor closes its connections, and lets it go on.
func TestEtcdPaused(t *testing.T) {
	t.Parallel()
	p := etcdtest.StartProcess(t)
	l := startLoad(t, quietStore(t, p.Client(), store.Options{}))
	l.progress("before")
	p.Pause()
	last(t, faultTime())
	p.Resume()
	l.progress("after etcd goes on")
	l.finish()
}

// TestEtcdSlow has what is sent to etcd arrive 200 ms later: everything goes on, slower.
func TestEtcdSlow(t *testing.T) {
	t.Parallel()
	line := etcdtest.NewProxy(t, etcdtest.StartProcess(t).Endpoint())
	l := startLoad(t, quietStore(t, quietClient(t, line.Endpoint()), store.Options{RequestTimeout: 10 * time.Second}))
	l.progress("before")
	failed := l.failed.Load()
	line.Slow(200 * time.Millisecond)
	l.progress("while it is slow")
	last(t, faultTime())
	line.Restore()
	if n := l.failed.Load() - failed; n > 0 {
		t.Errorf("%d calls failed while etcd was slow, which is no reason to fail", n)
	}
	l.progress("after it is fast again")
	l.finish()
	line.Cut()
}

// TestEtcdCompactedUnderWatchers cuts a store off, and has etcd forget what it has missed.
func TestEtcdCompactedUnderWatchers(t *testing.T) {
	t.Parallel()
	p := etcdtest.StartProcess(t)
	direct := p.Client()
	line := etcdtest.NewProxy(t, p.Endpoint())
	l := startLoad(t, quietStore(t, quietClient(t, line.Endpoint()), store.Options{}))
	other := quietStore(t, direct, store.Options{})
	rounds := 3
	if soak {
		rounds = 30
	}
	for range rounds {
		l.progress("before")
		line.Cut()
		for i := range 20 {
			name := "other-" + string(rune('a'+i%5))
			_, err := other.Create(t.Context(), storetest.Services(t), storetest.Service("other", name))
			if err != nil {
				_, err = other.Delete(t.Context(), storetest.Services(t), store.Key{Namespace: "other", Name: name}, store.DeleteOptions{})
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		compact(t, direct, createSome(t, other, "compacted"))
		line.Restore()
		l.progress("after the compaction")
	}
	l.finish()
	line.Cut()
}

// TestMemberLost kills a member of three, first one that follows and then the one that leads, and later brings it back.
func TestMemberLost(t *testing.T) {
	for name, leads := range map[string]bool{"a follower": false, "the leader": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster := etcdtest.StartCluster(t, 3)
			client := cluster.Client()
			l := startLoad(t, quietStore(t, client, store.Options{}))
			l.progress("before")
			victim := cluster.Leader(t.Context(), client)
			if victim < 0 {
				t.Fatal("nobody leads")
			}
			if !leads {
				victim = (victim + 1) % 3
			}
			cluster.Members[victim].Kill()
			l.progress("with two of three")
			last(t, faultTime())
			cluster.Members[victim].Restart()
			l.progress("with all three")
			cluster.Members[(victim+1)%3].Kill()
			l.progress("with another lost")
			l.finish()
		})
	}
}

// TestLeaderPaused stops the leading member of three, which goes on later without knowing that another leads.
func TestLeaderPaused(t *testing.T) {
	t.Parallel()
	cluster := etcdtest.StartCluster(t, 3)
	client := cluster.Client()
	l := startLoad(t, quietStore(t, client, store.Options{}))
	l.progress("before")
	leader := cluster.Leader(t.Context(), client)
	if leader < 0 {
		t.Fatal("nobody leads")
	}
	cluster.Members[leader].Pause()
	last(t, faultTime())
	cluster.Members[leader].Resume()
	l.progress("after it goes on")
	l.finish()
}

// TestClockSteps has the clock jump back and forth by hours under a store that compacts as often as it can.
func TestClockSteps(t *testing.T) {
	var offset atomic.Int64
	client := etcdtest.Start(t)
	s := quietStore(t, client, store.Options{
		CompactionInterval: 50 * time.Millisecond, KeepRevisions: 200 * time.Millisecond, BookmarkInterval: 50 * time.Millisecond,
		Now: func() time.Time { return time.Now().Add(time.Duration(offset.Load())) },
	})
	l := startLoad(t, s)
	jumps := 10
	if soak {
		jumps = 200
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range jumps {
		l.progress("before a jump")
		offset.Store(int64(time.Duration(r.IntN(48)-24) * time.Hour))
		made := createSome(t, s, "clock")
		offset.Add(-int64(time.Hour))
		if m := mustDelete(t, s, store.KeyOf(made)).GetMetadata(); m.GetDeletionTimestamp().GetSeconds() < m.GetCreationTimestamp().GetSeconds() {
			t.Errorf("it was deleted at %s, before it was created at %s", m.GetDeletionTimestamp().AsTime(), m.GetCreationTimestamp().AsTime())
		}
	}
	l.finish()
	made := createSome(t, s, "clock").GetMetadata().GetResourceVersion()
	revision, err := strconv.ParseInt(made, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	insist(ctx, t, "compaction after the jumps", func() error {
		createSome(t, s, "clock")
		if _, err := client.Get(ctx, "x", clientv3.WithRev(revision)); !errors.Is(err, rpctypes.ErrCompacted) {
			return fmt.Errorf("revision %d: %w, %w", revision, errNotYet, err)
		}
		return nil
	})
}
