// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package serving is the part of a process that serves serving.
package serving

import (
	"context"

	"fairlead.dev/services/fairlead/part/address"
	"fairlead.dev/services/fairlead/platform"
	"fairlead.dev/services/fairlead/process"
	"fairlead.dev/services/serving"
)

// Part serves serving.
type Part struct {
	base      *platform.Platform
	domain    *string
	addresses address.Pair
	nodePower *bool
	server    *serving.Server
}

// New adds the part to a process.
func New(p *process.Process, base *platform.Platform) {
	f := p.Flags()
	part := &Part{base: base, addresses: address.Router(f)}
	part.domain = f.String("domain", "localhost", "domain of services: NAME.NAMESPACE.DOMAIN")
	part.nodePower = base.NodePower()
	base.Serve("serving.knative.dev")
	p.Add(part)
}

// Validate implements process.Part.
func (s *Part) Validate(*process.Faults) {}

// Open implements process.Part.
func (s *Part) Open(context.Context) error {
	c := serving.DefaultConfig()
	c.Domain, c.AllowNodePower = *s.domain, *s.nodePower
	c.Port, c.RouterPodAddress = s.addresses.Listen.Port(), s.addresses.PodListen.String()
	p := s.base.Process()
	var err error
	s.server, err = serving.New(c, serving.Deps{
		Store: s.base.Store(), Kube: s.base.Kube(), Access: s.base.Verifier().Access(), Log: p.Log(), Metrics: p.Metrics(),
		Lease: s.base.Lease(), Dial: s.base.Peers().Dial, Tracer: p.Tracer(),
	})
	if err != nil {
		return err //nolint:wrapcheck // says it all
	}
	return s.base.Register(s.server)
}

// Start implements process.Part.
func (s *Part) Start(t *process.Tiers) { t.Work.Run("serving", s.server.Run) }
