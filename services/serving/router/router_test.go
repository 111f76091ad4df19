// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package router

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/apierror"
)

func TestUnknownHost(t *testing.T) {
	g := start(t, nil)
	g.program(t, nil)
	a := g.get(t, "nobody.ns.localhost:8000")
	if a.code != http.StatusNotFound || !strings.Contains(a.body, `no route has the host "nobody.ns.localhost"`) {
		t.Errorf("got %d %q", a.code, a.body)
	}
}

func TestForwards(t *testing.T) {
	g := start(t, nil)
	pod := server(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s proto=%s for=%t id=%t", r.Host, r.Header.Get("X-Forwarded-Host"), r.Header.Get("X-Forwarded-Proto"),
			r.Header.Get("X-Forwarded-For") == "127.0.0.1", r.Header.Get("X-Request-ID") != "")
	})
	g.program(t, []*servingv1.HostRoute{host("a.ns.localhost", &servingv1.RouteShare{Revision: "r", Percent: 100})}, revision("r", true, pod))
	a := g.get(t, "A.ns.localhost:8000")
	if want := "A.ns.localhost:8000 A.ns.localhost:8000 proto=http for=true id=true"; a.body != want {
		t.Errorf("pod saw %q, want %q", a.body, want)
	}
	if a.header.Get("X-Request-ID") == "" {
		t.Error("the answer has no X-Request-Id")
	}
}

func TestShares(t *testing.T) {
	g := start(t, nil)
	g.program(t,
		[]*servingv1.HostRoute{host("a", &servingv1.RouteShare{Revision: "r1", Percent: 80}, &servingv1.RouteShare{Revision: "r2", Percent: 20})},
		revision("r1", true, server(t, named("r1"))), revision("r2", true, server(t, named("r2"))))
	got := map[string]int{}
	for range 1000 {
		got[g.get(t, "a").body]++
	}
	// Eight standard deviations on each side.
	if got["r1"]+got["r2"] != 1000 || got["r2"] < 100 || got["r2"] > 300 {
		t.Errorf("shares are %v, want about 800 and 200", got)
	}
}

func TestLeastRequests(t *testing.T) {
	g := start(t, nil)
	hold := make(chan struct{})
	entered := make(chan struct{})
	busy := server(t, func(_ http.ResponseWriter, _ *http.Request) { entered <- struct{}{}; <-hold })
	g.program(t, toR(), revision("r", true, busy))
	first := g.later(t, http.MethodGet, nil)
	<-entered
	g.program(t, toR(), revision("r", true, busy, server(t, named("other"))))
	for range 10 {
		if a := g.get(t, "a"); a.body != "other" {
			t.Fatalf("got %q from the busy pod", a.body)
		}
	}
	close(hold)
	await(t, first)
}

func TestContainerConcurrencyIsStrict(t *testing.T) {
	g := start(t, nil)
	var now, most atomic.Int64
	pod := server(t, func(_ http.ResponseWriter, _ *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			continue
		}
		time.Sleep(2 * time.Millisecond) // the work of a request
	})
	r := revision("r", true, pod)
	r.ContainerConcurrency = 2
	g.program(t, toR(), r)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if a := g.get(t, "a"); a.code != http.StatusOK {
				t.Errorf("got %d %q %v", a.code, a.body, a.err)
			}
		})
	}
	wg.Wait()
	if most.Load() != 2 {
		t.Errorf("a pod handled %d requests at a time, want 2", most.Load())
	}
}

func TestColdRequestIsHeld(t *testing.T) {
	g := start(t, func(c *Config) { c.ReportInterval = time.Hour })
	hosts := toR()
	g.program(t, hosts, revision("r", false))
	c := g.later(t, http.MethodPost, strings.NewReader("body"))
	load := g.report(t, oneWaits).GetLoads()[0]
	if load.GetInFlight() != 1 || load.GetRevision() != "r" || load.GetNamespace() != "ns" {
		t.Errorf("reported %v", load)
	}
	// The pod gets its address before it listens, and the kubelet has not seen it ready.
	l := listen(t)
	address := l.Addr().String()
	_ = l.Close()
	g.program(t, hosts, revision("r", false, address))
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	pod := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }))
	_ = pod.Listener.Close()
	pod.Listener = l
	pod.Start()
	defer pod.Close()
	if a := await(t, c); a.code != http.StatusOK || a.body != "body" {
		t.Errorf("got %d %q", a.code, a.body)
	}
}

