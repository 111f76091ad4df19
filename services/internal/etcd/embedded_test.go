// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package etcd_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"fairlead.dev/services/internal/etcd"
)

// childDir, when set, makes the test binary write to an etcd on that directory until it is killed.
const childDir = "FAIRLEAD_TEST_ETCD_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		writeUntilKilled(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

func start(t *testing.T, c etcd.Config) *etcd.Embedded {
	t.Helper()
	e, err := etcd.StartEmbedded(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func TestRestartKeepsWhatWasWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	first := start(t, etcd.Config{Dir: dir})
	if _, err := first.Client().Put(t.Context(), "a", "1"); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := start(t, etcd.Config{Dir: dir})
	resp, err := second.Client().Get(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if len(resp.Kvs) != 1 || string(resp.Kvs[0].Value) != "1" {
		t.Errorf("got %v, want a=1", resp.Kvs)
	}
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o700 {
		t.Errorf("the data directory has mode %v, want 0700", info.Mode().Perm())
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	dir := t.TempDir()
	start(t, etcd.Config{Dir: dir})
	_, err := etcd.StartEmbedded(t.Context(), etcd.Config{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), "another process uses") {
		t.Errorf("got %v, want a refusal", err)
	}
}

func TestListensOnLoopbackOnly(t *testing.T) {
	if _, err := etcd.StartEmbedded(t.Context(), etcd.Config{Dir: t.TempDir(), Listen: "0.0.0.0:0"}); err == nil {
		t.Error("0.0.0.0 was accepted")
	}
	e := start(t, etcd.Config{Dir: t.TempDir(), Listen: "127.0.0.1:0"})
	for _, endpoint := range e.Endpoints() {
		t.Run(endpoint[:4], func(t *testing.T) {
			c, err := etcd.Connect(etcd.ClientConfig{Endpoints: []string{endpoint}})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := c.Put(t.Context(), "k", "v"); err != nil {
				t.Errorf("put over %s: %v", endpoint, err)
			}
		})
	}
	if len(e.Endpoints()) != 2 {
		t.Errorf("endpoints: got %v, want the socket and the port", e.Endpoints())
	}
}

func TestConnectRefuses(t *testing.T) {
	cases := map[string]etcd.ClientConfig{
		"no endpoints":             {},
		"a certificate alone":      {Endpoints: []string{"https://127.0.0.1:1"}, CertFile: "x"},
		"a file that is not there": {Endpoints: []string{"https://127.0.0.1:1"}, CAFile: "/no/such/file"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if client, err := etcd.Connect(c); err == nil {
				t.Errorf("got a client of %v", client.Endpoints())
			}
		})
	}
}

func TestLogIsQuiet(t *testing.T) {
	var buf bytes.Buffer
	e := start(t, etcd.Config{Dir: t.TempDir(), Log: slog.New(slog.NewTextHandler(&buf, &slog.HandlerOptions{Level: slog.LevelInfo}))})
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if buf.Len() > 0 {
		t.Errorf("an ordinary start and stop are not silent:\n%s", buf.String())
	}
}

func TestKillLosesNoAcknowledgedWrite(t *testing.T) {
	dir := t.TempDir()
	for round := range 2 {
		acknowledged := runAndKill(t, dir, 20)
		e := start(t, etcd.Config{Dir: dir})
		for _, key := range acknowledged {
			resp, err := e.Client().Get(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			if len(resp.Kvs) != 1 {
				t.Fatalf("round %d: %s was acknowledged and is gone", round, key)
			}
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// runAndKill runs a writer in a process of its own, kills it after n writes, and returns the keys it had acknowledged.
func runAndKill(t *testing.T, dir string, n int) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	pr, pw, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer pr.Close()
	cmd.Stdout = pw
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := pw.Close(); err != nil {
		t.Fatal(err)
	}
	var keys []string
	for len(keys) < n {
		var key string
		if _, err := fmt.Fscanln(pr, &key); err != nil {
			t.Fatalf("the writer ended early: %v", err)
		}
		keys = append(keys, key)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	return keys
}

func writeUntilKilled(dir string) {
	ctx := context.Background()
	e, err := etcd.StartEmbedded(ctx, etcd.Config{Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for i := 0; ; i++ {
		key := fmt.Sprintf("%d-%d", os.Getpid(), i)
		if _, err := e.Client().Put(ctx, key, "x"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(key)
	}
}
