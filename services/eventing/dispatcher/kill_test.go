// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatcher_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	eventingv1 "fairlead.dev/gen/go/fairlead/eventing/v1"

	"fairlead.dev/services/eventing/dispatcher"
	"fairlead.dev/services/eventing/engine"
)

const (
	envDir        = "DISPATCHER_TEST_DIR"
	envSubscriber = "DISPATCHER_TEST_SUBSCRIBER"
)

// serve runs a dispatcher in a process of its own, and writes the ingress' address to stdout.
func serve(dir, subscriber string) {
	c := newControl()
	c.set(broker(patient(subscriber)))
	control, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	server := grpc.NewServer()
	eventingv1.RegisterDispatcherServiceServer(server, c)
	go func() { _ = server.Serve(control) }()
	conn, err := grpc.NewClient(control.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(err)
	cfg := engine.DefaultConfig(dir)
	cfg.MinFreeBytes = 0
	e, err := engine.Open(cfg, slog.Default())
	must(err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	d, err := dispatcher.New(dispatcher.DefaultConfig(), dispatcher.Deps{
		Conn: conn, Engine: e, Listeners: []net.Listener{l}, Log: slog.Default(), Metrics: prometheus.NewRegistry(),
	})
	must(err)
	fmt.Println("http://" + l.Addr().String())
	must(d.Run(context.Background()))
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// patient is a trigger that tries for long.
func patient(subscriber string) *eventingv1.TriggerConfig {
	tc := trigger("t-1", subscriber)
	tc.Retry, tc.BackoffDelayMs, tc.BackoffPolicy = 1000, 50, "linear"
	return tc
}

func TestAcceptedEventsAreDeliveredAfterKill(t *testing.T) {
	var down atomic.Bool
	down.Store(true)
	sub := subscribe(t, func(w http.ResponseWriter, r *http.Request) {
		// Every tenth event is taken before the kill: acknowledged ones and others lie side by side.
		if id, _ := strconv.Atoi(r.Header.Get("Ce-Id")); down.Load() && id%10 != 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	dir := t.TempDir()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), envDir+"="+dir, envSubscriber+"="+sub.URL)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatal("the child says nothing")
	}
	url := lines.Text() + "/shop/default"
	event := func(id string) (int, error) {
		req, _ := http.NewRequest(http.MethodPost, url, strings.NewReader("data of "+id))
		for k, v := range map[string]string{"ce-specversion": "1.0", "ce-id": id, "ce-source": "/test", "ce-type": "order"} {
			req.Header.Set(k, v)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0, err
		}
		_ = resp.Body.Close()
		return resp.StatusCode, nil
	}
	accepted := map[string]bool{}
	for i := 1; len(accepted) < 200; i++ {
		id := strconv.Itoa(i)
		if code, err := event(id); err != nil || (code != http.StatusAccepted && len(accepted) > 0) {
			t.Fatalf("event %s: %d, %v", id, code, err)
		} else if code == http.StatusAccepted {
			accepted[id] = true
		}
	}
	if err := child.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	http.DefaultClient.CloseIdleConnections()
	delivered := map[string]bool{}
	for len(sub.got) > 0 {
		if id := sub.next(t).header.Get("Ce-Id"); strings.HasSuffix(id, "0") {
			delivered[id] = true
		}
	}

	down.Store(false)
	c := newControl()
	c.set(broker(patient(sub.URL)))
	start(t, c, dir, nil)
	for {
		missing := 0
		for id := range accepted {
			if !delivered[id] {
				missing++
			}
		}
		if missing == 0 {
			return
		}
		delivered[sub.next(t).header.Get("Ce-Id")] = true
	}
}
