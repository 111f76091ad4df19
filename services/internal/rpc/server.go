// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rpc assembles gRPC servers: limits, interceptors in a known order, health and reflection. Every call has an
// authenticated caller and a right that allows it, but those of health, of reflection and of methods that their proto opens
// with `access: {open: true}`; what has no right attached to it is refused.
package rpc

import (
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"fairlead.dev/services/internal/rpc/encoded"
	"fairlead.dev/services/internal/tracing"
)

const (
	handshakeTimeout = 20 * time.Second
	pingTimeout      = 20 * time.Second
	idleTimeout      = 15 * time.Minute
	maxHeaderBytes   = 64 << 10
	// streamWorkers are goroutines that serve one call after the other, with the stack that the first ones made them grow.
	// Calls for which none is free get goroutines of their own.
	streamWorkers = 64
	// maxConnectionAge is after how long a client begins a new connection, with the certificate that it has by then. Calls
	// that are going on stay on the old one.
	maxConnectionAge = time.Hour
)

// NewServer makes a server with every interceptor, health and reflection. Services are registered on it by the caller.
func NewServer(cfg Config) (*grpc.Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	chain, err := newChain(cfg)
	if err != nil {
		return nil, err
	}
	connections := keepalive.ServerParameters{MaxConnectionIdle: idleTimeout, Time: cfg.KeepaliveInterval, Timeout: pingTimeout}
	if cfg.ClientCAs != nil {
		connections.MaxConnectionAge = maxConnectionAge
	}
	options := []grpc.ServerOption{
		grpc.ForceServerCodecV2(encoded.Codec()),
		grpc.NumStreamWorkers(streamWorkers),
		grpc.ChainUnaryInterceptor(chain.unary()...),
		grpc.ChainStreamInterceptor(chain.stream()...),
		grpc.MaxRecvMsgSize(cfg.MaxMessageBytes),
		grpc.MaxConcurrentStreams(cfg.MaxConcurrentStreams),
		grpc.MaxHeaderListSize(maxHeaderBytes),
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.KeepaliveParams(connections),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{
			MinTime:             cfg.MinPingInterval,
			PermitWithoutStream: true,
		}),
	}
	if cfg.TLS != nil {
		secure := cfg.TLS
		if cfg.ClientCAs != nil {
			secure = askForCertificates(secure, cfg.ClientCAs, cfg.Clients)
		}
		options = append(options, grpc.Creds(newServerCredentials(secure)))
	}
	options = append(options, tracing.ServerOptions(cfg.TracerProvider)...)
	server := grpc.NewServer(options...)
	if cfg.Health == nil {
		cfg.Health = health.NewServer()
	}
	healthv1.RegisterHealthServer(server, cfg.Health)
	reflection.Register(server)
	return server, nil
}

func newChain(cfg Config) (chain, error) {
	metrics, err := newMetrics(cfg.Metrics)
	if err != nil {
		return nil, err
	}
	validate, err := newValidation()
	if err != nil {
		return nil, fmt.Errorf("rpc: %w", err)
	}
	methods := &methods{}
	now := time.Now
	auditing := newAuditing(cfg.Audit, methods, now)
	known := &authentication{
		authn: remember(cfg.Authn, now), authz: cfg.Authz, clients: cfg.Clients, methods: methods, ours: cfg.ClientCAs, now: now, auditing: auditing,
	}
	return chain{
		requestID(),
		logCalls(cfg.Log),
		metrics,
		recovery(),
		deadline(cfg.UnaryTimeout),
		authn(known),
		auditCalls(auditing),
		limit(cfg.Limits, methods),
		authz(cfg.Authz, methods, newStreams(known, cfg.Authz, now)),
		validate,
	}, nil
}
