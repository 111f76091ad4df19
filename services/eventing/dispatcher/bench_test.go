// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatcher_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"fairlead.dev/services/eventing/engine"
)

// BenchmarkPublish sets the ingress beside its limit: JetStream by itself with the same settings, 1 kB an event. Run it
// with -cpu 1,16 to see it with one sender and with many.
func BenchmarkPublish(b *testing.B) {
	data := bytes.Repeat([]byte("x"), 1000)
	b.Run("jetstream", func(b *testing.B) { benchmarkJetStream(b, data) })
	b.Run("engine", func(b *testing.B) {
		cfg := engine.DefaultConfig(b.TempDir())
		cfg.MinFreeBytes = 1
		e, err := engine.Open(cfg, slog.New(slog.DiscardHandler))
		if err != nil {
			b.Fatal(err)
		}
		defer e.Close()
		if _, err := e.EnsureStream(b.Context(), engine.Owner{UID: "b"}); err != nil {
			b.Fatal(err)
		}
		m := engine.Message{Header: map[string][]string{"ce-id": {"1"}, "ce-source": {"/s"}, "ce-type": {"t"}, "ce-specversion": {"1.0"}}, Data: data}
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := e.Publish(b.Context(), "b", m); err != nil {
					b.Error(err)
				}
			}
		})
	})
	b.Run("ingress", func(b *testing.B) { benchmarkIngress(b, data) })
}

func benchmarkJetStream(b *testing.B, data []byte) {
	srv, err := server.NewServer(&server.Options{DontListen: true, JetStream: true, StoreDir: b.TempDir(), SyncAlways: true, NoSigs: true, NoLog: true})
	if err != nil {
		b.Fatal(err)
	}
	srv.Start()
	defer srv.WaitForShutdown()
	defer srv.Shutdown()
	nc, err := nats.Connect("", nats.InProcessServer(srv))
	if err != nil {
		b.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := js.CreateStream(b.Context(), jetstream.StreamConfig{Name: "raw", Subjects: []string{"raw"}, Storage: jetstream.FileStorage}); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := js.Publish(b.Context(), "raw", data); err != nil {
				b.Error(err)
			}
		}
	})
}

func benchmarkIngress(b *testing.B, data []byte) {
	c := newControl()
	c.set(broker())
	s := start(b, c, b.TempDir(), nil)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	defer client.CloseIdleConnections()
	var id atomic.Int64
	send := func() int {
		req, _ := http.NewRequest(http.MethodPost, s.url+"/shop/default", bytes.NewReader(data))
		req.Header.Set("Ce-Specversion", "1.0")
		req.Header.Set("Ce-Id", fmt.Sprint(id.Add(1)))
		req.Header.Set("Ce-Source", "/bench")
		req.Header.Set("Ce-Type", "t")
		req.Header.Set("Content-Type", "application/octet-stream")
		resp, err := client.Do(req)
		if err != nil {
			b.Error(err)
			return 0
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	for send() != http.StatusAccepted { // until the configuration is there
	}
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if code := send(); code != http.StatusAccepted {
				b.Errorf("got %d", code)
			}
		}
	})
}
