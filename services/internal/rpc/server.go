// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rpc assembles gRPC servers: limits, interceptors in a known order, health and reflection. Every call but those
// of health and reflection has an authenticated caller and a right that allows it; what has no right attached to it is
// refused.
package rpc

import (
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
)

const (
	handshakeTimeout = 20 * time.Second
	pingTimeout      = 20 * time.Second
	idleTimeout      = 15 * time.Minute
	maxHeaderBytes   = 64 << 10
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
	options := []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(chain.unary()...),
		grpc.ChainStreamInterceptor(chain.stream()...),
		grpc.MaxRecvMsgSize(cfg.MaxMessageBytes),
		grpc.MaxConcurrentStreams(cfg.MaxConcurrentStreams),
		grpc.MaxHeaderListSize(maxHeaderBytes),
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionIdle: idleTimeout,
			Time:              cfg.KeepaliveInterval,
			Timeout:           pingTimeout,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{
			MinTime:             cfg.MinPingInterval,
			PermitWithoutStream: true,
		}),
	}
	if cfg.TLS != nil {
		options = append(options, grpc.Creds(newServerCredentials(cfg.TLS)))
	}
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
	return chain{
		requestID(),
		logCalls(cfg.Log),
		metrics,
		recovery(),
		deadline(cfg.UnaryTimeout),
		authn(cfg.Authn, methods),
		authz(cfg.Authz, methods),
		validate,
	}, nil
}
