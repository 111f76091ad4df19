// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package etcd runs a one-member etcd inside the process, for installations that bring none of their own.
package etcd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.uber.org/zap"
)

const (
	// socketName is the unix socket, in the data directory, on which etcdctl reaches the server.
	socketName = "etcd.sock"
	// maxSocketPath is the longest path that a unix socket can have on every platform.
	maxSocketPath = 100
	// peerURL names the member to itself. Nothing listens there: the member is alone.
	peerURL = "http://127.0.0.1:2380"
	// maxRequestBytes is the largest request: a transaction with the states that it replaces, which are kept as history.
	maxRequestBytes = 8 << 20
	// maxTxnOps is how many operations a transaction has at most: three for each of 100 objects, and some.
	maxTxnOps = 1024
)

// Config says where and how the embedded etcd runs.
type Config struct {
	// Dir is the data directory. It is made, readable by its owner only, if it does not exist.
	Dir string
	// Listen is a loopback address for clients of other processes, such as `127.0.0.1:2379`; port 0 takes a free one.
	// Empty: only the socket in Dir, which the owner of Dir alone can reach.
	Listen string
	// QuotaBytes is the largest size of the database; 2 GiB by default. Writes are refused beyond it.
	QuotaBytes int64
	// StartTimeout is how long the start may take, replay of the log included; a minute by default.
	StartTimeout time.Duration
	// Log receives what etcd has to say; slog.Default by default.
	Log *slog.Logger
}

func (c *Config) defaults() {
	if c.QuotaBytes == 0 {
		c.QuotaBytes = 2 << 30
	}
	if c.StartTimeout == 0 {
		c.StartTimeout = time.Minute
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
}

// Embedded is a running etcd.
type Embedded struct {
	server    *embed.Etcd
	client    *clientv3.Client
	lock      *os.File
	phase     *atomic.Int32
	endpoints []string
	closeOnce sync.Once
}

// StartEmbedded starts etcd on a data directory and returns when it serves. Every acknowledged write is on disk. A
// directory that another process uses is refused.
func StartEmbedded(ctx context.Context, c Config) (*Embedded, error) {
	c.defaults()
	if c.Dir == "" {
		return nil, errors.New("the embedded etcd needs a data directory")
	}
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return nil, fmt.Errorf("data directory %s: %w", c.Dir, err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory of etcd: %w", err)
	}
	// etcd complains of a directory that others can read. One that is not ours to change is the operator's choice.
	_ = os.Chmod(dir, 0o700) //nolint:gosec // a directory needs x
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	phase := new(atomic.Int32)
	ec, err := serverConfig(dir, c, &core{handler: c.Log.With("component", "etcd").Handler(), phase: phase})
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	server, err := embed.StartEtcd(ec)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start etcd on %s: %w", dir, err), lock.Close())
	}
	e := &Embedded{server: server, lock: lock, phase: phase}
	if err := e.waitReady(ctx, c.StartTimeout); err != nil {
		return nil, errors.Join(fmt.Errorf("start etcd on %s: %w", dir, err), e.Close())
	}
	phase.Store(running)
	e.client = v3client.New(server.Server)
	e.client.Maintenance = maintenance{e.client.Maintenance, server.Server}
	for _, l := range server.Clients {
		if l.Addr().Network() == "unix" {
			e.endpoints = append(e.endpoints, "unix://"+l.Addr().String())
			continue
		}
		e.endpoints = append(e.endpoints, "http://"+l.Addr().String())
	}
	return e, nil
}

// Client is a client that calls the server without a socket between. It belongs to e: do not close it.
func (e *Embedded) Client() *clientv3.Client { return e.client }

// Endpoints are the addresses on which other processes reach the server.
func (e *Embedded) Endpoints() []string { return e.endpoints }

// Err yields the error that ended the server by itself, if one does.
func (e *Embedded) Err() <-chan error { return e.server.Err() }

// Close stops the server after the requests in flight, and frees the directory. It may be called more than once.
func (e *Embedded) Close() error {
	var err error
	e.closeOnce.Do(func() {
		e.phase.Store(closing)
		if e.client != nil {
			err = e.client.Close()
			if errors.Is(err, context.Canceled) {
				err = nil
			}
		}
		e.server.Close()
		err = errors.Join(err, e.lock.Close())
	})
	if err != nil {
		return fmt.Errorf("close etcd: %w", err)
	}
	return nil
}

// maintenance is the maintenance of the server inside the process. The one that etcd's in-process client brings fails to
// defragment: it wants to tell a health service that does not exist there.
type maintenance struct {
	clientv3.Maintenance

	server *etcdserver.EtcdServer
}

// Defragment implements clientv3.Maintenance.
func (m maintenance) Defragment(context.Context, string) (*clientv3.DefragmentResponse, error) {
	if err := m.server.Backend().Defrag(); err != nil {
		return nil, fmt.Errorf("defragment the database: %w", err)
	}
	return &clientv3.DefragmentResponse{}, nil
}

func (e *Embedded) waitReady(ctx context.Context, limit time.Duration) error {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-e.server.Server.ReadyNotify():
		return nil
	case err := <-e.server.Err():
		return err
	case <-e.server.Server.StopNotify():
		return errors.New("it stopped before it was ready; its log says why")
	case <-timer.C:
		return fmt.Errorf("it is not ready after %s", limit)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// serverConfig turns c into etcd's own configuration.
func serverConfig(dir string, c Config, log *core) (*embed.Config, error) {
	peer, err := url.Parse(peerURL)
	if err != nil {
		return nil, fmt.Errorf("peer address: %w", err)
	}
	clients, err := clientURLs(dir, c)
	if err != nil {
		return nil, err
	}
	ec := embed.NewConfig()
	ec.Name = "fairlead"
	ec.Dir = dir
	ec.ListenPeerUrls = nil
	ec.AdvertisePeerUrls = []url.URL{*peer}
	ec.InitialCluster = ec.Name + "=" + peerURL
	ec.ListenClientUrls = clients
	ec.AdvertiseClientUrls = clients
	ec.QuotaBackendBytes = c.QuotaBytes
	ec.MaxRequestBytes = maxRequestBytes
	ec.MaxTxnOps = maxTxnOps
	ec.WatchProgressNotifyInterval = time.Minute
	ec.StrictReconfigCheck = true
	ec.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.New(log))
	return ec, nil
}

// clientURLs are the addresses to listen on: the socket, where its path fits, and the loopback address, if wanted.
func clientURLs(dir string, c Config) ([]url.URL, error) {
	urls := []url.URL{}
	if socket := filepath.Join(dir, socketName); len(socket) <= maxSocketPath {
		urls = append(urls, url.URL{Scheme: "unix", Path: socket})
	}
	if c.Listen == "" {
		return urls, nil
	}
	addr, err := net.ResolveTCPAddr("tcp", c.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen address %q of etcd: %w", c.Listen, err)
	}
	if !addr.IP.IsLoopback() {
		return nil, fmt.Errorf("listen address %q of etcd is not loopback; the embedded etcd has no authentication, so use 127.0.0.1", c.Listen)
	}
	return append(urls, url.URL{Scheme: "http", Host: addr.String()}), nil
}
