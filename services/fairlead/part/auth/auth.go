// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package auth is the part of a process that serves auth, and what is about the kinds of several services.
package auth

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/auth"
	"fairlead.dev/services/fairlead/platform"
	"fairlead.dev/services/fairlead/process"
	"fairlead.dev/services/internal/apply"
)

// Part serves auth, and makes what the first administrator needs.
type Part struct {
	base                                   *platform.Platform
	publicURL, writeToken, writeKubeconfig *string
	clusterURL                             *string
	door                                   *process.Address
}

// New adds the part to a process. door is where the REST front door listens in the same process, or nil.
func New(p *process.Process, base *platform.Platform, door *process.Address) {
	f := p.Flags()
	part := &Part{base: base, door: door}
	part.publicURL = f.String("public-url", "", "URL at which clients reach the REST front door, for kubeconfigs; none means the --https-listen of the same process")
	part.writeKubeconfig = f.String("write-kubeconfig", "", "file for a kubeconfig of the front door with the admin's token")
	part.writeToken = f.String("write-token", "", "file for the admin's token (default DATA-DIR/token)")
	part.clusterURL = f.String("cluster-url", "", "URL at which clients reach the Kubernetes behind, for kubeconfigs; none means that by which the server does")
	base.Serve(auth.Group)
	p.Add(part)
}

// Validate implements process.Part.
func (a *Part) Validate(f *process.Faults) {
	if *a.clusterURL != "" {
		if u, err := url.Parse(*a.clusterURL); err != nil || u.Scheme != "https" || u.Host == "" {
			f.Addf("cluster-url", "is %q; write a URL such as https://kubernetes.example:6443", *a.clusterURL)
		}
	}
	if *a.publicURL != "" {
		if u, err := url.Parse(*a.publicURL); err != nil || u.Scheme != "https" || u.Host == "" {
			f.Addf("public-url", "is %q; write a URL such as https://fairlead.example:8443", *a.publicURL)
		}
	} else if a.door == nil && *a.writeKubeconfig != "" {
		f.Addf("public-url", "is empty; --write-kubeconfig needs the URL of the gateway")
	}
}

// Open implements process.Part.
func (a *Part) Open(context.Context) error {
	if err := a.base.Register(a.base.Auth()); err != nil {
		return err //nolint:wrapcheck // says it all
	}
	committer, err := apply.NewCommitter(apply.CommitterDeps{
		Store: a.base.Store(), Peers: a.base.Peers(), Kinds: kinds.Versions(), Log: a.base.Process().Log(),
	})
	if err != nil {
		return err //nolint:wrapcheck // says it all
	}
	return a.base.Register(committer) //nolint:wrapcheck // says it all
}

// Start implements process.Part.
func (a *Part) Start(*process.Tiers) {
	p := a.base.Process()
	if to := a.target(); to != "" {
		a.base.Auth().SetKubeconfigTarget(to, p.CA())
	}
	a.base.Auth().SetClusterURL(*a.clusterURL)
	p.Once("its signing keys and the administrator's token", a.firstStart)
}

// target is where kubeconfigs lead.
func (a *Part) target() string {
	switch {
	case *a.publicURL != "":
		return *a.publicURL
	case a.door != nil:
		return "https://" + a.door.Reachable()
	}
	return ""
}

// firstStart writes what the first administrator needs.
func (a *Part) firstStart(ctx context.Context) error {
	p := a.base.Process()
	file := *a.writeToken
	if file == "" {
		file = filepath.Join(p.DataDir(), "token")
	}
	token, made, err := a.base.Auth().EnsureAdminToken(ctx, file)
	if err != nil {
		return err //nolint:wrapcheck // says it all
	}
	if made {
		p.Log().InfoContext(ctx, "made the administrator's token", "file", file)
	}
	if *a.writeKubeconfig == "" {
		return nil
	}
	if err := a.kubeconfig(*a.writeKubeconfig, token); err != nil {
		return fmt.Errorf("kubeconfig: %w", err)
	}
	return nil
}

// kubeconfig writes a kubeconfig of the front door, for its owner's eyes only.
func (a *Part) kubeconfig(file, token string) error {
	text, err := a.base.Auth().Kubeconfig(auth.UserAdmin, "", token)
	if err != nil {
		return err //nolint:wrapcheck // says it all
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err //nolint:wrapcheck // says it all
	}
	return os.WriteFile(file, []byte(text), 0o600) //nolint:wrapcheck // says it all
}
