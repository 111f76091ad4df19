// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"fairlead.dev/services/gateway"
	"fairlead.dev/services/internal/certs"
)

// listeners are where the process takes requests in. They are opened first, so that a port that is taken is said before
// anything else happens.
type listeners struct {
	https, http, grpc, metrics net.Listener
	router, broker             []net.Listener
}

// tlsSetup is the certificate of the front door.
type tlsSetup struct {
	config *tls.Config
	ca     []byte
}

// forGRPC returns the TLS of the gRPC address: none on loopback.
func (t *tlsSetup) forGRPC(address string) *tls.Config {
	if loopback(address) {
		return nil
	}
	return t.config
}

func (s *server) listen(ctx context.Context) error {
	host, _, err := net.SplitHostPort(s.cfg.HTTPSListen)
	if err != nil {
		return fmt.Errorf("--https-listen: %w", err)
	}
	hosts := []string{"localhost", "127.0.0.1", "::1"}
	if ip := net.ParseIP(host); host != "" && (ip == nil || !ip.IsUnspecified()) {
		hosts = append(hosts, host)
	}
	s.tls = &tlsSetup{}
	if s.tls.config, s.tls.ca, err = certs.Server(certs.In(filepath.Join(s.cfg.DataDir, "tls")), hosts, time.Now()); err != nil {
		return err //nolint:wrapcheck // says it all
	}
	var errs []error
	open := func(flag, address string) net.Listener {
		if address == "" {
			return nil
		}
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		if err != nil {
			errs = append(errs, fmt.Errorf("--%s %s: %w; end what listens there, or choose another port", flag, address, err))
			return nil
		}
		s.onClose(func() error {
			if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("close %s: %w", address, err)
			}
			return nil
		})
		return l
	}
	several := func(flag, address, podFlag, podAddress string) []net.Listener {
		var ls []net.Listener
		if l := open(flag, address); l != nil {
			ls = append(ls, l)
		}
		if l := open(podFlag, podAddress); l != nil {
			ls = append(ls, l)
		}
		return ls
	}
	s.listeners = listeners{
		https:   open("https-listen", s.cfg.HTTPSListen),
		http:    open("http-listen", s.cfg.HTTPListen),
		grpc:    open("grpc-listen", s.cfg.GRPCListen),
		metrics: open("metrics-listen", s.cfg.MetricsListen),
		router:  several("router-listen", s.cfg.RouterListen, "router-pod-listen", s.cfg.RouterPodListen),
		broker:  several("broker-listen", s.cfg.BrokerListen, "broker-pod-listen", s.cfg.BrokerPodListen),
	}
	return errors.Join(errs...)
}

// frontDoors are the listeners of the gateway.
func (s *server) frontDoors() []gateway.Listener {
	doors := []gateway.Listener{{Listener: s.listeners.https, TLS: s.tls.config}}
	if s.listeners.http != nil {
		doors = append(doors, gateway.Listener{Listener: s.listeners.http})
	}
	return doors
}
