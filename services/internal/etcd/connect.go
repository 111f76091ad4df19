// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
)

// How a connection is checked: a line that is silent for so long is probed, and given up when the probe stays unanswered.
const (
	keepAliveTime    = 10 * time.Second
	keepAliveTimeout = 5 * time.Second
)

// How often a member that does not answer is tried again: after an outage, nobody waits longer than longestRetry.
const (
	firstRetry    = 100 * time.Millisecond
	longestRetry  = 2 * time.Second
	connectWithin = 5 * time.Second
)

// requestOverhead is what a request has besides what etcd counts.
const requestOverhead = 512 << 10

// ClientConfig says how to reach an etcd that is run elsewhere. It must be 3.6 or newer.
type ClientConfig struct {
	// Endpoints are its members, such as `https://10.0.0.1:2379`.
	Endpoints []string
	// CAFile holds the authorities that sign its certificates, in PEM; the system's by default.
	CAFile string
	// CertFile and KeyFile hold the client's certificate, in PEM, if it wants one.
	CertFile, KeyFile string
	// Username and Password are for an etcd with authentication.
	Username, Password string
	// Log receives what the client has to say; slog.Default by default.
	Log *slog.Logger
}

// Connect makes a client. Members that answer must be new enough; one that does not is no error, since it may come later. The
// client is the caller's to close.
func Connect(c ClientConfig) (*clientv3.Client, error) {
	if len(c.Endpoints) == 0 {
		return nil, errors.New("no etcd endpoints are given")
	}
	if (c.CertFile == "") != (c.KeyFile == "") {
		return nil, errors.New("a client certificate for etcd needs its key, and a key its certificate")
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	phase := new(atomic.Int32)
	phase.Store(calling)
	cc := clientv3.Config{
		Endpoints:            c.Endpoints,
		Username:             c.Username,
		Password:             c.Password,
		DialKeepAliveTime:    keepAliveTime,
		DialKeepAliveTimeout: keepAliveTimeout,
		PermitWithoutStream:  true,
		MaxCallSendMsgSize:   maxRequestBytes + requestOverhead,
		DialOptions: []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: firstRetry, Multiplier: 1.6, Jitter: 0.2, MaxDelay: longestRetry},
			MinConnectTimeout: connectWithin,
		})},
		Logger: zap.New(&core{handler: c.Log.With("component", "etcd-client").Handler(), phase: phase}),
	}
	if c.CAFile != "" || c.CertFile != "" {
		info := transport.TLSInfo{TrustedCAFile: c.CAFile, CertFile: c.CertFile, KeyFile: c.KeyFile}
		tls, err := info.ClientConfig()
		if err != nil {
			return nil, fmt.Errorf("certificates for etcd: %w", err)
		}
		cc.TLS = tls
	}
	client, err := clientv3.New(cc)
	if err != nil {
		return nil, fmt.Errorf("connect to etcd at %v: %w", c.Endpoints, err)
	}
	if err := checkVersions(client, c.Log); err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return client, nil
}
