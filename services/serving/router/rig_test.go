// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package router

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// deadline bounds every wait of these tests.
const deadline = 10 * time.Second

// fakeServing programs one router at a time.
type fakeServing struct {
	servingv1.UnimplementedRouterServiceServer

	tables  chan *servingv1.RouterServiceSyncResponse
	reports chan *servingv1.RouterServiceSyncRequest
	cut     chan error // ends the stream that is up
}

func (f *fakeServing) Sync(s grpc.BidiStreamingServer[servingv1.RouterServiceSyncRequest, servingv1.RouterServiceSyncResponse]) error {
	go func() {
		for {
			req, err := s.Recv()
			if err != nil {
				return
			}
			f.reports <- req
		}
	}()
	for {
		select {
		case t := <-f.tables:
			if err := s.Send(t); err != nil {
				return err
			}
		case err := <-f.cut:
			return err
		case <-s.Context().Done():
			return nil
		}
	}
}

// report returns the first report that fits.
func (f *fakeServing) report(t testing.TB, fits func(*servingv1.RouterServiceSyncRequest) bool) *servingv1.RouterServiceSyncRequest {
	t.Helper()
	end := time.After(deadline)
	for {
		select {
		case r := <-f.reports:
			if fits(r) {
				return r
			}
		case <-end:
			t.Fatal("no such report in time")
		}
	}
}

// rig is a router that runs, and the serving that programs it.
type rig struct {
	*fakeServing

	router   *Router
	address  string
	version  int64
	stop     context.CancelFunc
	done     chan error
	warnings *warnings
}

// warnings counts what is logged.
type warnings struct{ atomic.Int64 }

func (w *warnings) Write(p []byte) (int, error) {
	w.Add(1)
	return len(p), nil
}

func start(t testing.TB, change func(*Config)) *rig {
	t.Helper()
	f := &fakeServing{
		tables: make(chan *servingv1.RouterServiceSyncResponse), reports: make(chan *servingv1.RouterServiceSyncRequest, 1000),
		cut: make(chan error),
	}
	server := grpc.NewServer()
	servingv1.RegisterRouterServiceServer(server, f)
	gl := listen(t)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(gl) })
	conn, err := grpc.NewClient(gl.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	cfg := DefaultConfig()
	cfg.ReportInterval = 20 * time.Millisecond
	cfg.DrainTimeout = deadline
	if change != nil {
		change(&cfg)
	}
	warnings := &warnings{}
	r, err := New(cfg, conn, slog.New(slog.NewTextHandler(warnings, &slog.HandlerOptions{Level: slog.LevelWarn})), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := listen(t)
	g := &rig{fakeServing: f, warnings: warnings, router: r, address: l.Addr().String(), stop: cancel, done: make(chan error, 1)}
	go func() { g.done <- r.Run(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-g.done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(deadline):
			t.Error("Run did not return")
		}
		_ = conn.Close()
		server.Stop()
		serving.Wait()
		http.DefaultClient.CloseIdleConnections()
	})
	return g
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// program sends a table and waits until the router goes by it.
func (g *rig) program(t testing.TB, hosts []*servingv1.HostRoute, revisions ...*servingv1.RevisionBackend) {
	t.Helper()
	g.version++
	v := g.version
	select {
	case g.tables <- &servingv1.RouterServiceSyncResponse{Version: v, Hosts: hosts, Revisions: revisions}:
	case <-time.After(deadline):
		t.Fatal("the router takes no table")
	}
	g.report(t, func(r *servingv1.RouterServiceSyncRequest) bool { return r.GetTableVersion() == v })
}

func host(name string, shares ...*servingv1.RouteShare) *servingv1.HostRoute {
	return &servingv1.HostRoute{Hosts: []string{name}, Namespace: "ns", Shares: shares}
}

// toR sends the requests for the host a to the revision r.
func toR() []*servingv1.HostRoute {
	return []*servingv1.HostRoute{host("a", &servingv1.RouteShare{Revision: "r", Percent: 100})}
}

func revision(name string, ready bool, addresses ...string) *servingv1.RevisionBackend {
	b := &servingv1.RevisionBackend{Namespace: "ns", Name: name, TimeoutSeconds: 60}
	for _, a := range addresses {
		b.Pods = append(b.Pods, &servingv1.PodEndpoint{Address: a, Ready: ready})
	}
	return b
}

// server is a pod that answers with its name.
func server(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func named(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, name) }
}

type answer struct {
	code   int
	body   string
	header http.Header
	err    error
}

func (g *rig) do(ctx context.Context, method, host, path string, body io.Reader) answer {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+g.address+path, body)
	if err != nil {
		return answer{err: err}
	}
	req.Host = host
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, string(b), resp.Header, err}
}

func (g *rig) get(t *testing.T, host string) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	return g.do(ctx, http.MethodGet, host, "/", nil)
}

// later starts a request to the host a.
func (g *rig) later(t *testing.T, method string, body io.Reader) <-chan answer {
	t.Helper()
	c := make(chan answer, 1)
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	t.Cleanup(cancel)
	go func() { c <- g.do(ctx, method, "a", "/", body) }()
	return c
}

func await(t *testing.T, c <-chan answer) answer {
	t.Helper()
	select {
	case a := <-c:
		if a.err != nil {
			t.Fatal(a.err)
		}
		return a
	case <-time.After(deadline):
		t.Fatal("no answer in time")
		return answer{}
	}
}

// oneWaits fits a report that says that one request waits.
func oneWaits(r *servingv1.RouterServiceSyncRequest) bool {
	for _, l := range r.GetLoads() {
		if l.GetWaiting() == 1 {
			return true
		}
	}
	return false
}
