// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package dispatcher is the part of a process that takes events in and delivers them. It links neither etcd nor informers.
package dispatcher

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc"

	"fairlead.dev/services/eventing/dispatcher"
	"fairlead.dev/services/eventing/engine"
	"fairlead.dev/services/fairlead/part/address"
	"fairlead.dev/services/fairlead/process"
	"fairlead.dev/services/fairlead/upstream"
	"fairlead.dev/services/internal/apierror"
)

// Part takes events in and delivers them.
type Part struct {
	process    *process.Process
	source     upstream.Source
	addresses  address.Pair
	embedded   bool
	natsURL    *string
	clusterDNS *string
	conn       *grpc.ClientConn
	engine     *engine.Engine
	dispatcher *dispatcher.Dispatcher
}

// New adds the part to a process. embedded tells that a NATS may run in the process.
func New(p *process.Process, source upstream.Source, embedded bool) {
	f := p.Flags()
	usage := "NATS with JetStream to use; needed"
	if embedded {
		usage = "NATS with JetStream to use; none runs one in the process"
	}
	p.Add(&Part{
		process: p, source: source, embedded: embedded, addresses: address.Broker(f).Open(),
		natsURL:    f.String("nats-url", "", usage),
		clusterDNS: f.String("cluster-dns", "", "host:port of the cluster's DNS, asked for names below svc.cluster.local; none asks the system"),
	})
}

// Validate implements process.Part.
func (d *Part) Validate(f *process.Faults) {
	d.source.Validate(f)
	if *d.natsURL == "" && !d.embedded {
		f.Addf("nats-url", "is empty; a JetStream inside a process is for one process: run a NATS of 2.12 or newer with JetStream and name it")
	}
}

// Open implements process.Part.
func (d *Part) Open(context.Context) error {
	p := d.process
	cfg := engine.DefaultConfig(filepath.Join(p.DataDir(), "jetstream"))
	cfg.URL, cfg.Installation = *d.natsURL, p.Installation()
	var err error
	if d.engine, err = engine.Open(cfg, p.Log()); err != nil {
		return fmt.Errorf("JetStream: %w", err)
	}
	p.OnClose(func() error { d.engine.Close(); return nil })
	if d.conn, err = d.source.Connect(); err != nil {
		return fmt.Errorf("dispatcher: %w", err)
	}
	p.OnClose(d.conn.Close)
	listeners := []net.Listener{d.addresses.Listen.Listener()}
	if l := d.addresses.PodListen.Listener(); l != nil {
		listeners = append(listeners, l)
	}
	dc := dispatcher.DefaultConfig()
	dc.ClusterDNS = *d.clusterDNS
	if *d.natsURL != "" { // others may be there
		dc.Name = uniqueName()
	}
	d.dispatcher, err = dispatcher.New(dc, dispatcher.Deps{
		Conn: d.conn, Engine: d.engine, Listeners: listeners, Log: p.Log(), Metrics: p.Metrics(),
	})
	return err //nolint:wrapcheck // says it all
}

// uniqueName tells this dispatcher from others of the installation.
func uniqueName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "dispatcher"
	}
	return host + "-" + strings.ToLower(rand.Text()[:6])
}

// engineEvery is how often it is looked whether the engine takes events.
const engineEvery = 2 * time.Second

// Start implements process.Part.
func (d *Part) Start(t *process.Tiers) {
	d.process.Checks().Add(d.source.Checks(d.conn)...)
	d.process.Checks().Add(process.Check{
		Name: "jetstream", Probe: d.takes, Every: engineEvery, Services: []string{"fairlead.eventing.v1.DispatcherService"},
	})
	t.Front.Run("dispatcher", d.dispatcher.Run)
}

func (d *Part) takes(ctx context.Context) error {
	if err := d.dispatcher.Ready(ctx); err != nil {
		return apierror.Unavailable(engineEvery, "%s", err.Error()).Wrap(err)
	}
	return nil
}
