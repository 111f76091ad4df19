// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"regexp"
	"slices"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"fairlead.dev/services/internal/wire"
)

var serviceUsers = regexp.MustCompile("^" + regexp.QuoteMeta(wire.ServiceUserPrefix) + "[a-z0-9-]{1,50}$")

// forwardedKeys are what a gateway adds to the calls that it makes for others.
func forwardedKeys() []string { return []string{"x-forwarded-for", "x-forwarded-host"} }

// ofCertificate returns which of our services calls, by the certificate of its connection; nil if none does. What comes
// with a token, even one that is none, is the token's; and what a gateway hands on is never the gateway's own.
func ofCertificate(ctx context.Context, now time.Time) *Identity {
	if md, ok := metadata.FromIncomingContext(ctx); ok {
		for _, key := range append(forwardedKeys(), AuthorizationKey) {
			if len(md.Get(key)) > 0 {
				return nil
			}
		}
	}
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 {
		return nil
	}
	return serviceOf(info.State.VerifiedChains[0][0], now)
}

// serviceOf returns the service that a verified certificate names; nil if it names none, or does not hold.
func serviceOf(cert *x509.Certificate, now time.Time) *Identity {
	name := cert.Subject.CommonName
	if now.Before(cert.NotBefore) || !now.Before(cert.NotAfter) ||
		!slices.Contains(cert.Subject.Organization, wire.GroupServices) || !serviceUsers.MatchString(name) {
		return nil
	}
	return &Identity{User: name, Groups: []string{wire.GroupServices}, Expires: cert.NotAfter, Source: SourceCertificate}
}

// askForCertificates has a server take certificates of authorities, and refuse those of others. Who has none is let
// through.
func askForCertificates(cfg *tls.Config, authorities func() *x509.CertPool) *tls.Config {
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