func TestProbePathMustAnswer(t *testing.T) {
	g := start(t, nil)
	hosts := toR()
	var ready atomic.Bool
	var early atomic.Int64
	probed := make(chan struct{}, 100)
	pod := server(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/ready" {
			if !ready.Load() {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
			signal(probed)
			return
		}
		if !ready.Load() {
			early.Add(1)
		}
	})
	r := revision("r", false, pod)
	r.ProbePath = "/ready"
	g.program(t, hosts, r)
	c := g.later(t, http.MethodGet, nil)
	<-probed
	ready.Store(true)
	if a := await(t, c); a.code != http.StatusOK || early.Load() != 0 {
		t.Errorf("got %d; %d requests came before the pod was ready", a.code, early.Load())
	}
}

func TestFailureIsTold(t *testing.T) {
	g := start(t, nil)
	hosts := toR()
	g.program(t, hosts, revision("r", false))
	c := g.later(t, http.MethodGet, nil)
	g.report(t, oneWaits)
	failing := revision("r", false)
	failing.Failure = "ContainerMissing: image x is not there"
	g.program(t, hosts, failing)
	for _, a := range []answer{await(t, c), g.get(t, "a")} {
		if a.code != http.StatusServiceUnavailable || !strings.Contains(a.body, "image x is not there") {
			t.Errorf("got %d %q", a.code, a.body)
		}
	}
}

func TestQueueIsBounded(t *testing.T) {
	g := start(t, func(c *Config) { c.QueueDepth = 1; c.QueueTimeout = 200 * time.Millisecond })
	g.program(t, toR(), revision("r", false))
	c := g.later(t, http.MethodGet, nil)
	g.report(t, oneWaits)
	if a := g.get(t, "a"); a.code != http.StatusServiceUnavailable || !strings.Contains(a.body, "too many requests wait") {
		t.Errorf("got %d %q", a.code, a.body)
	}
	if a := await(t, c); a.code != http.StatusServiceUnavailable || !strings.Contains(a.body, "no pod became ready in time") {
		t.Errorf("got %d %q", a.code, a.body)
	}
}

func TestDeletedWhileWaiting(t *testing.T) {
	g := start(t, nil)
	g.program(t, toR(), revision("r", false))
	c := g.later(t, http.MethodGet, nil)
	g.report(t, oneWaits)
	g.program(t, nil)
	if a := await(t, c); a.code != http.StatusServiceUnavailable || !strings.Contains(a.body, "deleted") {
		t.Errorf("got %d %q", a.code, a.body)
	}
}

func TestTimeout(t *testing.T) {
	g := start(t, nil)
	ended := make(chan struct{})
	pod := server(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done(); close(ended) })
	r := revision("r", true, pod)
	r.TimeoutSeconds = 1
	g.program(t, toR(), r)
	if a := g.get(t, "a"); a.code != http.StatusGatewayTimeout || !strings.Contains(a.body, "timeoutSeconds") {
		t.Errorf("got %d %q", a.code, a.body)
	}
	<-ended
}

func TestAnotherPodWhenOneIsGone(t *testing.T) {
	g := start(t, nil)
	gone := listen(t)
	_ = gone.Close()
	g.program(t, toR(), revision("r", true, gone.Addr().String(), server(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body)
	})))
	for range 20 {
		c := g.later(t, http.MethodPost, strings.NewReader("once"))
		if a := await(t, c); a.code != http.StatusOK || a.body != "once" {
			t.Fatalf("got %d %q", a.code, a.body)
		}
	}
}

