// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package platform

import (
	"context"
	"crypto/tls"
	"errors"
	"maps"
	"slices"
	"time"

	"google.golang.org/grpc"

	"fairlead.dev/services/fairlead/process"
	"fairlead.dev/services/internal/namespaces"
	"fairlead.dev/services/internal/rpc"
	"fairlead.dev/services/internal/store/gc"
)

// graceful is how long calls may take to end at the end; watches do not end by themselves.
const graceful = 5 * time.Second

// plaintext tells that gRPC has no TLS here: the process is alone, and the address cannot be reached from elsewhere.
func (b *Platform) plaintext() bool { return b.opts.AllInOne && b.grpcListen.OnLoopback() }

func (b *Platform) openGRPC(context.Context) error {
	p := b.process
	var cfg *tls.Config
	if !b.plaintext() {
		cfg = p.ServerTLS(true)
	}
	limits, err := b.limits.Open(p, "grpc")
	if err != nil {
		return err //nolint:wrapcheck // says it all
	}
	b.server, err = rpc.NewServer(rpc.Config{
		Log: p.Log(), Metrics: p.Metrics(), Authn: b.verify.Authenticator(), Authz: b.verify.Authorizer(),
		Health: p.Checks().Health(), TLS: cfg, ClientCAs: p.ClientCAs, Clients: b.trust.Trust(), Audit: b.audit, Limits: limits, TracerProvider: p.Tracer(),
	})
	if err != nil {
		return err //nolint:wrapcheck // says it all
	}
	b.memory = rpc.NewInMemory(b.server)
	p.OnClose(b.memory.Close)
	return nil
}

// Start implements process.Part.
func (b *Platform) Start(t *process.Tiers) {
	p := b.process
	p.Checks().Serve(slices.Sorted(maps.Keys(b.server.GetServiceInfo()))...)
	p.Checks().Add(b.checks()...)
	t.State.Run("store", b.store.Run)
	t.State.Run("kubernetes", b.kube.Run)
	if b.audit != nil {
		t.State.Run("audit", b.audit.Run)
	}
	t.State.Run("encryption", b.followEncryption)
	t.State.Run("lease", b.lease.Run)
	t.State.Run("peers", b.peers.follow)
	if b.auth != nil {
		t.State.Run("auth", b.auth.Run)
	} else {
		t.State.Run("auth", b.verify.Run)
	}
	// One process of a name is enough for what looks at all objects of its kinds.
	t.Work.Run("garbage collector", func(ctx context.Context) error {
		return b.lease.Group("gc-"+p.Name(), 1).Lead(ctx, func(ctx context.Context) error {
			return gc.Run(ctx, b.store, b.Kinds(), p.Log())
		})
	})
	t.Work.Run("namespaces", func(ctx context.Context) error {
		return b.lease.Group("namespaces-"+p.Name(), 1).Lead(ctx, func(ctx context.Context) error {
			return namespaces.Run(ctx, b.store, b.kube, b.Kinds(), p.Log())
		})
	})
	if b.encryption != nil {
		t.Work.Run("reencryption", b.reencrypt)
	}
	t.Front.Run("grpc", b.serve)
}

// serve answers gRPC until ctx ends, and lets calls end.
func (b *Platform) serve(ctx context.Context) error {
	ended := make(chan error, 1)
	go func() { ended <- b.server.Serve(b.grpcListen.Listener()) }()
	select {
	case err := <-ended:
		return err //nolint:wrapcheck // the tier names it
	case <-ctx.Done():
	}
	stopped := make(chan struct{})
	go func() { b.server.GracefulStop(); close(stopped) }()
	timer := time.NewTimer(graceful)
	defer timer.Stop()
	select {
	case <-stopped:
	case <-timer.C:
		b.server.Stop()
	}
	if err := <-ended; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return err //nolint:wrapcheck // the tier names it
	}
	return nil
}
