// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package issuers believes tokens of OpenID Connect issuers, as an AuthenticationConfiguration of Kubernetes says. Each
// issuer is asked for its keys in the background: one that does not answer keeps out its own tokens, and nobody else's.
package issuers

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"fairlead.dev/services/internal/rpc"
)

// Options are what issuers work with.
type Options struct {
	// Own are the issuers of our own tokens, which no configuration may name.
	Own []string
	// Changed is called when keys that were believed no longer are.
	Changed func()
	// Log gets what happens in the background.
	Log *slog.Logger
}

// Set is all issuers that are believed.
type Set struct {
	issuers []*issuer
}

// New makes issuers of a configuration, or tells every fault of it by its field. It asks none of them yet. A nil
// configuration has none.
func New(c *Configuration, o Options) (*Set, error) {
	s := &Set{}
	if c == nil {
		return s, nil
	}
	compiled, err := compile(c, o.Own)
	if err != nil {
		return nil, err
	}
	for _, a := range compiled {
		s.issuers = append(s.issuers, newIssuer(a, o.Log, time.Now, o.Changed))
	}
	return s, nil
}

// Run asks issuers for their keys until ctx ends.
func (s *Set) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, i := range s.issuers {
		wg.Go(func() { i.run(ctx) })
	}
	wg.Wait()
}

// Knows tells whether an issuer is one of those that are believed.
func (s *Set) Knows(url string) bool { return s.find(url) != nil }

func (s *Set) find(url string) *issuer {
	n := slices.IndexFunc(s.issuers, func(i *issuer) bool { return i.url == url })
	if n < 0 {
		return nil
	}
	return s.issuers[n]
}

// Authenticate returns whom a token of an issuer stands for, which must be known. No error holds any part of the token.
func (s *Set) Authenticate(ctx context.Context, url, token string) (*rpc.Identity, error) {
	return s.find(url).authenticate(ctx, token)
}

// Public is what anyone may know of an issuer.
type Public struct {
	URL       string
	Audiences []string
	// Authority is the PEM of the certificates by which it is known; empty for those of the system.
	Authority string
}

// Public tells what anyone may know.
func (s *Set) Public() []Public {
	out := make([]Public, 0, len(s.issuers))
	for _, i := range s.issuers {
		out = append(out, Public{URL: i.url, Audiences: i.audiences, Authority: i.authority})
	}
	return out
}
