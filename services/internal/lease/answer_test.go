// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"context"
	"log/slog"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"fairlead.dev/services/internal/store/etcdtest"
)

// newIdle makes a member that does nothing by itself, with a group of one shard, and a session of it.
func newIdle(t *testing.T, client *clientv3.Client) (*Member, *shard, *session) {
	t.Helper()
	m, err := New(client, Options{ID: "a", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return m, m.Group("g", 1).shards[0], newSession(t, client)
}

func newSession(t *testing.T, client *clientv3.Client) *session {
	t.Helper()
	granted, err := client.Grant(t.Context(), 600)
	if err != nil {
		t.Fatal(err)
	}
	return &session{id: granted.ID, ttl: time.Minute, lost: make(chan struct{}), announce: make(chan struct{}, 1)}
}

// TestALateAnswerBringsBackNobody has etcd's answer to the taking of a shard come when the watch has told all of it, and
// that the shard is gone again: a holder that nobody would ever take out of the view is not put into it.
func TestALateAnswerBringsBackNobody(t *testing.T) {
	for _, c := range []struct {
		reason string
		ahead  int64
		want   bool
	}{
		{"the watch has not got there", 0, true},
		{"the watch has passed the answer", 100, false},
	} {
		t.Run(c.reason, func(t *testing.T) {
			client := etcdtest.Start(t)
			m, s, under := newIdle(t, client)
			now, err := client.Get(t.Context(), "x")
			if err != nil {
				t.Fatal(err)
			}
			m.view.revision = now.Header.Revision + c.ahead
			m.acquire(s, under)
			if _, got := m.view.holders[s.key]; got != c.want {
				t.Errorf("a holder is known: %t, want %t", got, c.want)
			}
		})
	}
}

// TestReleaseFindsAnother gives a shard back that another member has by now: it stays known as the holder.
func TestReleaseFindsAnother(t *testing.T) {
	client := etcdtest.Start(t)
	m, s, under := newIdle(t, client)
	put, err := client.Put(t.Context(), s.key, "b", clientv3.WithLease(newSession(t, client).id))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		reason string
		known  map[string]holder
	}{
		{"known from the watch", map[string]holder{s.key: {id: "b", created: put.Header.Revision, seen: put.Header.Revision}}},
		{"not known yet", map[string]holder{}},
	} {
		t.Run(c.reason, func(t *testing.T) {
			s.session, s.revision, m.view.holders = under, put.Header.Revision-1, c.known
			if err := m.release(s); err != nil {
				t.Fatal(err)
			}
			if h, ok := m.view.holders[s.key]; !ok || h.id != "b" {
				t.Errorf("the holder is %+v, want b", h)
			}
		})
	}
}

// TestALostSessionTakesNothingFromTheNext ends a session when the next one is to be announced: it is.
func TestALostSessionTakesNothingFromTheNext(t *testing.T) {
	client := etcdtest.Start(t)
	m, _, next := newIdle(t, client)
	m.session = next
	m.signal()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for range 50 { // of what is ready, select takes any
		lost := newSession(t, client)
		close(lost.lost)
		m.register(ctx, lost)
	}
	registered := client.Watch(ctx, m.keys.member("a"), clientv3.WithRev(1))
	m.wg.Go(func() { m.register(ctx, next) })
	resp, ok := <-registered
	close(next.lost)
	m.wg.Wait()
	if !ok || len(resp.Events) == 0 || clientv3.LeaseID(resp.Events[0].Kv.Lease) != next.id {
		t.Errorf("the first registration is %v, want one under the next session", resp.Events)
	}
}
