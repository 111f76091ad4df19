// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"

	"fairlead.dev/services/eventing/engine"
)

// publishForever runs in a process of its own: it writes the number of each event to stdout once it was acknowledged.
func publishForever(dir string) {
	cfg := engine.DefaultConfig(dir)
	cfg.Installation = "test"
	e, err := engine.Open(cfg, slog.Default())
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	if _, err := e.EnsureStream(ctx, broker); err != nil {
		panic(err)
	}
	if _, err := e.EnsureConsumer(ctx, broker.UID, trigger("t-1"), engine.Newest); err != nil {
		panic(err)
	}
	for i := 0; ; i++ {
		var err error
		if i%10 == 9 { // now and then a batch
			err = e.Publish(ctx, broker.UID, message(strconv.Itoa(i)), message(fmt.Sprintf("%d+", i)))
		} else {
			err = e.Publish(ctx, broker.UID, message(strconv.Itoa(i)))
		}
		if err != nil {
			panic(err)
		}
		fmt.Println(i)
	}
}

func TestAcknowledgedEventsSurviveKill(t *testing.T) {
	dir := t.TempDir()
	acknowledged := -1
	for round := range 3 {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), "ENGINE_TEST_PUBLISH_IN="+dir)
		child.Stderr = os.Stderr
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		last := -1
		for lines := bufio.NewScanner(out); lines.Scan(); {
			n, err := strconv.Atoi(lines.Text())
			if err != nil {
				t.Fatal(err)
			}
			last = n
			if n == 150*(round+1) {
				if err := child.Process.Signal(syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = child.Wait()
		acknowledged = max(acknowledged, last)
	}

	e := open(t, dir, nil)
	// Each round began at 0 again, so the numbers up to the highest are all there.
	pending, err := e.Pending(t.Context(), broker.UID, "t-1")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	p, err := e.Puller(t.Context(), broker.UID, "t-1")
	if err != nil {
		t.Fatal(err)
	}
	err = p.Pull(t.Context(), int(pending), func(d *engine.Delivery) {
		got[d.Header["ce-id"][0]] = true
		_ = d.Ack()
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range acknowledged + 1 {
		id := strconv.Itoa(i)
		if !got[id] || (i%10 == 9 && !got[id+"+"]) {
			t.Errorf("event %d was acknowledged and is lost", i)
		}
	}
	t.Logf("acknowledged up to %d in three processes; %d events found", acknowledged, pending)
}
