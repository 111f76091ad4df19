// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package build is the part of a process that serves build.
package build

import (
	"context"
	"time"

	"fairlead.dev/services/build"
	"fairlead.dev/services/fairlead/platform"
	"fairlead.dev/services/fairlead/process"
)

// Part serves build.
type Part struct {
	base               *platform.Platform
	stepImage          *string
	insecureRegistries *[]string
	pullTimeout        *time.Duration
	nodePower          *bool
	server             *build.Server
}

// New adds the part to a process.
func New(p *process.Process, base *platform.Platform) {
	f := p.Flags()
	part := &Part{base: base}
	part.stepImage = f.String("step-image", "", "image of the binary that orders the steps of builds, as nodes reach it; needed")
	part.insecureRegistries = f.Strings("insecure-registry", "registry to speak to without TLS; may be repeated")
	part.pullTimeout = f.Duration("image-pull-timeout", time.Minute, "how long a build waits for an image that cannot be pulled")
	part.nodePower = base.NodePower()
	base.Serve("build.knative.dev")
	p.Add(part)
}

// Validate implements process.Part.
func (b *Part) Validate(f *process.Faults) {
	if *b.stepImage == "" {
		f.Addf("step-image", "is empty; push the image with 'go run fairlead.dev/services/build/images/publish' and give what it prints")
	}
	if *b.pullTimeout <= 0 {
		f.Addf("image-pull-timeout", "is %s; it must be above 0", *b.pullTimeout)
	}
}

// Open implements process.Part.
func (b *Part) Open(context.Context) error {
	c := build.DefaultConfig()
	c.StepImage, c.PullTimeout = *b.stepImage, *b.pullTimeout
	c.InsecureRegistries, c.AllowNodePower = *b.insecureRegistries, *b.nodePower
	p := b.base.Process()
	var err error
	b.server, err = build.New(c, build.Deps{
		Store: b.base.Store(), Kube: b.base.Kube(), Access: b.base.Verifier().Access(), Log: p.Log(), Metrics: p.Metrics(),
		Lease: b.base.Lease(), Tracer: p.Tracer(),
	})
	if err != nil {
		return err //nolint:wrapcheck // says it all
	}
	return b.base.Register(b.server)
}

// Start implements process.Part.
func (b *Part) Start(t *process.Tiers) { t.Work.Run("build", b.server.Run) }
