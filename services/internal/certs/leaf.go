// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"

	"fairlead.dev/services/internal/wire"
)

var leafNames = regexp.MustCompile(`^[a-z0-9-]{1,50}$`)

// Leaf is the certificate of one service, for both ends of connections.
type Leaf struct {
	authority *Authority
	name      string
	hosts     []string
	current   atomic.Pointer[tls.Certificate]
}

// Leaf returns the certificate of a service, NAME.crt and NAME.key in the authority's folder, which answers for the hosts:
// names or addresses. It is made where it is absent, lacks a host, or is about to end.
func (a *Authority) Leaf(name string, hosts []string) (*Leaf, error) {
	if !leafNames.MatchString(name) || name == "ca" || name == "ca-cross" {
		return nil, fmt.Errorf("certs: %q is no name for a service's certificate: use lower-case letters, digits and -, and not ca", name)
	}
	l := &Leaf{authority: a, name: name, hosts: slices.Clone(hosts)}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.checkLocked([]*Leaf{l}); err != nil {
		return nil, err
	}
	a.leaves = append(a.leaves, l)
	return l, nil
}

// check reads the certificate, makes it anew where that is due, and takes it over.
func (l *Leaf) check(b *bundle) error {
	p := pairIn(l.authority.dir, l.name)
	if err := p.finish(); err != nil {
		return err
	}
	h, err := p.read()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if why := l.due(h, b); why != "" && b.key != nil {
		if h, err = l.issue(p, b, l.hostsWith(h)); err != nil {
			return err
		}
		l.authority.log.Info("certs: made a certificate", "file", p.cert, "why", why, "until", h.certs[0].NotAfter)
	} else if why != "" {
		err := fmt.Errorf("certs: %s: %s, and there is no ca.key beside it to sign a new one: put a new certificate and its key there", p.cert, why)
		if h == nil || h.key == nil || !l.authority.now().Before(h.certs[0].NotAfter) {
			return err
		}
		l.authority.log.Error("certs: a certificate has to be renewed by hand", "error", err)
	}
	pair := &tls.Certificate{PrivateKey: h.key, Leaf: h.certs[0]}
	for _, c := range h.certs {
		pair.Certificate = append(pair.Certificate, c.Raw)
	}
	l.current.Store(pair)
	return nil
}

// due tells why the certificate must be made anew; empty where it need not.
func (l *Leaf) due(h *held, b *bundle) string {
	if h == nil || h.key == nil {
		return "there is none"
	}
	cert := h.certs[0]
	if l.authority.now().After(cert.NotAfter.Add(-leafRenewal)) {
		return "it is about to end"
	}
	if cert.CheckSignatureFrom(b.certs[0]) != nil {
		return "it is not signed by the authority"
	}
	if cert.Subject.CommonName != wire.ServiceUserPrefix+l.name || !slices.Contains(cert.Subject.Organization, wire.GroupServices) {
		return "it names another service"
	}
	for _, host := range l.hosts {
		if cert.VerifyHostname(host) != nil {
			return "it is not for " + host
		}
	}
	return ""
}

// hostsWith returns the hosts, and those that the certificate before had: another process that wants them would have it
// made anew, and this one again, without end.
func (l *Leaf) hostsWith(h *held) []string {
	hosts := slices.Clone(l.hosts)
	if h != nil {
		hosts = append(hosts, h.certs[0].DNSNames...)
		for _, ip := range h.certs[0].IPAddresses {
			hosts = append(hosts, ip.String())
		}
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

func (l *Leaf) issue(p pair, b *bundle, hosts []string) (*held, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("certs: %w", err)
	}
	template, err := newTemplate(l.authority.now(), leafLife)
	if err != nil {
		return nil, err
	}
	template.Subject = pkix.Name{CommonName: wire.ServiceUserPrefix + l.name, Organization: []string{wire.GroupServices}}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, b.certs[0], key.Public(), b.key)
	if err != nil {
		return nil, fmt.Errorf("certs: %w", err)
	}
	ders := [][]byte{der}
	if b.cross != nil {
		ders = append(ders, b.cross)
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return nil, err
	}
	if err := p.write(encodeCertificates(ders...), keyPEM); err != nil {
		return nil, err
	}
	return p.read()
}

// Server returns the TLS of a server that answers with the certificate as it is at each handshake. With clientAuth it
// takes certificates of this installation's services, and refuses those of others; who sends none is let through.
func (l *Leaf) Server(clientAuth bool) *tls.Config {
	base := &tls.Config{
		MinVersion:     tls.VersionTLS12,
		Time:           l.authority.now,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return l.current.Load(), nil },
	}
	if !clientAuth {
		return base
	}
	base.ClientAuth = tls.VerifyClientCertIfGiven
	base.SessionTicketsDisabled = true // a resumed session would be believed by an authority that has gone
	base.VerifyConnection = func(c tls.ConnectionState) error {
		if len(c.PeerCertificates) > 0 && c.Version < tls.VersionTLS13 {
			return errors.New("certs: services speak TLS 1.3 among each other")
		}
		return nil
	}
	base.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		c := base.Clone()
		c.GetConfigForClient = nil
		c.ClientCAs = l.authority.Pool()
		return c, nil
	}
	return base
}

// Client returns the TLS of a client that shows the certificate, and takes a server for one of this installation's
// services by its certificate: of the authority, of the organisation, for one of the services meant, whose names are those
// of Leaf, and for the host it was dialed by. With no service named each is taken.
func (l *Leaf) Client(services ...string) *tls.Config {
	c := l.authority.ClientTLS(services...)
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return l.current.Load(), nil }
	return c
}

// ClientTLS is Leaf.Client without a certificate: the calls are nobody's unless they bring a token. What calls on behalf
// of others, as the gateway does, takes this one, so that a caller without a token is not taken for the gateway.
func (a *Authority) ClientTLS(services ...string) *tls.Config {
	services = slices.Clone(services)
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		Time:               a.now,
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection verifies by the authorities of the moment; RootCAs are read once
		VerifyConnection:   func(c tls.ConnectionState) error { return a.verifyServer(c, services) },
	}
}

// verifyServer verifies that the server is one of the services. That it is for the host it was dialed by does not tell: those
// of one machine are all for its addresses.
func (a *Authority) verifyServer(c tls.ConnectionState, services []string) error {
	if len(c.PeerCertificates) == 0 {
		return errors.New("certs: the server sent no certificate")
	}
	options := x509.VerifyOptions{
		Roots: a.Pool(), Intermediates: x509.NewCertPool(), DNSName: c.ServerName, CurrentTime: a.now(),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, cert := range c.PeerCertificates[1:] {
		options.Intermediates.AddCert(cert)
	}
	leaf := c.PeerCertificates[0]
	if _, err := leaf.Verify(options); err != nil {
		return fmt.Errorf("certs: the server's certificate: %w; both sides need the ca.crt of the same installation", err)
	}
	if !slices.Contains(leaf.Subject.Organization, wire.GroupServices) {
		return fmt.Errorf("certs: the server's certificate is for %q, which is no service of Fairlead", leaf.Subject)
	}
	name, ok := strings.CutPrefix(leaf.Subject.CommonName, wire.ServiceUserPrefix)
	if len(services) > 0 && (!ok || !slices.Contains(services, name)) {
		return fmt.Errorf("certs: the server's certificate is for %q, where one of these services is meant: %s; check the address",
			leaf.Subject.CommonName, strings.Join(services, ", "))
	}
	return nil
}
