// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"fairlead.dev/services/internal/client"
	"fairlead.dev/services/internal/rpc"
)

const (
	// pingInterval is after how much silence the server is asked whether it is still there.
	pingInterval = 30 * time.Second
	pingTimeout  = 20 * time.Second
)

// address is the server that is meant.
func (o *options) address() (string, error) {
	address := cmp.Or(o.server, os.Getenv(envServer), o.signedInTo(), defaultServer)
	if strings.Contains(address, "://") {
		return "", fmt.Errorf("--server %s is a URL; give the host and port of the server's gRPC endpoint, such as %s", address, defaultServer)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" || port == "" {
		return "", fmt.Errorf("--server %s is not a host and a port; write it as in %s", address, defaultServer)
	}
	return address, nil
}

// dial returns a connection, which is made with the first call. Only a caller of open methods needs no token.
func (o *options) dial(withToken bool) (*grpc.ClientConn, error) {
	if !withToken {
		return o.dialAs(nil)
	}
	t, err := o.token()
	if err != nil {
		return nil, err
	}
	return o.dialAs(&t)
}

// dialAs returns a connection of who has a token; nil for nobody.
func (o *options) dialAs(t *token) (*grpc.ClientConn, error) {
	address, err := o.address()
	if err != nil {
		return nil, err
	}
	timeout, err := o.timeout()
	if err != nil {
		return nil, err
	}
	transport, err := o.transport(address)
	if err != nil {
		return nil, err
	}
	peer := &peer{address: address, tls: transport.Info().SecurityProtocol == "tls", timeout: timeout}
	dialOptions := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithUserAgent("fairlead/" + o.version),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32)), // lists are as long as their pages
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingInterval, Timeout: pingTimeout}),
		grpc.WithChainUnaryInterceptor(peer.unary, client.Warnings(func(w string) {
			fmt.Fprintf(o.streams.Err, "Warning: %s\n", plain(w))
		})),
		grpc.WithChainStreamInterceptor(peer.stream),
	}
	if t != nil {
		peer.tokenSource = t.source
		peer.bearer = &bearer{token: t, tls: peer.tls}
		dialOptions = append(dialOptions, grpc.WithPerRPCCredentials(peer.bearer))
	}
	conn, err := grpc.NewClient(address, dialOptions...)
	if err != nil {
		return nil, fmt.Errorf("--server %s: %w", address, err)
	}
	return conn, nil
}

// transport secures connections by TLS, but for those that stay on this machine or that the user wants open.
func (o *options) transport(address string) (credentials.TransportCredentials, error) {
	ca := o.signedInCA(address)
	if o.plaintext && o.caFile != "" {
		return nil, errors.New("--plaintext and --ca-file exclude each other: certificates are for TLS")
	}
	if o.caFile == "" && (o.plaintext || isLoopback(address)) {
		return insecure.NewCredentials(), nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.caFile != "" {
		pem, err := os.ReadFile(o.caFile)
		if err != nil {
			return nil, fmt.Errorf("--ca-file: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--ca-file %s holds no certificate in PEM", o.caFile)
		}
	} else if len(ca) > 0 {
		config.RootCAs = x509.NewCertPool()
		config.RootCAs.AppendCertsFromPEM(ca)
	}
	return credentials.NewTLS(config), nil
}

func isLoopback(address string) bool {
	host, _, _ := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// bearer sends a token with each call.
type bearer struct {
	token *token
	tls   bool

	mu     sync.Mutex
	failed error
}

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (b *bearer) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	value, err := b.token.fresh(ctx)
	if b.failed = err; err != nil {
		return nil, err
	}
	return map[string]string{rpc.AuthorizationKey: "Bearer " + value}, nil
}

// failure tells why there was no token to send, if there was none.
func (b *bearer) failure() error {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failed
}

// RequireTransportSecurity implements credentials.PerRPCCredentials.
func (b *bearer) RequireTransportSecurity() bool { return b.tls }
