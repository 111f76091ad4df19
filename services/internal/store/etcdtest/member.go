// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"

	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"fairlead.dev/services/internal/etcd"
)

// How fast members of a cluster find out that their leader is gone, in milliseconds.
const (
	heartbeat = 50
	election  = 500
)

// member says what a process runs: an etcd alone, as installations have it, or one of several.
type member struct {
	// Name of the member.
	Name string `json:"name"`
	// Dir is its data directory, in which its socket is.
	Dir string `json:"dir"`
	// Listen is where it hears its peers; empty for one that is alone.
	Listen string `json:"listen,omitempty"`
	// Advertise is where its peers reach it.
	Advertise string `json:"advertise,omitempty"`
	// Cluster names all members and where they are reached: `a=http://127.0.0.1:1,b=…`.
	Cluster string `json:"cluster,omitempty"`
}

// Main runs a member of etcd, and does not return, in the processes that this package starts; otherwise it does nothing.
// TestMain calls it first.
func Main() {
	how := os.Getenv(memberVariable)
	if how == "" {
		return
	}
	var m member
	err := json.Unmarshal([]byte(how), &m)
	if err == nil {
		err = m.run()
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "etcd member %s: %v\n", m.Name, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// run serves until the process that started it closes stdin, by ending for one.
func (m member) run() error {
	var stop func() error
	var failed <-chan error
	if m.Listen == "" {
		e, err := etcd.StartEmbedded(context.Background(), etcd.Config{Dir: m.Dir, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			return fmt.Errorf("start: %w", err)
		}
		stop, failed = e.Close, e.Err()
	} else {
		e, err := m.join()
		if err != nil {
			return err
		}
		stop, failed = func() error { e.Close(); return nil }, e.Err()
	}
	fmt.Print(readyLine)
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, os.Stdin)
		ended <- err
	}()
	select {
	case err := <-ended:
		return errors.Join(err, stop())
	case err := <-failed:
		return err
	}
}

// join starts one of several members, and returns when it serves.
func (m member) join() (*embed.Etcd, error) {
	c := embed.NewConfig()
	c.Name, c.Dir, c.InitialCluster = m.Name, m.Dir, m.Cluster
	c.TickMs, c.ElectionMs = heartbeat, election
	c.StrictReconfigCheck = true
	c.MaxRequestBytes = 8 << 20
	c.MaxTxnOps = 1024
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	listen, err := url.Parse(m.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen address: %w", err)
	}
	advertise, err := url.Parse(m.Advertise)
	if err != nil {
		return nil, fmt.Errorf("advertised address: %w", err)
	}
	clients := []url.URL{{Scheme: "unix", Path: filepath.Join(m.Dir, "etcd.sock")}}
	c.ListenPeerUrls, c.AdvertisePeerUrls = []url.URL{*listen}, []url.URL{*advertise}
	c.ListenClientUrls, c.AdvertiseClientUrls = clients, clients
	e, err := embed.StartEtcd(c)
	if err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	select {
	case <-e.Server.ReadyNotify():
		return e, nil
	case err := <-e.Err():
		return nil, err
	}
}
