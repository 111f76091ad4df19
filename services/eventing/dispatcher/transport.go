// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatcher

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

const dialTimeout = 10 * time.Second

// newTransport returns the transport by which subscribers are reached. It knows no proxies: subscribers are neighbours.
func newTransport(cfg Config) *http.Transport {
	d := &dialer{domain: "." + cfg.ClusterDomain}
	if cfg.ClusterDNS != "" {
		d.cluster = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return d.direct.DialContext(ctx, network, cfg.ClusterDNS)
		}}
	}
	d.direct.Timeout = dialTimeout
	return &http.Transport{
		DialContext:         d.dial,
		TLSHandshakeTimeout: dialTimeout,
		MaxIdleConnsPerHost: cfg.Concurrency,
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true, // data is passed on as it is
		ForceAttemptHTTP2:   true,
	}
}

// dialer resolves the cluster's names by the cluster's DNS server, and those below localhost by what they mean.
type dialer struct {
	direct  net.Dialer
	cluster *net.Resolver // nil where the system knows the cluster's names
	domain  string
}

func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	switch {
	case strings.HasSuffix(host, ".localhost"):
		return d.direct.DialContext(ctx, network, net.JoinHostPort("localhost", port))
	case d.cluster == nil || !strings.HasSuffix(host, d.domain):
		return d.direct.DialContext(ctx, network, address)
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	addresses, err := d.cluster.LookupNetIP(ctx, "ip", host+".")
	if err != nil {
		return nil, fmt.Errorf("cluster DNS: %w", err)
	}
	return d.first(ctx, network, addresses, port)
}

// first connects to the first address that answers.
func (d *dialer) first(ctx context.Context, network string, addresses []netip.Addr, port string) (conn net.Conn, err error) {
	for _, a := range addresses {
		conn, err = d.direct.DialContext(ctx, network, net.JoinHostPort(a.Unmap().String(), port))
		if err == nil {
			return conn, nil
		}
	}
	return nil, err
}
