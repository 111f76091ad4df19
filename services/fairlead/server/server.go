// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/auth"
	"fairlead.dev/services/build"
	"fairlead.dev/services/eventing"
	"fairlead.dev/services/eventing/dispatcher"
	"fairlead.dev/services/eventing/engine"
	"fairlead.dev/services/gateway"
	"fairlead.dev/services/internal/etcd"
	"fairlead.dev/services/internal/kube"
	"fairlead.dev/services/internal/rpc"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/version"
	"fairlead.dev/services/serving"
	"fairlead.dev/services/serving/router"
)

// startTimeout bounds what must happen before the server is ready.
const startTimeout = 2 * time.Minute

// Run runs everything until ctx ends, and then ends it: first what takes requests in, then what they need.
func Run(ctx context.Context, c Config) (err error) {
	if err := c.Validate(); err != nil {
		return err
	}
	log, err := c.logger()
	if err != nil {
		return err
	}
	slog.SetDefault(log)
	log.InfoContext(ctx, "starting", "version", version.String(), "installation", c.Installation)
	s := &server{cfg: c, log: log, metrics: prometheus.NewRegistry(), started: newProgress()}
	defer func() { err = errors.Join(err, s.close()) }()
	for _, part := range []struct {
		name string
		open func(context.Context) error
	}{
		{"listen", s.listen},
		{"etcd", s.openEtcd},
		{"Kubernetes", s.openKube},
		{"JetStream", s.openEngine},
		{"services", s.assemble},
		{"gateway", s.openGateway},
	} {
		start := time.Now()
		if err := part.open(ctx); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
		log.DebugContext(ctx, "opened", "part", part.name, "took", time.Since(start))
	}
	return s.run(ctx)
}

// server is the parts of one process, in the order in which they are opened.
type server struct {
	cfg     Config
	log     *slog.Logger
	metrics *prometheus.Registry

	listeners listeners
	etcd      *clientv3.Client
	store     *store.Store
	config    *rest.Config
	kube      *kube.Client
	engine    *engine.Engine

	auth     *auth.Server
	build    *build.Server
	serving  *serving.Server
	eventing *eventing.Server
	grpc     *grpc.Server
	memory   *rpc.InMemory
	gateway  *gateway.Server
	tls      *tlsSetup
	started  *progress

	router     *router.Router
	dispatcher *dispatcher.Dispatcher

	closers []func() error
}

// onClose has something closed at the end, in the reverse order.
func (s *server) onClose(f func() error) { s.closers = append(s.closers, f) }

func (s *server) close() error {
	errs := make([]error, 0, len(s.closers))
	for _, closer := range slices.Backward(s.closers) {
		errs = append(errs, closer())
	}
	return errors.Join(errs...)
}

func (s *server) openEtcd(ctx context.Context) error {
	if len(s.cfg.EtcdEndpoints) > 0 {
		client, err := etcd.Connect(etcd.ClientConfig{Endpoints: s.cfg.EtcdEndpoints, Log: s.log})
		if err != nil {
			return err //nolint:wrapcheck // says it all
		}
		s.onClose(client.Close)
		s.etcd = client
	} else {
		e, err := etcd.StartEmbedded(context.WithoutCancel(ctx), etcd.Config{Dir: filepath.Join(s.cfg.DataDir, "etcd"), Log: s.log})
		if err != nil {
			return err //nolint:wrapcheck // says it all
		}
		s.onClose(e.Close)
		s.etcd = e.Client()
	}
	var err error
	s.store, err = store.New(s.etcd, store.Options{Prefix: s.prefix(), Log: s.log, Metrics: s.metrics})
	return err //nolint:wrapcheck // says it all
}

// prefix is where this installation keeps its keys.
func (s *server) prefix() string { return "/fairlead/" + s.cfg.Installation }

func (s *server) openKube(context.Context) error {
	var err error
	if s.cfg.Kubeconfig == "" {
		s.config, err = rest.InClusterConfig()
	} else {
		s.config, err = clientcmd.BuildConfigFromFlags("", s.cfg.Kubeconfig)
	}
	if err != nil {
		return fmt.Errorf("%w; give --kubeconfig", err)
	}
	s.kube, err = kube.NewClient(s.config, kube.Options{
		Installation: s.cfg.Installation, Component: "fairlead", SystemNamespace: s.cfg.SystemNamespace, Log: s.log,
	})
	return err //nolint:wrapcheck // says it all
}

