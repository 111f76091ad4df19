// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package lease_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/lease"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/store/etcdtest"
	"fairlead.dev/services/internal/store/storetest"
)

// envLeader holds etcd's endpoint when this binary is to be a leader in a process of its own.
const envLeader = "FAIRLEAD_TEST_LEADER"

// leadAsProcess leads, writes as often as it can, and says how each of its terms ended.
func leadAsProcess(endpoint string) int {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, Logger: zap.NewNop()})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	s, err := store.New(client, store.Options{})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	m, err := lease.New(client, lease.Options{ID: "process", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { _, _ = io.Copy(io.Discard, os.Stdin); cancel() }()
	var term atomic.Int32
	go m.Group("leader", 1).Follow(ctx, func(ctx context.Context, _ int) {
		if term.Add(1) == 1 {
			leadDeaf(ctx, s)
		}
		<-ctx.Done()
	})
	if err := m.Run(ctx); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// leadDeaf is the worst of leaders: it writes until it is refused, and never looks whether it leads.
func leadDeaf(ctx context.Context, s *store.Store) {
	deaf := context.WithoutCancel(ctx)
	for i := 0; ; i++ {
		over := ctx.Err() != nil // before the write, not after: what etcd took in before the pause is answered after it
		err := write(deaf, s, "process "+strconv.Itoa(i))
		switch {
		case i == 0:
			fmt.Println("leads", err)
		case errors.Is(err, store.ErrFenced):
			fmt.Println("fenced")
			return
		case over && err == nil:
			fmt.Println("wrote after the end")
		}
	}
}

func write(ctx context.Context, s *store.Store, value string) error {
	kind, _ := kinds.ByKind("serving.knative.dev", "v1", "Service")
	_, err := s.Update(ctx, kind, store.Key{Namespace: "a", Name: "web"}, "", func(o store.Object) (store.Object, error) {
		o.GetMetadata().Labels = map[string]string{"by": value}
		return o, nil
	})
	return err
}

// TestLeaderPaused stops a leading process by a signal, waits until another one leads, and wakes it: what it was about to
// write is refused.
func TestLeaderPaused(t *testing.T) {
	proxy := etcdtest.NewProxy(t, etcdtest.StartEmbedded(t, t.TempDir()).Endpoints()[0])
	client := dial(t, proxy.Endpoint())
	s, err := store.New(client, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	create(t, s, "web")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), envLeader+"="+proxy.Endpoint())
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewScanner(out)
	expect := func(want string) {
		t.Helper()
		if !said.Scan() {
			t.Fatalf("the process ended, want it to say %q", want)
		}
		if said.Text() != want {
			t.Fatalf("the process says %q, want %q", said.Text(), want)
		}
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Process.Signal(syscall.SIGCONT) // the test may have ended while it was stopped
		for said.Scan() {
			t.Logf("the process says: %s", said.Text())
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the process: %v", err)
		}
	})
	expect("leads <nil>")
	signal := func(sig syscall.Signal) {
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
	}
	signal(syscall.SIGSTOP)
	m, _ := newMember(t, client, lease.Options{ID: "test"})
	leads, over := make(chan error, 1), make(chan struct{})
	finish := sync.OnceFunc(func() { close(over) })
	follow(t, m.Group("leader", 1), func(ctx context.Context, _ int) {
		select {
		case leads <- write(ctx, s, "test"):
		default: // a later term
		}
		<-over
		<-ctx.Done()
	})
	t.Cleanup(finish) // before the work is waited for, whatever fails in between
	if err := <-leads; err != nil {
		t.Errorf("the new leader's write: %v", err)
	}
	signal(syscall.SIGCONT)
	expect("fenced")
	obj, err := s.Get(t.Context(), storetest.Services(t), store.Key{Namespace: "a", Name: "web"})
	if err != nil {
		t.Fatal(err)
	}
	if got := obj.GetMetadata().GetLabels()["by"]; got != "test" {
		t.Errorf("last written by %q, want the new leader", got)
	}
	finish()
}
