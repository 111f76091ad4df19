// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/auth"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/namespaces"
	"fairlead.dev/services/internal/reconcile"
	"fairlead.dev/services/internal/store/gc"
)

// tier is a set of parts that end together.
type tier struct {
	group *errgroup.Group
	ctx   context.Context //nolint:containedctx // the context of the tier's parts, ended by end
	end   context.CancelFunc
}

func newTier(parent context.Context) *tier {
	ctx, end := context.WithCancel(parent)
	g, gctx := errgroup.WithContext(ctx)
	return &tier{group: g, ctx: gctx, end: end}
}

// run has a part run until the tier ends. A part that ends by itself ends the tier.
func (t *tier) run(name string, part func(context.Context) error) {
	t.group.Go(func() error {
		if err := part(t.ctx); err != nil && !errors.Is(err, context.Canceled) {
			return fmt.Errorf("%s: %w", name, err)
		}
		if t.ctx.Err() == nil {
			return fmt.Errorf("%s ended by itself", name)
		}
		return nil
	})
}

// run starts the tiers from the ground up, and ends them from the top down once ctx ends or a part fails: what takes
// requests in, then what works on them, then what keeps state.
func (s *server) run(ctx context.Context) error {
	background := context.WithoutCancel(ctx)
	state, work, front := newTier(background), newTier(background), newTier(background)
	defer func() { state.end(); work.end(); front.end() }()

	state.run("store", s.store.Run)
	state.run("kubernetes", s.kube.Run)
	state.run("auth", s.auth.Run)
	work.run("garbage collector", func(ctx context.Context) error { return gc.Run(ctx, s.store, kinds.All(), s.log) })
	work.run("namespaces", func(ctx context.Context) error { return namespaces.Run(ctx, s.store, s.kube, kinds.All(), s.log) })
	work.run("build", s.build.Run)
	work.run("serving", s.serving.Run)
	work.run("eventing", s.eventing.Run)
	front.run("grpc", s.serveGRPC)
	front.run("gateway", func(ctx context.Context) error { return s.gateway.Run(ctx, s.frontDoors()...) })
	front.run("router", func(ctx context.Context) error { return s.router.Run(ctx, s.listeners.router...) })
	front.run("dispatcher", s.dispatcher.Run)
	front.run("metrics", s.serveMetrics)
	front.run("first start", s.firstStart)

	select {
	case <-ctx.Done():
		s.log.InfoContext(background, "ending")
	case <-front.ctx.Done():
	case <-work.ctx.Done():
	case <-state.ctx.Done():
	}
	errs := make([]error, 0, 3)
	s.started.health.Shutdown() // says that we serve no more
	for _, t := range []*tier{front, work, state} {
		t.end()
		errs = append(errs, t.group.Wait())
	}
	return errors.Join(errs...)
}

// serveGRPC answers gRPC until ctx ends, and lets calls end.
func (s *server) serveGRPC(ctx context.Context) error {
	ended := make(chan error, 1)
	go func() { ended <- s.grpc.Serve(s.listeners.grpc) }()
	select {
	case err := <-ended:
		return err //nolint:wrapcheck // the tier names it
	case <-ctx.Done():
	}
	stopped := make(chan struct{})
	go func() { s.grpc.GracefulStop(); close(stopped) }()
	select {
	case <-stopped:
	case <-time.After(5 * time.Second):
		s.grpc.Stop() // watches do not end by themselves
	}
	if err := <-ended; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return err //nolint:wrapcheck // the tier names it
	}
	return nil
}

// serveMetrics answers /metrics until ctx ends.
func (s *server) serveMetrics(ctx context.Context) error {
	if s.listeners.metrics == nil {
		<-ctx.Done()
		return nil
	}
	mux := http.NewServeMux()
	all := prometheus.Gatherers{s.metrics, reconcile.Metrics()}
	mux.Handle("GET /metrics", promhttp.HandlerFor(all, promhttp.HandlerOpts{Registry: s.metrics}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(s.listeners.metrics); !errors.Is(err, http.ErrServerClosed) {
		return err //nolint:wrapcheck // the tier names it
	}
	return nil
}

// firstStart writes what the first administrator needs, and then calls the server ready.
func (s *server) firstStart(ctx context.Context) error {
	sctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	url := "https://" + reachable(s.listeners.https.Addr().String())
	s.auth.SetKubeconfigTarget(url, s.tls.ca)
	token, made, err := s.auth.EnsureAdminToken(sctx, s.cfg.tokenFile())
	if err != nil {
		return err //nolint:wrapcheck // the tier names it
	}
	if made {
		s.log.InfoContext(ctx, "made the administrator's token", "file", s.cfg.tokenFile())
	}
	if s.cfg.WriteKubeconfig != "" {
		if err := s.writeKubeconfig(token); err != nil {
			return fmt.Errorf("kubeconfig: %w", err)
		}
	}
	select {
	case <-s.router.Ready():
	case <-sctx.Done():
		return fmt.Errorf("the router got no routing table: %w", context.Cause(sctx))
	}
	s.started.done()
	s.log.InfoContext(ctx, "ready", "rest", url, "grpc", s.listeners.grpc.Addr().String())
	<-ctx.Done()
	return nil
}

// writeKubeconfig writes a kubeconfig of the front door, for its owner's eyes only.
func (s *server) writeKubeconfig(token string) error {
	text, err := s.auth.Kubeconfig(auth.UserAdmin, "", token)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(s.cfg.WriteKubeconfig), 0o700); err != nil {
		return err
	}
	return os.WriteFile(s.cfg.WriteKubeconfig, []byte(text), 0o600)
}

// progress tells whether the start is over, over HTTP and to gRPC's health checks.
type progress struct {
	over   chan struct{}
	health *health.Server
}

func newProgress() *progress {
	p := &progress{over: make(chan struct{}), health: health.NewServer()}
	p.health.SetServingStatus("", healthv1.HealthCheckResponse_NOT_SERVING)
	return p
}

func (p *progress) done() {
	p.health.SetServingStatus("", healthv1.HealthCheckResponse_SERVING)
	close(p.over)
}

// err is why the server is not ready yet, or nil.
func (p *progress) err() error {
	select {
	case <-p.over:
		return nil
	default:
		return apierror.Unavailable(time.Second, "still starting: it waits for its Kubernetes, its signing keys and its first routing table")
	}
}