func (s *server) openEngine(context.Context) error {
	cfg := engine.DefaultConfig(filepath.Join(s.cfg.DataDir, "jetstream"))
	cfg.URL, cfg.Installation = s.cfg.NATSURL, s.cfg.Installation
	e, err := engine.Open(cfg, s.log)
	if err != nil {
		return err //nolint:wrapcheck // says it all
	}
	s.onClose(func() error { e.Close(); return nil })
	s.engine = e
	return nil
}

// assemble makes the services and the gRPC server that they share.
func (s *server) assemble(context.Context) error {
	var err error
	if s.auth, err = auth.New(s.authConfig(), auth.Deps{Store: s.store, Etcd: s.etcd, Kube: s.kube, Namespaces: s.kube, Log: s.log}); err != nil {
		return err //nolint:wrapcheck // says it all
	}
	if s.build, err = build.New(s.buildConfig(), build.Deps{Store: s.store, Kube: s.kube, Log: s.log, Metrics: s.metrics}); err != nil {
		return err //nolint:wrapcheck // says it all
	}
	if s.serving, err = serving.New(s.servingConfig(), serving.Deps{Store: s.store, Kube: s.kube, Log: s.log, Metrics: s.metrics}); err != nil {
		return err //nolint:wrapcheck // says it all
	}
	if s.eventing, err = eventing.New(s.eventingConfig(), eventing.Deps{Store: s.store, Kube: s.kube, Log: s.log}); err != nil {
		return err //nolint:wrapcheck // says it all
	}
	s.grpc, err = rpc.NewServer(rpc.Config{
		Log: s.log, Metrics: s.metrics, Authn: s.auth.Authenticator(), Authz: s.auth.Authorizer(),
		Health: s.started.health, TLS: s.tls.forGRPC(s.cfg.GRPCListen),
	})
	if err != nil {
		return err //nolint:wrapcheck // says it all
	}
	for _, service := range []interface {
		Register(reg grpc.ServiceRegistrar) error
	}{s.auth, s.build, s.serving, s.eventing} {
		if err := service.Register(s.grpc); err != nil {
			return err //nolint:wrapcheck // says it all
		}
	}
	s.memory = rpc.NewInMemory(s.grpc)
	s.onClose(s.memory.Close)
	return s.assembleDataPlane()
}

// assembleDataPlane makes router and dispatcher, each with a connection and credentials of its own.
func (s *server) assembleDataPlane() error {
	routerConn, err := s.memory.Dial(s.auth.ServiceCredentials("router"))
	if err != nil {
		return err //nolint:wrapcheck // says it all
	}
	s.onClose(routerConn.Close)
	if s.router, err = router.New(router.DefaultConfig(), routerConn, s.log, s.metrics); err != nil {
		return err //nolint:wrapcheck // says it all
	}
	dispatcherConn, err := s.memory.Dial(s.auth.ServiceCredentials("dispatcher"))
	if err != nil {
		return err //nolint:wrapcheck // says it all
	}
	s.onClose(dispatcherConn.Close)
	cfg := dispatcher.DefaultConfig()
	cfg.ClusterDNS = s.cfg.ClusterDNS
	s.dispatcher, err = dispatcher.New(cfg, dispatcher.Deps{
		Conn: dispatcherConn, Engine: s.engine, Listeners: s.listeners.broker, Log: s.log, Metrics: s.metrics,
	})
	return err //nolint:wrapcheck // says it all
}

func (s *server) openGateway(ctx context.Context) error {
	conn, err := s.memory.Dial(nil) // each call brings its caller's token
	if err != nil {
		return err //nolint:wrapcheck // says it all
	}
	s.onClose(conn.Close)
	s.gateway, err = gateway.New(ctx, gateway.DefaultConfig(), gateway.Deps{
		Conn: conn, Kinds: kinds.All(), Cluster: s.config, Ready: s.ready, Log: s.log, Metrics: s.metrics,
	})
	return err //nolint:wrapcheck // says it all
}

// ready tells whether requests can be served, or what is missing.
func (s *server) ready(ctx context.Context) error {
	if err := s.store.Ready(ctx); err != nil {
		return err //nolint:wrapcheck // an error of ours
	}
	return s.started.err()
}
