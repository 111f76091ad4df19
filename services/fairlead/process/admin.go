// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/rpc"
)

// Paths that are no resources, each with a right of its own.
const (
	pathMetrics = "/metrics"
	pathDebug   = "/debug/pprof/"
)

// Access tells whether the sender of an `Authorization` header may read a path that is no resource; the answer is an
// apierror where not.
type Access func(ctx context.Context, authorization, path string) error

// SetAccess sets who is asked for the right to profiles, and to metrics outside loopback. Without it there is none.
func (p *Process) SetAccess(a Access) { p.access = a }

// Debug answers /debug/pprof to those who have the right to get it.
func (p *Process) Debug() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+pathDebug, pprof.Index)
	mux.HandleFunc("GET "+pathDebug+"cmdline", pprof.Cmdline)
	mux.HandleFunc("GET "+pathDebug+"profile", pprof.Profile)
	mux.HandleFunc("GET "+pathDebug+"symbol", pprof.Symbol)
	mux.HandleFunc("GET "+pathDebug+"trace", pprof.Trace)
	return p.guard(mux)
}

// guard lets those through who have the right to get the path. Nobody has it by default.
func (p *Process) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := p.mayGet(r); err != nil {
			refuse(w, apierror.From(err))
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (p *Process) mayGet(r *http.Request) error {
	if p.access == nil {
		return apierror.Forbidden(apierror.Resource{}, "", "%s is closed: this process knows nobody to ask who may read it; give --auth-address", r.URL.Path)
	}
	header := r.Header.Get("Authorization")
	if _, ok := rpc.Bearer(header); !ok {
		return apierror.Unauthorized("no token came with the request; send the header \"Authorization: Bearer TOKEN\"")
	}
	return p.access(r.Context(), header, r.URL.Path)
}

func refuse(w http.ResponseWriter, e *apierror.Error) {
	w.Header().Set("Content-Type", "application/json")
	if e.Reason == apierror.ReasonUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="fairlead"`)
	}
	w.WriteHeader(e.HTTPCode())
	_ = json.NewEncoder(w).Encode(e.Kubernetes()) //nolint:errchkjson // whoever hung up needs no answer
}

// adminHandler answers metrics, readiness and profiles.
func (p *Process) adminHandler() http.Handler {
	mux := http.NewServeMux()
	metrics := promhttp.HandlerFor(p.gatherers, promhttp.HandlerOpts{Registry: p.metrics})
	if !p.metricsListen.OnLoopback() {
		metrics = p.guard(metrics)
	}
	mux.Handle("GET "+pathMetrics, metrics)
	mux.Handle("GET "+pathDebug, p.Debug())
	for _, path := range []string{"/livez", "/healthz", "/readyz", "/readyz/"} {
		mux.Handle("GET "+path, p.checks)
	}
	return mux
}

// serveAdmin answers at --metrics-listen until ctx ends.
func (p *Process) serveAdmin(ctx context.Context) error {
	l := p.metricsListen.Listener()
	if l == nil {
		<-ctx.Done()
		return nil
	}
	server := &http.Server{
		Handler: p.adminHandler(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(p.log.Handler(), slog.LevelDebug),
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	var err error
	if p.metricsListen.OnLoopback() {
		err = server.Serve(l)
	} else {
		server.TLSConfig = p.ServerTLS(false)
		err = server.ServeTLS(l, "", "")
	}
	if !errors.Is(err, http.ErrServerClosed) {
		return err //nolint:wrapcheck // the tier names it
	}
	return nil
}
