// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package gateway is the front door for REST and YAML. It holds no business logic: requests for our kinds become gRPC
// calls, answered through the generated handlers of grpc-gateway; all others go on to the cluster, as the caller.
package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"k8s.io/client-go/rest"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/gateway/web"
	"fairlead.dev/services/internal/clientauth"
	"fairlead.dev/services/internal/rpc"
)

// Config configures the gateway.
type Config struct {
	// MaxBodyBytes is the largest request body that is read; 3 MiB by default, as kube-apiserver has it.
	MaxBodyBytes int64
	// IdentityTTL is how long it is remembered whom a token stands for when requests go on to the cluster; a second by
	// default. Revoked tokens are refused after that time.
	IdentityTTL time.Duration
	// ClientTimeout is how long a client may take to send a body, and to take each part of an answer; a minute by default.
	// Connections of slower ones are closed.
	ClientTimeout time.Duration
	// OwnGroups says who answers for groups of ours that the cluster has CRDs of: OwnGroupsFairlead, OwnGroupsCluster, or nobody,
	// the default.
	OwnGroups string
	// ShutdownTimeout is how long requests may take to end at shutdown; 10 s by default.
	ShutdownTimeout time.Duration
	// WebOrigins are the origins of web pages, such as https://console.example.com, whose scripts may call over gRPC-Web and
	// Connect; none by default.
	WebOrigins []string
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{MaxBodyBytes: 3 << 20, IdentityTTL: time.Second, ClientTimeout: time.Minute, ShutdownTimeout: 10 * time.Second}
}

// Validate tells every fault of the configuration, and how to mend it.
func (c Config) Validate() error {
	var faults []error
	if c.MaxBodyBytes < 1<<20 {
		faults = append(faults, fmt.Errorf("gateway: MaxBodyBytes is %d; an object may have 1 MiB, so allow at least 1048576", c.MaxBodyBytes))
	}
	if c.IdentityTTL < 0 || c.IdentityTTL > time.Minute {
		faults = append(faults, fmt.Errorf("gateway: IdentityTTL is %s; choose between 0 and 1m", c.IdentityTTL))
	}
	if c.ClientTimeout <= 0 {
		faults = append(faults, fmt.Errorf("gateway: ClientTimeout is %s; choose more than 0", c.ClientTimeout))
	}
	if !slices.Contains([]string{OwnGroupsUndecided, OwnGroupsFairlead, OwnGroupsCluster}, c.OwnGroups) {
		faults = append(faults, fmt.Errorf("gateway: OwnGroups is %q; choose %s or %s, or leave it empty", c.OwnGroups, OwnGroupsFairlead, OwnGroupsCluster))
	}
	if c.ShutdownTimeout <= 0 {
		faults = append(faults, fmt.Errorf("gateway: ShutdownTimeout is %s; choose more than 0", c.ShutdownTimeout))
	}
	for _, origin := range c.WebOrigins {
		if err := web.CheckOrigin(origin); err != nil {
			faults = append(faults, fmt.Errorf("gateway: WebOrigins: %w", err))
		}
	}
	return errors.Join(faults...)
}

// Deps is what the gateway works with.
type Deps struct {
	// Conn leads to the services, through the same interceptors as every other caller's.
	Conn *grpc.ClientConn
	// Kinds are the kinds that are served.
	Kinds []kinds.Kind
	// Cluster is how the Kubernetes behind is reached, with the right to impersonate; nil means there is none.
	Cluster *rest.Config
	// Clients tells whose client certificates and which front proxies are believed; nil means nobody's.
	Clients *clientauth.Trust
	// Health answers /livez, /readyz and /healthz, which need no token; nil says that all is well.
	Health http.Handler
	// Debug answers below /debug/ to those whom it lets; nil means that there is nothing.
	Debug http.Handler
	// Limits shares among users what goes on to the cluster; nil means that there are no limits. What goes to services
	// passes theirs.
	Limits rpc.Limits
	// Tracer makes a span of each request; nil makes none.
	Tracer trace.TracerProvider
	// Log gets a line for each request at debug level, and what goes wrong.
	Log *slog.Logger
	// Metrics gets the gateway's metrics.
	Metrics prometheus.Registerer
}

// Server is the gateway.
type Server struct {
	cfg     Config
	deps    Deps
	handler *front
}

// New makes a gateway.
func New(ctx context.Context, cfg Config, deps Deps) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	handler, err := newFront(ctx, cfg, deps)
	if err != nil {
		return nil, err
	}
	return &Server{cfg: cfg, deps: deps, handler: handler}, nil
}

// Handler returns the front door itself.
func (s *Server) Handler() http.Handler { return s.handler }

// Listener is an address at which the gateway answers.
type Listener struct {
	net.Listener

	// TLS makes it HTTPS; nil means plain HTTP, for loopback only.
	TLS *tls.Config
}

// Run answers at the listeners until ctx ends, and then lets requests end.
func (s *Server) Run(ctx context.Context, listeners ...Listener) error {
	g, gctx := errgroup.WithContext(ctx)
	known := make(chan struct{})
	g.Go(func() error {
		s.handler.owners.run(gctx, known)
		return nil
	})
	select {
	case <-known:
	case <-time.After(firstLook): // what is served must not wait for a cluster that is away
	case <-gctx.Done():
	}
	for _, l := range listeners {
		server := &http.Server{
			Handler:           s.handler,
			ReadHeaderTimeout: 10 * time.Second,
			IdleTimeout:       2 * time.Minute,
			MaxHeaderBytes:    64 << 10,
			TLSConfig:         l.TLS,
			ErrorLog:          slog.NewLogLogger(s.deps.Log.Handler(), slog.LevelDebug),
			// Watches and the like end with ctx; they would hold a shutdown up otherwise.
			BaseContext: func(net.Listener) context.Context { return gctx },
		}
		g.Go(func() error {
			var err error
			if l.TLS != nil {
				err = server.ServeTLS(l.Listener, "", "")
			} else {
				err = server.Serve(l.Listener)
			}
			if errors.Is(err, http.ErrServerClosed) {
				return nil
			}
			return fmt.Errorf("gateway: serve %s: %w", l.Addr(), err)
		})
		g.Go(func() error {
			<-gctx.Done()
			sctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.ShutdownTimeout)
			defer cancel()
			if err := server.Shutdown(sctx); err != nil {
				_ = server.Close()
			}
			return nil
		})
	}
	return g.Wait() //nolint:wrapcheck // wrapped above
}
