// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package clientauth tells who callers are by their client certificates, and by the headers of front proxies whose
// certificates it believes. Our own services' certificates are not its matter.
package clientauth

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/rpc"
	"fairlead.dev/services/internal/wire"
)

const reservedPrefix = "system:"

// Authorities are certificates in PEM, of authorities that are believed, as a file or the cluster gives them.
type Authorities struct {
	// PEM is the certificates.
	PEM []byte
	// Cluster tells that they are the cluster's: whom they name is the cluster's own, and may be `system:` something.
	Cluster bool
}

// Set is what is believed at a time.
type Set struct {
	// Clients are the authorities of people's certificates.
	Clients []Authorities
	// Proxies are the front proxies.
	Proxies []Proxy
}

// Trust holds what is believed. It may be changed while it is used.
type Trust struct {
	mu      sync.RWMutex
	set     *verifiedSet
	changed chan struct{}
}

// verifiedSet is a Set that was read. It does not change.
type verifiedSet struct {
	all       *x509.CertPool
	clientCAs []*x509.Certificate
	clients   []authority
	proxies   []proxy
}

type authority struct {
	pool    *x509.CertPool
	cluster bool
}

// New makes a Trust that believes nobody.
func New() *Trust {
	return &Trust{set: &verifiedSet{all: x509.NewCertPool()}, changed: make(chan struct{})}
}

// Set replaces what is believed. Where something cannot be read, all stays as it is.
func (t *Trust) Set(s Set) error {
	next := &verifiedSet{all: x509.NewCertPool()}
	for _, c := range s.Clients {
		pool, certs, err := next.read(c.PEM)
		if err != nil {
			return err
		}
		next.clients = append(next.clients, authority{pool, c.Cluster})
		next.clientCAs = append(next.clientCAs, certs...)
	}
	for _, p := range s.Proxies {
		pool, _, err := next.read(p.PEM)
		if err != nil {
			return err
		}
		next.proxies = append(next.proxies, proxy{Proxy: p.withDefaults(), pool: pool})
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.set = next
	close(t.changed)
	t.changed = make(chan struct{})
	return nil
}

// read reads certificates into a pool of their own, and into that of all.
func (s *verifiedSet) read(data []byte) (*x509.CertPool, []*x509.Certificate, error) {
	certs, err := parse(data)
	if err != nil {
		return nil, nil, err
	}
	pool := x509.NewCertPool()
	for _, c := range certs {
		pool.AddCert(c)
		s.all.AddCert(c)
	}
	return pool, certs, nil
}

// parse reads certificates in PEM: at least one.
func parse(data []byte) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if block.Type != "CERTIFICATE" || err != nil {
			return nil, errors.New("something in it is no certificate in PEM")
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, errors.New("no certificate in PEM is in it")
	}
	return out, nil
}

// Check tells whether certificates can be read.
func Check(data []byte) error {
	_, err := parse(data)
	return err
}

func (t *Trust) current() *verifiedSet {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.set
}

// Pool returns all authorities that are believed now, those of front proxies too.
func (t *Trust) Pool() *x509.CertPool { return t.current().all }

// ClientCAs returns the authorities of people's certificates.
func (t *Trust) ClientCAs() []*x509.Certificate { return t.current().clientCAs }

// Changed returns a channel that is closed when something else is believed.
func (t *Trust) Changed() <-chan struct{} {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.changed
}

// Client returns whom a client certificate stands for, the first of those that a client sent; nil where no authority of
// people has signed it. One that is signed, and says what its authority may not say, is an error.
func (t *Trust) Client(certs []*x509.Certificate, now time.Time) (*rpc.Identity, error) {
	if len(certs) == 0 {
		return nil, nil //nolint:nilnil // nobody, which is an answer
	}
	for _, a := range t.current().clients {
		if verify(a.pool, certs, now) == nil {
			return a.identity(certs[0])
		}
	}
	return nil, nil //nolint:nilnil // nobody, which is an answer
}

func (a authority) identity(cert *x509.Certificate) (*rpc.Identity, error) {
	id := &rpc.Identity{
		User: cert.Subject.CommonName, Groups: slices.Clone(cert.Subject.Organization), Expires: cert.NotAfter,
		Source: rpc.SourceUserCertificate,
	}
	if a.cluster {
		id.Source = rpc.SourceClusterCertificate
	}
	if id.User == "" {
		return nil, apierror.Unauthorized("the client certificate names no user: its common name is empty; use one whose common name is the user")
	}
	if err := allowed(id, a.cluster); err != nil {
		return nil, fmt.Errorf("client certificate: %w", err)
	}
	return id, nil
}

// allowed refuses names that are not the source's to give.
func allowed(id *rpc.Identity, cluster bool) error {
	for _, name := range append([]string{id.User}, id.Groups...) {
		switch {
		case strings.HasPrefix(name, wire.ServiceUserPrefix):
			return apierror.Unauthorized("%q is a name of Fairlead's own services, who have certificates of its own authority; use a certificate of another name", name)
		case !cluster && strings.HasPrefix(name, reservedPrefix):
			return apierror.Unauthorized("%q is a name of the cluster's, and the authority that vouches for it is not; use another name, or have the server take the authority by --cluster-client-ca-file", name)
		}
	}
	return nil
}

// verify tells whether authorities have signed a client certificate, which may bring others that lead to them.
func verify(roots *x509.CertPool, certs []*x509.Certificate, now time.Time) error {
	options := x509.VerifyOptions{
		Roots: roots, Intermediates: x509.NewCertPool(), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for _, c := range certs[1:] {
		options.Intermediates.AddCert(c)
	}
	_, err := certs[0].Verify(options)
	return err //nolint:wrapcheck // only whether
}
