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
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"fairlead.dev/services/internal/client"
)

const (
	// pingInterval is after how much silence the server is asked whether it is still there.
	pingInterval = 30 * time.Second
	pingTimeout  = 20 * time.Second
)

// address is the server that is meant.
func (o *options) address() (string, error) {
	address := cmp.Or(o.server, os.Getenv(envServer), defaultServer)
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
	if withToken {
		t, err := o.token()
		if err != nil {
			return nil, err
		}
		peer.tokenSource = t.source
		dialOptions = append(dialOptions, grpc.WithPerRPCCredentials(bearer{t.value, peer.tls}))
	}
	conn, err := grpc.NewClient(address, dialOptions...)
	if err != nil {
		return nil, fmt.Errorf("--server %s: %w", address, err)
	}
	return conn, nil
}

// transport secures connections by TLS, but for those that stay on this machine or that the user wants open.
func (o *options) transport(address string) (credentials.TransportCredentials, error) {
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
	token string
	tls   bool
}

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + b.token}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials.
func (b bearer) RequireTransportSecurity() bool { return b.tls }