func TestBrokenConnection(t *testing.T) {
	var tries atomic.Int64
	breaks := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		tries.Add(1)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_ = conn.Close()
		}
	}
	for _, tc := range []struct {
		reason, method string
		body           string
		tries          int64
		code           int
	}{
		{"a GET may be sent again", http.MethodGet, "", 2, http.StatusOK},
		{"a POST may have been acted on", http.MethodPost, "x", 1, http.StatusBadGateway},
	} {
		t.Run(tc.method, func(t *testing.T) {
			g := start(t, nil)
			tries.Store(0)
			var broken atomic.Bool
			pod := server(t, func(w http.ResponseWriter, r *http.Request) {
				if broken.CompareAndSwap(false, true) {
					breaks(w, r)
					return
				}
				tries.Add(1)
			})
			g.program(t, toR(), revision("r", true, pod))
			var body io.Reader
			if tc.body != "" {
				body = strings.NewReader(tc.body)
			}
			a := await(t, g.later(t, tc.method, body))
			if a.code != tc.code || tries.Load() != tc.tries {
				t.Errorf("%s: got %d after %d tries, want %d after %d", tc.reason, a.code, tries.Load(), tc.code, tc.tries)
			}
		})
	}
}

func TestWebSocket(t *testing.T) {
	g := start(t, nil)
	pod := server(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_ = rw.Flush()
		for {
			line, err := rw.ReadString('\n')
			if err != nil {
				return
			}
			_, _ = rw.WriteString("echo " + line)
			_ = rw.Flush()
		}
	})
	r := revision("r", true, pod)
	r.TimeoutSeconds = 1
	g.program(t, toR(), r)
	conn, err := net.Dial("tcp", g.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(deadline))
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("upgrade: %v %v", resp, err)
	}
	say := func() {
		fmt.Fprint(conn, "hello\n")
		if line, err := in.ReadString('\n'); err != nil || line != "echo hello\n" {
			t.Fatalf("got %q, %v", line, err)
		}
	}
	say()
	// What is upgraded counts as in flight, and outlives timeoutSeconds.
	outlived := time.After(1200 * time.Millisecond)
	<-outlived
	g.report(t, func(r *servingv1.RouterServiceSyncRequest) bool {
		return len(r.GetLoads()) == 1 && r.GetLoads()[0].GetInFlight() == 1
	})
	say()
	_ = conn.Close()
	g.report(t, func(r *servingv1.RouterServiceSyncRequest) bool {
		return len(r.GetLoads()) == 1 && r.GetLoads()[0].GetInFlight() == 0
	})
}

func TestH2C(t *testing.T) {
	g := start(t, nil)
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	pod := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "Grpc-Status")
		fmt.Fprint(w, r.Proto)
		w.Header().Set("Grpc-Status", "0")
	}))
	pod.Config.Protocols = &protocols
	pod.Start()
	defer pod.Close()
	r := revision("r", false, strings.TrimPrefix(pod.URL, "http://"))
	r.H2C, r.ProbePath = true, "/"
	g.program(t, toR(), r)
	transport := &http.Transport{Protocols: &protocols}
	defer transport.CloseIdleConnections()
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+g.address, strings.NewReader("x"))
	req.Host = "a"
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if string(body) != "HTTP/2.0" || resp.Proto != "HTTP/2.0" || resp.Trailer.Get("Grpc-Status") != "0" {
		t.Errorf("got %q over %s with trailers %v", body, resp.Proto, resp.Trailer)
	}
}

func TestStreamsFlow(t *testing.T) {
	g := start(t, nil)
	next := make(chan struct{})
	pod := server(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/known" {
			w.Header().Set("Content-Length", "10")
		}
		for i := range 5 {
			fmt.Fprintf(w, "%d\n", i)
			_ = http.NewResponseController(w).Flush()
			<-next
		}
	})
	g.program(t, toR(), revision("r", true, pod))
	for _, path := range []string{"/unknown", "/known"} {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+g.address+path, http.NoBody)
		req.Host = "a"
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(resp.Body)
		for i := range 5 {
			if line, err := lines.ReadString('\n'); err != nil || line != fmt.Sprintln(i) {
				t.Fatalf("%s: got %q, %v", path, line, err)
			}
			next <- struct{}{} // the pod goes on only when a line has come
		}
		_ = resp.Body.Close()
	}
}

