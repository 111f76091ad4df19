// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/health"

	"fairlead.dev/services/internal/audit"
)

// Defaults of Config.
const (
	// DefaultMaxMessageBytes leaves room for a list of objects, each of at most 1 MiB, to be sent to us in one patch or apply.
	DefaultMaxMessageBytes = 4<<20 + 64<<10
	// DefaultMaxConcurrentStreams is high since the gateway brings the watches of all its callers over one connection.
	DefaultMaxConcurrentStreams = 10_000
	// DefaultUnaryTimeout is how long a call may take whose caller sets no deadline.
	DefaultUnaryTimeout = 60 * time.Second
	// DefaultKeepaliveInterval is after how much silence a peer is asked whether it is still there.
	DefaultKeepaliveInterval = 30 * time.Second
	// DefaultMinPingInterval is how often a client may ask whether we are still there.
	DefaultMinPingInterval = 10 * time.Second
)

// Config says how a server is assembled. Zero values mean the defaults.
type Config struct {
	// Log gets a line for each call.
	Log *slog.Logger
	// Metrics gets counters and durations of calls; nil means that none are kept.
	Metrics prometheus.Registerer
	// Authn tells who callers are. Needed.
	Authn Authenticator
	// Authz tells what they may do. Needed.
	Authz Authorizer
	// Health is what the health service answers from; nil means that the server is healthy as long as it serves.
	Health *health.Server
	// TLS is how connections are secured; nil means not at all, which is for loopback only.
	TLS *tls.Config
	// ClientCAs returns the authorities whose client certificates are believed, as they are at the time of a handshake.
	// A certificate of theirs with the organisation system:fairlead:services is one of our own services', and needs no
	// token. Nil means that certificates give no identity.
	ClientCAs func() *x509.CertPool
	// Clients tells whom client certificates of people stand for; it needs ClientCAs. Nil means nobody.
	Clients Clients
	// Audit gets who did what; nil means that nothing is kept.
	Audit *audit.Log
	// Limits shares the server among its users; nil means that there are no limits.
	Limits Limits
	// TracerProvider makes a span of each call; nil means that none are made.
	TracerProvider trace.TracerProvider
	// MaxMessageBytes is the size of the largest request.
	MaxMessageBytes int
	// MaxConcurrentStreams is how many calls one connection may have going.
	MaxConcurrentStreams uint32
	// UnaryTimeout is how long a unary call may take whose caller sets no deadline.
	UnaryTimeout time.Duration
	// KeepaliveInterval is after how much silence a client is asked whether it is still there.
	KeepaliveInterval time.Duration
	// MinPingInterval is how often a client may ask whether we are still there; connections that ask more often are closed.
	MinPingInterval time.Duration
}

// DefaultConfig returns a Config with every limit set.
func DefaultConfig() Config { return Config{}.withDefaults() }

func (c Config) withDefaults() Config {
	c.MaxMessageBytes = cmp.Or(c.MaxMessageBytes, DefaultMaxMessageBytes)
	c.MaxConcurrentStreams = cmp.Or(c.MaxConcurrentStreams, DefaultMaxConcurrentStreams)
	c.UnaryTimeout = cmp.Or(c.UnaryTimeout, DefaultUnaryTimeout)
	c.KeepaliveInterval = cmp.Or(c.KeepaliveInterval, DefaultKeepaliveInterval)
	c.MinPingInterval = cmp.Or(c.MinPingInterval, DefaultMinPingInterval)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Validate tells every fault of the configuration.
func (c Config) Validate() error {
	var faults []error
	if c.Authn == nil {
		faults = append(faults, errors.New("authn: needed, since every call but health, reflection and open methods has a known caller"))
	}
	if c.Authz == nil {
		faults = append(faults, errors.New("authz: needed, since what nobody allows is denied"))
	}
	if c.MaxMessageBytes < 0 {
		faults = append(faults, fmt.Errorf("maxMessageBytes: %d must not be negative", c.MaxMessageBytes))
	}
	durations := []struct {
		name  string
		value time.Duration
	}{
		{"unaryTimeout", c.UnaryTimeout},
		{"keepaliveInterval", c.KeepaliveInterval},
		{"minPingInterval", c.MinPingInterval},
	}
	for _, d := range durations {
		if d.value < 0 {
			faults = append(faults, fmt.Errorf("%s: %s must not be negative", d.name, d.value))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("rpc: %w", err)
	}
	return nil
}
