// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"regexp"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"fairlead.dev/services/internal/wire"
)

var serviceUsers = regexp.MustCompile("^" + regexp.QuoteMeta(wire.ServiceUserPrefix) + "[a-z0-9-]{1,50}$")

// forwardedKeys are what a gateway adds to the calls that it makes for others.
func forwardedKeys() []string { return []string{"x-forwarded-for", "x-forwarded-host"} }

// ownCall tells whether one of our services may call for itself: what comes with a token, even one that is none, is the
// token's; and what a gateway hands on is never the gateway's own.
func ownCall(md metadata.MD) bool {
	for _, key := range append(forwardedKeys(), AuthorizationKey) {
		if len(md.Get(key)) > 0 {
			return false
		}
	}
	return true
}

// shown returns the certificates that the other end of the connection has shown, its own first, and the ways by which they
// lead to authorities that are believed, though not all for the same.
func shown(ctx context.Context) (certs []*x509.Certificate, chains [][]*x509.Certificate) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil, nil
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 {
		return nil, nil
	}
	return info.State.PeerCertificates, info.State.VerifiedChains
}

// serviceOf returns which of our services has shown a certificate that was verified, and the certificate; empty if none
// has, or it does not hold. Authorities of people are believed beside ours, and must not name services: that the chain
// leads to one of ours is looked at here.
func serviceOf(chains [][]*x509.Certificate, ours func() *x509.CertPool, now time.Time) (string, *x509.Certificate) {
	if ours == nil {
		return "", nil
	}
	for _, chain := range chains {
		cert, root := chain[0], chain[len(chain)-1]
		name := cert.Subject.CommonName
		if !slices.Contains(cert.Subject.Organization, wire.GroupServices) || !serviceUsers.MatchString(name) {
			return "", nil
		}
		holds := !slices.ContainsFunc(chain, func(c *x509.Certificate) bool { return now.Before(c.NotBefore) || !now.Before(c.NotAfter) })
		// A root that is in the pool verifies without a signature being looked at.
		_, err := root.Verify(x509.VerifyOptions{Roots: ours(), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
		if holds && err == nil {
			return strings.TrimPrefix(name, wire.ServiceUserPrefix), cert
		}
	}
	return "", nil
}

func serviceIdentity(service string, cert *x509.Certificate) *Identity {
	return &Identity{
		User: wire.ServiceUserPrefix + service, Groups: []string{wire.GroupServices}, Expires: cert.NotAfter, Source: SourceCertificate,
	}
}

// askForCertificates has a server take certificates of authorities, and refuse those of others. Who has none is let
// through.
func askForCertificates(cfg *tls.Config, ours func() *x509.CertPool, clients Clients) *tls.Config {
	authorities := func() *x509.CertPool {
		pool := ours()
		if clients == nil {
			return pool
		}
		pool = pool.Clone()
		for _, c := range clients.ClientCAs() {
			pool.AddCert(c)
		}
		return pool
	}
	out := cfg.Clone()
	out.ClientAuth, out.SessionTicketsDisabled = tls.VerifyClientCertIfGiven, true
	out.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		base := cfg
		if cfg.GetConfigForClient != nil {
			switch c, err := cfg.GetConfigForClient(hello); {
			case err != nil:
				return nil, err
			case c != nil:
				base = c
			}
		}
		c := base.Clone()
		c.GetConfigForClient = nil
		c.ClientAuth, c.SessionTicketsDisabled = tls.VerifyClientCertIfGiven, true // a resumed session is not verified anew
		c.ClientCAs = authorities()
		return c, nil
	}
	return out
}
