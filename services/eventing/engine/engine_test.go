// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"fairlead.dev/services/eventing/engine"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("ENGINE_TEST_PUBLISH_IN"); dir != "" {
		publishForever(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

var broker = engine.Owner{UID: "b-1", Namespace: "shop", Name: "default"}

func trigger(uid string) engine.Owner {
	return engine.Owner{UID: uid, Namespace: "shop", Name: "trigger-" + uid}
}

func open(t testing.TB, dir string, change func(*engine.Config)) *engine.Engine {
	t.Helper()
	cfg := engine.DefaultConfig(dir)
	cfg.Installation, cfg.MinFreeBytes, cfg.AckWait = "test", 0, time.Second
	if change != nil {
		change(&cfg)
	}
	e, err := engine.Open(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

func withStream(t testing.TB, e *engine.Engine, triggers ...string) {
	t.Helper()
	if _, err := e.EnsureStream(t.Context(), broker); err != nil {
		t.Fatal(err)
	}
	for _, uid := range triggers {
		if _, err := e.EnsureConsumer(t.Context(), broker.UID, trigger(uid), engine.Newest); err != nil {
			t.Fatal(err)
		}
	}
}

func message(id string) engine.Message {
	return engine.Message{Header: map[string][]string{"ce-id": {id}}, Data: []byte("data of " + id)}
}

func publish(t testing.TB, e *engine.Engine, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if err := e.Publish(t.Context(), broker.UID, message(id)); err != nil {
			t.Fatalf("publish %s: %v", id, err)
		}
	}
}

// pull takes and acknowledges events until it has n different ones.
func pull(t testing.TB, e *engine.Engine, uid string, n int) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	p, err := e.Puller(ctx, broker.UID, uid)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	var ids []string
	for len(ids) < n {
		if ctx.Err() != nil {
			t.Fatalf("got %d of %d events", len(ids), n)
		}
		err := p.Pull(ctx, n-len(ids), func(d *engine.Delivery) {
			if id := d.Header["ce-id"][0]; !seen[id] {
				seen[id] = true
				ids = append(ids, id)
			}
			if err := d.Ack(); err != nil {
				t.Error(err)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return ids
}

func TestEventsSurviveRestart(t *testing.T) {
	dir := t.TempDir()
	e := open(t, dir, nil)
	withStream(t, e, "t-1")
	publish(t, e, "1", "2", "3")
	if got := pull(t, e, "t-1", 1); got[0] != "1" {
		t.Fatalf("first event: got %s, want 1", got[0])
	}
	e.Close()

	e = open(t, dir, nil)
	if d := cmp.Diff([]string{"2", "3"}, pull(t, e, "t-1", 2)); d != "" {
		t.Errorf("events after a restart (-want +got):\n%s", d)
	}
}

func TestTriggerGetsEventsFromItsCreationOn(t *testing.T) {
	e := open(t, t.TempDir(), nil)
	withStream(t, e, "t-1")
	publish(t, e, "before")
	withStream(t, e, "t-2")
	publish(t, e, "after")
	if d := cmp.Diff([]string{"after"}, pull(t, e, "t-2", 1)); d != "" {
		t.Errorf("the new trigger (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"before", "after"}, pull(t, e, "t-1", 2)); d != "" {
		t.Errorf("the old trigger (-want +got):\n%s", d)
	}
}

func TestBatchIsAllOrNothing(t *testing.T) {
	e := open(t, t.TempDir(), nil)
	withStream(t, e, "t-1")
	batch, want := make([]engine.Message, 0, 100), make([]string, 0, 100)
	for i := range 100 {
		batch = append(batch, message(strconv.Itoa(i)))
		want = append(want, strconv.Itoa(i))
	}
	if err := e.Publish(t.Context(), broker.UID, batch...); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, pull(t, e, "t-1", len(want))); d != "" {
		t.Errorf("events of the batch (-want +got):\n%s", d)
	}

	batch[99].Data = make([]byte, 3<<20)
	if err := e.Publish(t.Context(), broker.UID, batch...); !errors.Is(err, engine.ErrTooLarge) {
		t.Errorf("a batch with an event too large: got %v", err)
	}
	if err := e.Publish(t.Context(), "absent", batch[:2]...); !errors.Is(err, engine.ErrUnavailable) {
		t.Errorf("a batch without a stream: got %v", err)
	}
	// Acknowledgements of what was pulled arrive a little later; a part of a refused batch would stay.
	for deadline := time.Now().Add(10 * time.Second); ; {
		n, err := e.Pending(t.Context(), broker.UID, "t-1")
		if err == nil && n == 0 {
			break
		}
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("pending after refused batches: got %d, %v", n, err)
		}
	}
}

func TestConcurrentBatches(t *testing.T) {
	e := open(t, t.TempDir(), nil)
	withStream(t, e, "t-1")
	var wg sync.WaitGroup
	for w := range 80 {
		wg.Go(func() {
			batch := []engine.Message{message(fmt.Sprintf("%d-a", w)), message(fmt.Sprintf("%d-b", w))}
			if err := e.Publish(t.Context(), broker.UID, batch...); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := pull(t, e, "t-1", 160); len(got) != 160 {
		t.Errorf("got %d events, want 160", len(got))
	}
}

func TestSamePublicationTwice(t *testing.T) {
	e := open(t, t.TempDir(), nil)
	withStream(t, e, "t-1")
	m := message("reply")
	m.ID = "t-0/1"
	for range 2 {
		if err := e.Publish(t.Context(), broker.UID, m); err != nil {
			t.Fatal(err)
		}
	}
	publish(t, e, "same id", "same id")
	if n, err := e.Pending(t.Context(), broker.UID, "t-1"); err != nil || n != 3 {
		t.Errorf("pending: got %d, %v, want 3: publications with an ID count once, those without always", n, err)
	}
}

func TestFullStreamKeepsWhatWaits(t *testing.T) {
	e := open(t, t.TempDir(), func(c *engine.Config) { c.MaxEventBytes, c.MaxBytes = 64<<10, 256<<10 })
	withStream(t, e, "t-1")
	large := func(id string) error {
		m := message(id)
		m.Data = make([]byte, 32<<10)
		return e.Publish(t.Context(), broker.UID, m)
	}
	var kept int
	for ; kept < 100; kept++ {
		if err := large(strconv.Itoa(kept)); err != nil {
			if !errors.Is(err, engine.ErrFull) {
				t.Fatal(err)
			}
			break
		}
	}
	if kept == 0 || kept == 100 {
		t.Fatalf("%d events went into 256 KiB", kept)
	}
	if got := pull(t, e, "t-1", kept); len(got) != kept {
		t.Fatalf("got %d events, want all %d", len(got), kept)
	}
	for i := range 3 * kept {
		if err := large("more-" + strconv.Itoa(i)); err != nil {
			t.Fatalf("event %d after the stream was read: %v", i, err)
		}
		pull(t, e, "t-1", 1)
	}
}

func TestNoSpaceOnDisk(t *testing.T) {
	e := open(t, t.TempDir(), func(c *engine.Config) { c.MinFreeBytes = 1 << 60 })
	withStream(t, e)
	if err := e.Publish(t.Context(), broker.UID, message("1")); !errors.Is(err, engine.ErrFull) {
		t.Errorf("publish on a full disk: got %v", err)
	}
	if err := e.Ready(t.Context()); !errors.Is(err, engine.ErrFull) {
		t.Errorf("ready on a full disk: got %v", err)
	}
}

func TestRetryComesBackWithItsCount(t *testing.T) {
	e := open(t, t.TempDir(), nil)
	withStream(t, e, "t-1")
	publish(t, e, "1")
	p, err := e.Puller(t.Context(), broker.UID, "t-1")
	if err != nil {
		t.Fatal(err)
	}
	var attempts []int
	for range 3 {
		err := p.Pull(t.Context(), 1, func(d *engine.Delivery) {
			attempts = append(attempts, d.Attempt)
			_ = d.Retry(10 * time.Millisecond)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff([]int{1, 2, 3}, attempts); d != "" {
		t.Errorf("attempts (-want +got):\n%s", d)
	}
}

func TestPullEndsWithItsContext(t *testing.T) {
	e := open(t, t.TempDir(), nil)
	withStream(t, e, "t-1")
	p, err := e.Puller(t.Context(), broker.UID, "t-1")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- p.Pull(ctx, 10, func(*engine.Delivery) {}) }()
	cancel()
	if err := <-done; err != nil {
		t.Errorf("a pull whose context ended: %v", err)
	}
}

func TestStreamsAndConsumersAreListedAndDeleted(t *testing.T) {
	dir := t.TempDir()
	e := open(t, dir, nil)
	withStream(t, e, "t-1", "t-2")
	streams, err := e.Streams(t.Context())
	if err != nil || !slices.Equal(streams, []string{broker.UID}) {
		t.Fatalf("streams: got %v, %v", streams, err)
	}
	if err := e.DeleteConsumer(t.Context(), broker.UID, "t-1"); err != nil {
		t.Fatal(err)
	}
	if got, err := e.Consumers(t.Context(), broker.UID); err != nil || !slices.Equal(got, []string{"t-2"}) {
		t.Errorf("consumers: got %v, %v, want t-2", got, err)
	}
	e.Close()

	other := open(t, dir, func(c *engine.Config) { c.Installation = "other" })
	if got, err := other.Streams(t.Context()); err != nil || len(got) != 0 {
		t.Errorf("streams of another installation: got %v, %v", got, err)
	}
	if err := errors.Join(other.DeleteStream(t.Context(), broker.UID), other.DeleteStream(t.Context(), broker.UID),
		other.DeleteConsumer(t.Context(), broker.UID, "t-2")); err != nil {
		t.Errorf("deleting what is gone: %v", err)
	}
}

func TestConfigTellsEveryFault(t *testing.T) {
	err := engine.Config{}.Validate()
	for _, want := range []string{"dir:", "replicas:", "maxEventBytes:", "maxAge:", "ackWait:", "maxWaiting:"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("an empty configuration: %v does not name %s", err, want)
		}
	}
	if err := engine.DefaultConfig("x").Validate(); err != nil {
		t.Errorf("the default configuration: %v", err)
	}
}