func TestRemovedPodFinishesWhatItHas(t *testing.T) {
	g := start(t, nil)
	hosts := toR()
	hold, entered := make(chan struct{}), make(chan struct{}, 1)
	pod := server(t, func(w http.ResponseWriter, _ *http.Request) {
		entered <- struct{}{}
		<-hold
		fmt.Fprint(w, "done")
	})
	g.program(t, hosts, revision("r", true, pod))
	first := g.later(t, http.MethodGet, nil)
	<-entered
	g.program(t, hosts, revision("r", true))
	second := g.later(t, http.MethodGet, nil)
	load := g.report(t, oneWaits).GetLoads()[0]
	if load.GetInFlight() != 2 {
		t.Errorf("reported %v, want 2 in flight", load)
	}
	close(hold)
	if a := await(t, first); a.body != "done" {
		t.Errorf("got %q", a.body)
	}
	g.program(t, hosts, revision("r", true, server(t, named("new"))))
	if a := await(t, second); a.body != "new" {
		t.Errorf("got %q", a.body)
	}
}

func TestKeepsTableWhileServingIsAway(t *testing.T) {
	g := start(t, nil)
	g.program(t, toR(), revision("r", true, server(t, named("pod"))))
	g.cut <- io.ErrUnexpectedEOF
	if a := g.get(t, "a"); a.body != "pod" {
		t.Errorf("got %d %q", a.code, a.body)
	}
	// The new stream begins with a report of what it has.
	g.program(t, toR(), revision("r", true, server(t, named("other"))))
	if a := g.get(t, "a"); a.body != "other" {
		t.Errorf("got %d %q", a.code, a.body)
	}
}

// TestExpiryOfTheTokenIsNoFault ends streams as their tokens do: new ones begin, and nobody is told. Other ends are told of.
func TestExpiryOfTheTokenIsNoFault(t *testing.T) {
	g := start(t, nil)
	pod := revision("r", true, server(t, named("pod")))
	g.program(t, toR(), pod)
	for range 3 {
		g.cut <- apierror.ToStatus(apierror.Unauthorized("the stream has ended: its token has expired")).Err()
		g.program(t, toR(), pod)
	}
	if n := g.warnings.Load(); n != 0 {
		t.Errorf("%d warnings of streams that have ended with their tokens", n)
	}
	g.cut <- io.ErrUnexpectedEOF
	g.program(t, toR(), pod)
	if n := g.warnings.Load(); n != 1 {
		t.Errorf("%d warnings of a stream that has broken, want one", n)
	}
}

func TestDrain(t *testing.T) {
	g := start(t, nil)
	hold, entered := make(chan struct{}), make(chan struct{}, 1)
	pod := server(t, func(w http.ResponseWriter, _ *http.Request) {
		entered <- struct{}{}
		<-hold
		fmt.Fprint(w, "done")
	})
	g.program(t, toR(), revision("r", true, pod))
	c := g.later(t, http.MethodGet, nil)
	<-entered
	g.stop()
	for { // until the listener is closed
		conn, err := net.Dial("tcp", g.address)
		if err != nil {
			break
		}
		_ = conn.Close()
	}
	close(hold)
	if a := await(t, c); a.body != "done" {
		t.Errorf("got %d %q", a.code, a.body)
	}
}

func TestDrainEnds(t *testing.T) {
	g := start(t, func(c *Config) { c.DrainTimeout = 50 * time.Millisecond })
	entered := make(chan struct{}, 1)
	pod := server(t, func(_ http.ResponseWriter, r *http.Request) { entered <- struct{}{}; <-r.Context().Done() })
	g.program(t, toR(), revision("r", true, pod))
	c := g.later(t, http.MethodGet, nil)
	<-entered
	g.stop()
	<-c // whatever it is, it ends
}

func TestClientGone(t *testing.T) {
	g := start(t, nil)
	g.program(t, toR(), revision("r", false))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan answer, 1)
	go func() { done <- g.do(ctx, http.MethodGet, "a", "/", nil) }()
	g.report(t, oneWaits)
	cancel()
	<-done
	g.report(t, func(r *servingv1.RouterServiceSyncRequest) bool {
		return len(r.GetLoads()) == 1 && r.GetLoads()[0].GetInFlight() == 0 && r.GetLoads()[0].GetWaiting() == 0
	})
}

// TestDependencies holds the router apart from what only the control plane may use.
func TestDependencies(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for dep := range strings.Lines(string(out)) {
		dep = strings.TrimSpace(dep)
		for _, forbidden := range []string{"go.etcd.io/", "k8s.io/", "sigs.k8s.io/", "fairlead.dev/services/internal"} {
			if strings.HasPrefix(dep, forbidden) {
				t.Errorf("the router depends on %s", dep)
			}
		}
	}
}
