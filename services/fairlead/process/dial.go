// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"crypto/tls"
	"fmt"
	"math"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/health" // replicas that say they do not serve are left out
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	"fairlead.dev/services/internal/tracing"
)

// What is done where there are several replicas: calls are spread over those that say that they serve. One alone is asked
// whatever it says: its answer tells more.
const (
	oneReplica      = `{}`
	severalReplicas = `{"loadBalancingConfig":[{"round_robin":{}}],"healthCheckConfig":{"serviceName":""}}`
)

// Dial returns a connection to the replicas of a service at the addresses, host:port each; nothing is asked of them yet.
// With a cfg of nil there is no TLS. A replica that is lost is tried again within seconds. The caller closes it.
func (p *Process) Dial(addresses []string, cfg *tls.Config, extra ...grpc.DialOption) (*grpc.ClientConn, error) {
	creds := insecure.NewCredentials()
	if cfg != nil {
		creds = credentials.NewTLS(cfg)
	}
	state := resolver.State{}
	for _, a := range addresses {
		host, _, err := net.SplitHostPort(a)
		if err != nil {
			return nil, fmt.Errorf("address %q: write host:port", a)
		}
		state.Endpoints = append(state.Endpoints, resolver.Endpoint{Addresses: []resolver.Address{{Addr: a, ServerName: host}}})
	}
	serviceConfig := oneReplica
	if len(addresses) > 1 {
		serviceConfig = severalReplicas
	}
	replicas := manual.NewBuilderWithScheme("fairlead")
	replicas.InitialState(state)
	options := append([]grpc.DialOption{
		grpc.WithResolvers(replicas),
		grpc.WithTransportCredentials(creds),
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithDisableServiceConfig(),
		grpc.WithIdleTimeout(0),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second},
			MinConnectTimeout: 3 * time.Second,
		}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 15 * time.Second, Timeout: 5 * time.Second, PermitWithoutStream: true}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32)),
	}, extra...)
	options = append(options, tracing.DialOptions(p.Tracer())...)
	conn, err := grpc.NewClient("fairlead:///"+addresses[0], options...)
	if err != nil {
		return nil, fmt.Errorf("connection to %v: %w", addresses, err)
	}
	return conn, nil
}
