// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatcher_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	eventingv1 "fairlead.dev/gen/go/fairlead/eventing/v1"

	"fairlead.dev/services/eventing/dispatcher"
	"fairlead.dev/services/eventing/engine"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(envDir); dir != "" {
		serve(dir, os.Getenv(envSubscriber))
		return
	}
	goleak.VerifyTestMain(m)
}

const patience = 20 * time.Second

// control is the service that programs dispatchers, with a configuration that the test sets.
type control struct {
	eventingv1.UnimplementedDispatcherServiceServer

	mu      sync.Mutex
	config  *eventingv1.DispatcherServiceSyncResponse
	states  map[string]*eventingv1.DispatchState
	changed chan struct{} // closed and replaced at each change of config or states
	cut     chan error    // ends the stream that is up
	// warnings counts what the dispatcher logs.
	warnings warnings
}

type warnings struct{ atomic.Int64 }

func (w *warnings) Write(p []byte) (int, error) {
	w.Add(1)
	return len(p), nil
}

func newControl() *control {
	return &control{
		config: &eventingv1.DispatcherServiceSyncResponse{Version: 1}, states: map[string]*eventingv1.DispatchState{},
		changed: make(chan struct{}), cut: make(chan error),
	}
}

func (c *control) update(fn func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fn()
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *control) set(brokers ...*eventingv1.BrokerConfig) {
	c.update(func() {
		c.config = &eventingv1.DispatcherServiceSyncResponse{Version: c.config.GetVersion() + 1, Brokers: brokers}
	})
}

func (c *control) Sync(stream grpc.BidiStreamingServer[eventingv1.DispatcherServiceSyncRequest, eventingv1.DispatcherServiceSyncResponse]) error {
	go func() {
		for {
			report, err := stream.Recv()
			if err != nil {
				return
			}
			c.update(func() {
				c.states = map[string]*eventingv1.DispatchState{}
				for _, s := range report.GetStates() {
					c.states[s.GetUid()] = s
				}
			})
		}
	}()
	var sent int64
	for {
		c.mu.Lock()
		config, changed := c.config, c.changed
		c.mu.Unlock()
		if config.GetVersion() != sent {
			sent = config.GetVersion()
			if err := stream.Send(config); err != nil {
				return err
			}
		}
		select {
		case <-changed:
		case err := <-c.cut:
			return err
		case <-stream.Context().Done():
			return nil
		}
	}
}

// await waits for a state of a broker or trigger.
func (c *control) await(t *testing.T, uid string, good func(*eventingv1.DispatchState) bool) {
	t.Helper()
	timeout := time.After(patience)
	for {
		c.mu.Lock()
		s, changed := proto.CloneOf(c.states[uid]), c.changed
		c.mu.Unlock()
		if good(s) {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("state of %s: %v", uid, s)
		}
	}
}

func ready(s *eventingv1.DispatchState) bool { return s.GetReady() }

// stage is a running dispatcher.
type stage struct {
	*control

	url    string
	engine *engine.Engine
	stop   func()
}

// start runs a dispatcher on the engine's files in dir.
func start(t testing.TB, c *control, dir string, change func(*dispatcher.Config)) *stage {
	t.Helper()
	ec := engine.DefaultConfig(dir)
	ec.MinFreeBytes, ec.AckWait = 0, time.Second
	e, err := engine.Open(ec, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	pipe := bufconn.Listen(1 << 20)
	server := grpc.NewServer()
	eventingv1.RegisterDispatcherServiceServer(server, c)
	go func() { _ = server.Serve(pipe) }()
	conn, err := grpc.NewClient("passthrough:///control", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return pipe.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := dispatcher.DefaultConfig()
	cfg.Grace = time.Second
	if change != nil {
		change(&cfg)
	}
	d, err := dispatcher.New(cfg, dispatcher.Deps{
		Conn: conn, Engine: e, Listeners: []net.Listener{l}, Metrics: prometheus.NewRegistry(),
		Log: slog.New(slog.NewTextHandler(&c.warnings, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
		_ = conn.Close()
		server.Stop()
		e.Close()
	})
	t.Cleanup(stop)
	return &stage{control: c, url: "http://" + l.Addr().String(), engine: e, stop: stop}
}

// received is a request at a subscriber.
type received struct {
	header http.Header
	body   string
}

// subscriber is an HTTP server that hands on what it gets, and answers as the test says.
type subscriber struct {
	*httptest.Server

	got chan received
}

func subscribe(t testing.TB, answer http.HandlerFunc) *subscriber {
	t.Helper()
	s := &subscriber{got: make(chan received, 10000)}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.got <- received{r.Header.Clone(), string(body)}
		if answer != nil {
			answer(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// next returns the next request.
func (s *subscriber) next(t testing.TB) received {
	t.Helper()
	select {
	case r := <-s.got:
		return r
	case <-time.After(patience):
		t.Fatal("nothing came")
		return received{}
	}
}

func broker(triggers ...*eventingv1.TriggerConfig) *eventingv1.BrokerConfig {
	return &eventingv1.BrokerConfig{Uid: "b-1", Namespace: "shop", Name: "default", Triggers: triggers}
}

func trigger(uid, uri string) *eventingv1.TriggerConfig {
	return &eventingv1.TriggerConfig{Uid: uid, Name: uid, SubscriberUri: uri, Retry: 5, BackoffDelayMs: 10, TimeoutMs: 5000}
}

// post sends a request to the ingress and returns its status and body.
func post(t testing.TB, url string, body string, header ...string) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), resp.Header
}

// emit sends an event in binary mode that is to be accepted.
func (s *stage) emit(t testing.TB, id string, header ...string) {
	t.Helper()
	h := append([]string{"ce-specversion", "1.0", "ce-id", id, "ce-source", "/test", "ce-type", "order", "content-type", "text/plain"}, header...)
	if code, text, _ := post(t, s.url+"/shop/default", "data of "+id, h...); code != http.StatusAccepted {
		t.Fatalf("event %s: %d %s", id, code, text)
	}
}
