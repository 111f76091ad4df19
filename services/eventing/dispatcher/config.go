// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatcher

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Config configures a Dispatcher.
type Config struct {
	// Name tells this dispatcher from others of the installation; `dispatcher` by default.
	Name string
	// MaxBodyBytes is the largest body that the ingress takes and that a subscriber may reply; 1 MiB by default.
	MaxBodyBytes int64
	// PublishTimeout bounds how long a sender waits for its events to be kept; 15 s by default.
	PublishTimeout time.Duration
	// Concurrency is how many events of one trigger are sent at a time; 32 by default.
	Concurrency int
	// MaxBackoff bounds the wait between two tries, however many there were; 10 minutes by default.
	MaxBackoff time.Duration
	// MaxRetryAfter bounds the wait that a subscriber can ask for; 1 h by default.
	MaxRetryAfter time.Duration
	// OrphanGrace is how long the events of a broker are kept that went while the dispatcher was not there to see it, or that
	// etcd has lost; 24 h by default. 0 means that they go at once.
	OrphanGrace time.Duration
	// Grace is how long deliveries under way may go on when the dispatcher ends; 10 s by default.
	Grace time.Duration
	// ClusterDNS is the address of the cluster's DNS server, such as `10.96.0.10:53`, for a dispatcher outside of the
	// cluster. Empty, the default, means that the system resolves all names.
	ClusterDNS string
	// ClusterDomain ends the names that ClusterDNS resolves; `cluster.local` by default.
	ClusterDomain string
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		Name:           "dispatcher",
		MaxBodyBytes:   1 << 20,
		PublishTimeout: 15 * time.Second,
		Concurrency:    32,
		MaxBackoff:     10 * time.Minute,
		MaxRetryAfter:  time.Hour,
		OrphanGrace:    24 * time.Hour,
		Grace:          10 * time.Second,
		ClusterDomain:  "cluster.local",
	}
}

// Validate tells everything that is wrong with c.
func (c Config) Validate() error {
	var errs []error
	if c.Name == "" {
		errs = append(errs, errors.New("name: must not be empty"))
	}
	if c.MaxBodyBytes < 1024 {
		errs = append(errs, fmt.Errorf("maxBodyBytes: %d is less than 1024", c.MaxBodyBytes))
	}
	if c.Concurrency < 1 {
		errs = append(errs, fmt.Errorf("concurrency: %d is less than 1", c.Concurrency))
	}
	for name, d := range map[string]time.Duration{
		"publishTimeout": c.PublishTimeout, "maxBackoff": c.MaxBackoff, "maxRetryAfter": c.MaxRetryAfter,
	} {
		if d <= 0 {
			errs = append(errs, fmt.Errorf("%s: %s is not above 0", name, d))
		}
	}
	if c.Grace < 0 {
		errs = append(errs, fmt.Errorf("grace: %s is less than 0", c.Grace))
	}
	if c.OrphanGrace < 0 {
		errs = append(errs, fmt.Errorf("orphanGrace: %s is less than 0", c.OrphanGrace))
	}
	if c.ClusterDNS != "" {
		if _, err := netip.ParseAddrPort(c.ClusterDNS); err != nil {
			errs = append(errs, fmt.Errorf("clusterDNS: %q is no address with a port such as 10.96.0.10:53", c.ClusterDNS))
		}
		if c.ClusterDomain == "" {
			errs = append(errs, errors.New("clusterDomain: must not be empty"))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("dispatcher: %w", err)
	}
	return nil
}
