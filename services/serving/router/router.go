// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package router

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
)

const requestIDHeader = "X-Request-ID"

// Bounds on what a caller may make the router hold.
const (
	headerTimeout  = 30 * time.Second
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 1 << 20
	bufferSize     = 32 << 10
	idlePerPod     = 256
	dialTimeout    = 2 * time.Second
)

// Router routes requests to the pods of revisions.
type Router struct {
	cfg      Config
	client   servingv1.RouterServiceClient
	log      *slog.Logger
	proxyLog *log.Logger
	metrics  *metrics
	buffers  httputil.BufferPool
	now      func() time.Time

	http1, http2 *http.Transport
	table        atomic.Pointer[table]
	env          surroundings

	mu       sync.Mutex
	backends map[revisionKey]*backend

	wake, active chan struct{} // ask for a report: at once, and within ReportInterval
	ready        chan struct{} // closed with the first table
	readyOnce    sync.Once

	inFlight sync.WaitGroup // requests, those upgraded included
	probes   sync.WaitGroup
	draining context.Context //nolint:containedctx // ends when requests in flight have had their time
	drain    context.CancelFunc
}

// New makes a router that is programmed over conn.
func New(cfg Config, conn grpc.ClientConnInterface, logger *slog.Logger, reg prometheus.Registerer) (*Router, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	m, err := newMetrics(reg)
	if err != nil {
		return nil, fmt.Errorf("router: metrics: %w", err)
	}
	r := &Router{
		cfg: cfg, client: servingv1.NewRouterServiceClient(conn), log: logger, metrics: m, now: time.Now,
		proxyLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
		buffers:  &bufferPool{},
		backends: map[revisionKey]*backend{},
		wake:     make(chan struct{}, 1), active: make(chan struct{}, 1), ready: make(chan struct{}),
	}
	r.http1 = newTransport()
	r.http2 = newTransport()
	r.http2.Protocols = new(http.Protocols)
	r.http2.Protocols.SetUnencryptedHTTP2(true)
	r.draining, r.drain = context.WithCancel(context.Background())
	r.env = surroundings{
		queueDepth: cfg.QueueDepth, now: r.now,
		waits:  func() { signal(r.wake) },
		active: func() { signal(r.active) },
		prober: prober{ctx: r.draining, start: r.probes.Go, client: func(h2c bool) http.RoundTripper { return r.transport(h2c) }},
	}
	r.table.Store(&table{hosts: map[string]*destination{}})
	if reg != nil {
		if err := reg.Register(r); err != nil {
			return nil, fmt.Errorf("router: metrics: %w", err)
		}
	}
	return r, nil
}

func newTransport() *http.Transport {
	return &http.Transport{
		DialContext:         (&net.Dialer{Timeout: dialTimeout, KeepAlive: headerTimeout}).DialContext,
		MaxIdleConnsPerHost: idlePerPod,
		IdleConnTimeout:     idleTimeout,
		DisableCompression:  true,
		ReadBufferSize:      bufferSize,
		WriteBufferSize:     bufferSize,
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Ready is closed once the router has a routing table.
func (r *Router) Ready() <-chan struct{} { return r.ready }

func (r *Router) transport(h2c bool) http.RoundTripper {
	if h2c {
		return r.http2
	}
	return r.http1
}

// Run serves on the listeners, or on the configured addresses where there are none, until ctx ends; then it takes no more
// requests and gives those in flight their time. The listeners are closed.
func (r *Router) Run(ctx context.Context, listeners ...net.Listener) error {
	listeners, err := r.listen(ctx, listeners)
	if err != nil {
		return err
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{
		Handler: r, Protocols: &protocols, ErrorLog: r.proxyLog,
		ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
	}
	syncing, stopSync := context.WithCancel(context.WithoutCancel(ctx))
	var beside sync.WaitGroup
	beside.Go(func() { r.sync(syncing) })
	failed := make(chan error, len(listeners))
	for _, l := range listeners {
		r.log.Info("router listens", "address", l.Addr().String())
		beside.Go(func() {
			if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("router: serve on %s: %w", l.Addr(), err)
			}
		})
	}
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	r.shutdown(ctx, server)
	stopSync()
	beside.Wait()
	r.probes.Wait()
	r.http1.CloseIdleConnections()
	r.http2.CloseIdleConnections()
	return err
}

func (r *Router) listen(ctx context.Context, listeners []net.Listener) ([]net.Listener, error) {
	if len(listeners) > 0 {
		return listeners, nil
	}
	var lc net.ListenConfig
	for _, address := range r.cfg.Listen {
		l, err := lc.Listen(ctx, "tcp", address)
		if err != nil {
			for _, other := range listeners {
				_ = other.Close()
			}
			return nil, fmt.Errorf("router: %w", err)
		}
		listeners = append(listeners, l)
	}
	if len(listeners) == 0 {
		return nil, errors.New("router: no address to listen on")
	}
	return listeners, nil
}

// shutdown waits for the requests in flight, as long as they are given, and ends those that are left.
func (r *Router) shutdown(ctx context.Context, server *http.Server) {
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.cfg.DrainTimeout)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Shutdown(limit)
		r.inFlight.Wait() // Shutdown does not wait for what was upgraded
	}()
	select {
	case <-done:
	case <-limit.Done():
		r.log.Warn("router ends requests that are still in flight", "after", r.cfg.DrainTimeout)
	}
	r.drain()
	_ = server.Close()
	<-done
}

// ServeHTTP routes one request.
func (r *Router) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.inFlight.Add(1)
	defer r.inFlight.Done()
	arrived := r.now()
	id := req.Header.Get(requestIDHeader)
	if id == "" {
		id = rand.Text()
	}
	host := hostOf(req.Host)
	d := r.table.Load().hosts[host]
	if d == nil {
		w.Header().Set(requestIDHeader, id)
		http.Error(w, fmt.Sprintf("no route has the host %q; see the URLs of `kubectl get routes.serving.knative.dev -A`", host), http.StatusNotFound)
		return
	}
	var b *backend
	if d.total > 0 {
		b = d.choose(mathrand.IntN(d.total)) //nolint:gosec // shares of traffic are no secret
	}
	if b == nil {
		w.Header().Set(requestIDHeader, id)
		w.Header().Set("Retry-After", "1")
		http.Error(w, fmt.Sprintf("the route of %q has no revision yet; its conditions say why", host), http.StatusServiceUnavailable)
		return
	}
	x := &exchange{router: r, backend: b, id: id, arrived: arrived}
	if r.cfg.AccessLog {
		defer func() {
			r.log.Info("request", "host", host, "method", req.Method, "path", req.URL.Path, labelRevision, b.key.String(),
				"status", x.status, "took", r.now().Sub(arrived), "request", id, "client", req.RemoteAddr)
		}()
	}
	x.serve(w, req)
}

// bufferPool holds the buffers through which answers are copied.
type bufferPool struct{ pool sync.Pool }

// Get returns a buffer.
func (p *bufferPool) Get() []byte {
	if b, ok := p.pool.Get().(*[]byte); ok {
		return *b
	}
	return make([]byte, bufferSize)
}

// Put takes a buffer back.
func (p *bufferPool) Put(b []byte) { p.pool.Put(&b) }
