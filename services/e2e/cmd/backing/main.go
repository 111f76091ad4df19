// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Backing runs an etcd and a NATS with JetStream for tests of services in processes of their own. Where etcd answers at
// /readyz, both do.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"fairlead.dev/services/internal/etcd"
)

func main() {
	dir := flag.String("dir", "", "folder of the data")
	etcdListen := flag.String("etcd-listen", "127.0.0.1:2379", "host:port of etcd")
	natsListen := flag.String("nats-listen", "127.0.0.1:4222", "host:port of NATS")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *dir, *etcdListen, *natsListen)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "backing:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir, etcdListen, natsListen string) error {
	host, text, err := net.SplitHostPort(natsListen)
	if err != nil {
		return fmt.Errorf("--nats-listen: %w", err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return fmt.Errorf("--nats-listen: %w", err)
	}
	nats, err := server.NewServer(&server.Options{
		ServerName: "backing", Host: host, Port: port, JetStream: true, SyncAlways: true, NoSigs: true,
		StoreDir: filepath.Join(dir, "jetstream"), MaxPayload: 4 << 20, DisableJetStreamBanner: true,
	})
	if err != nil {
		return fmt.Errorf("NATS: %w", err)
	}
	nats.Start()
	defer func() { nats.Shutdown(); nats.WaitForShutdown() }()
	if !nats.ReadyForConnections(time.Minute) {
		return errors.New("NATS did not start")
	}
	e, err := etcd.StartEmbedded(ctx, etcd.Config{Dir: filepath.Join(dir, "etcd"), Listen: etcdListen})
	if err != nil {
		return err //nolint:wrapcheck // says it all
	}
	<-ctx.Done()
	return e.Close() //nolint:wrapcheck // says it all
}
