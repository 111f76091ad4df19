// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package eventing is the part of a process that serves eventing.
package eventing

import (
	"context"

	"fairlead.dev/services/eventing"
	"fairlead.dev/services/fairlead/part/address"
	"fairlead.dev/services/fairlead/platform"
	"fairlead.dev/services/fairlead/process"
)

// Part serves eventing.
type Part struct {
	base      *platform.Platform
	addresses address.Pair
	server    *eventing.Server
}

// New adds the part to a process.
func New(p *process.Process, base *platform.Platform) {
	base.Serve("eventing.knative.dev")
	p.Add(&Part{base: base, addresses: address.Broker(p.Flags())})
}

// Validate implements process.Part.
func (e *Part) Validate(*process.Faults) {}

// Open implements process.Part.
func (e *Part) Open(context.Context) error {
	c := eventing.DefaultConfig()
	c.IngressURL = "http://" + e.addresses.Listen.Reachable()
	if !e.addresses.PodListen.Empty() {
		c.ClusterIngressURL = "http://" + e.addresses.PodListen.String()
	}
	p := e.base.Process()
	var err error
	e.server, err = eventing.New(c, eventing.Deps{
		Store: e.base.Store(), Kube: e.base.Kube(), Log: p.Log(),
		Lease: e.base.Lease(), Dial: e.base.Peers().Dial, Tracer: p.Tracer(),
	})
	if err != nil {
		return err //nolint:wrapcheck // says it all
	}
	return e.base.Register(e.server)
}

// Start implements process.Part.
func (e *Part) Start(t *process.Tiers) { t.Work.Run("eventing", e.server.Run) }
