// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatcher

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/test/bufconn"

	"fairlead.dev/services/eventing/engine"
)

// one is a directory of one broker.
type one string

func (b one) find(string, string) (string, error) { return string(b), nil }

func (b one) lost(string) {}

// fuzzed serves the ingress over connections in memory, with an engine on disk behind it. panics counts what the server
// caught.
func fuzzed(f *testing.F) (dial func() (net.Conn, error), panics *atomic.Int64) {
	f.Helper()
	ec := engine.DefaultConfig(f.TempDir())
	ec.MinFreeBytes = 0
	e, err := engine.Open(ec, slog.New(slog.DiscardHandler))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(e.Close)
	if _, err := e.EnsureStream(context.Background(), engine.Owner{UID: "b", Namespace: "shop", Name: "default"}); err != nil {
		f.Fatal(err)
	}
	m, err := newMetrics(prometheus.NewRegistry())
	if err != nil {
		f.Fatal(err)
	}
	cfg := DefaultConfig()
	cfg.MaxBodyBytes = 4096
	in := &ingress{cfg: cfg, brokers: one("b"), engine: e, metrics: m, log: slog.New(slog.DiscardHandler)}
	panics = &atomic.Int64{}
	pipe := bufconn.Listen(1 << 16)
	server := &httptest.Server{Listener: pipe, Config: &http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if thrown := recover(); thrown != nil {
				panics.Add(1)
				panic(thrown)
			}
		}()
		in.ServeHTTP(w, r)
	})}}
	server.Start()
	f.Cleanup(server.Close)
	return pipe.Dial, panics
}

// FuzzIngress sends whatever headers and body there may be: the answer is never the server's fault.
func FuzzIngress(f *testing.F) {
	binary := "Ce-Specversion: 1.0\nCe-Id: 1\nCe-Source: /s\nCe-Type: t\n"
	f.Add(binary+"Content-Type: text/plain\nTraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", []byte("hi"))
	f.Add(binary+"Ce-Nats-Msg-Id: x\nCe-A B: %0d%0a\nCe-: \nCe-É: \x80", []byte{})
	f.Add(binary+"Ce-Knativebrokerttl: 99999999999999999999\nFairlead-Hops: -1", []byte{})
	f.Add(binary+"Tracestate: \t\x01\xff\nCe-Subject: a%", []byte(strings.Repeat("x", 5000)))
	f.Add("Content-Type: application/cloudevents+json; charset=utf-8", []byte(`{"specversion":"1.0","id":"1","source":"/s","type":"t","data_base64":"AA==","x":"\r\n\u0000"}`))
	f.Add("Content-Type: application/cloudevents-batch+json", []byte(`[{"specversion":"1.0","id":"1","source":"/s","type":"t"},{"specversion":"1.0","id":"2","source":"/s","type":"t","":1,"é":true}]`))
	f.Add("Content-Type: application/cloudevents-batch+json\nExpect: 100-continue", []byte(`[null,{}]`))
	f.Add("Content-Type: application/cloudevents+xml;;", []byte("<"))
	dial, panics := fuzzed(f)
	f.Fuzz(func(t *testing.T, header string, body []byte) {
		var request strings.Builder
		fmt.Fprintf(&request, "POST /shop/default HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n", len(body))
		for line := range strings.SplitSeq(header, "\n") {
			name, _, _ := strings.Cut(strings.ToLower(line), ":")
			switch strings.TrimSpace(name) {
			case "", "content-length", "transfer-encoding": // the server's own business
				continue
			}
			request.WriteString(line + "\r\n")
		}
		request.WriteString("\r\n")
		conn, err := dial()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		go func() { // the server may answer before it has read all
			_, _ = io.WriteString(conn, request.String())
			_, _ = conn.Write(body)
		}()
		in := bufio.NewReader(conn)
		resp, err := http.ReadResponse(in, nil)
		for err == nil && resp.StatusCode == http.StatusContinue {
			resp, err = http.ReadResponse(in, nil)
		}
		if panics.Load() > 0 {
			t.Fatalf("the ingress panicked")
		}
		if err != nil {
			t.Fatalf("no answer: %v", err)
		}
		text, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode >= http.StatusInternalServerError || resp.StatusCode < http.StatusOK {
			t.Errorf("got %d %s", resp.StatusCode, text)
		}
	})
}
