// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"slices"

	"fairlead.dev/services/internal/certs"
)

// tlsFlags say where certificates are and what for.
type tlsFlags struct {
	dir   *string
	hosts *[]string

	more      []func() []string
	authority *certs.Authority
	leaf      *certs.Leaf
}

func newTLSFlags(f *Flags) tlsFlags {
	return tlsFlags{
		dir:   f.String("tls-dir", "", "folder of the installation's authority and certificates, shared by its processes (default DATA-DIR/tls)"),
		hosts: f.Strings("tls-host", "further name or address by which this process is reached, for its certificate; may be repeated"),
	}
}

// openTLS opens the authority and the process's own certificate.
func (p *Process) openTLS() error {
	var err error
	if p.tls.authority, err = certs.Open(cmp.Or(*p.tls.dir, filepath.Join(p.DataDir(), "tls")), p.log); err != nil {
		return err //nolint:wrapcheck // says it all
	}
	p.tls.leaf, err = p.tls.authority.Leaf(p.Name(), p.hosts())
	return err //nolint:wrapcheck // says it all
}

// Certify has the process's certificate be for further names, which are asked for once the flags are known.
func (p *Process) Certify(names func() []string) { p.tls.more = append(p.tls.more, names) }

// hosts are the names and addresses by which the process is reached.
func (p *Process) hosts() []string {
	hosts := append([]string{"localhost", "127.0.0.1", "::1"}, *p.tls.hosts...)
	for _, more := range p.tls.more {
		hosts = append(hosts, more()...)
	}
	if name, err := os.Hostname(); err == nil && name != "" {
		hosts = append(hosts, name)
	}
	for _, a := range p.flags.addresses {
		if (a.open || a.certify) && !a.Empty() && !a.Everywhere() {
			hosts = append(hosts, a.Host())
		}
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

func (p *Process) runTLS(ctx context.Context) error {
	return p.tls.authority.Run(ctx) //nolint:wrapcheck // the tier names it
}

// CA is the certificates of the installation's authorities, in PEM.
func (p *Process) CA() []byte { return p.tls.authority.CA() }

// ClientCAs are the authorities whose services are believed.
func (p *Process) ClientCAs() *x509.CertPool { return p.tls.authority.Pool() }

// ServerTLS is the TLS of a server in this process; services makes it ask services for their certificates.
func (p *Process) ServerTLS(services bool) *tls.Config { return p.tls.leaf.Server(services) }

// DoorTLS is the TLS of a front door: it asks for certificates of clients, which whoever answers has to verify, since they
// may be of nobody who is known, and come with a token.
func (p *Process) DoorTLS() *tls.Config {
	c := p.tls.leaf.Server(false)
	c.ClientAuth = tls.RequestClientCert
	return c
}

// AllInOne is the name of the process that has all services in it.
const AllInOne = "server"

// ClientTLS is the TLS of a client in this process, which is known to the server as this service. The server must be one of
// the services, or all in one.
func (p *Process) ClientTLS(services ...string) *tls.Config {
	return p.tls.leaf.Client(append(services, AllInOne)...)
}

// CallersTLS is the TLS of a client that calls in others' names: the server does not learn which service it is. The server
// must be one of the services, or all in one.
func (p *Process) CallersTLS(services ...string) *tls.Config {
	return p.tls.authority.ClientTLS(append(services, AllInOne)...)
}
