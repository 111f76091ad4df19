// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package serving

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"fairlead.dev/services/serving/autoscaler"
)

// maxTimeoutSeconds is the most that a revision may ask for.
const maxTimeoutSeconds = 600

// Config configures serving.
type Config struct {
	// Domain is what the hosts of routes end with: NAME.NAMESPACE.DOMAIN.
	Domain string
	// Port is where the router answers from outside the cluster; it is part of status.url unless it is 80.
	Port int
	// RouterPodAddress is the IP and the port at which pods reach the router. It stands behind the cluster-local names of routes;
	// with none, those names are not made.
	RouterPodAddress string
	// DefaultTimeoutSeconds is the timeout of revisions that state none.
	DefaultTimeoutSeconds int64
	// ProgressDeadline is how long a new revision has to become ready where its annotation does not say.
	ProgressDeadline time.Duration
	// DrainDelay is how long a pod goes on serving after it was told to go: until every router knows. Whole seconds.
	DrainDelay time.Duration
	// AllowNodePower lets revisions have pod fields that give power over a node, such as privileged or hostPath.
	AllowNodePower bool
	// Autoscaler holds what revisions' annotations do not say.
	Autoscaler autoscaler.Config
	// Workers is how many objects of a kind are reconciled at a time.
	Workers int
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		Domain: "localhost", Port: 8000,
		DefaultTimeoutSeconds: 300, ProgressDeadline: 10 * time.Minute, DrainDelay: 5 * time.Second,
		Autoscaler: autoscaler.DefaultConfig(), Workers: 4,
	}
}

// Validate tells every fault in the configuration.
func (c Config) Validate() error {
	var errs []error
	for _, problem := range validation.IsDNS1123Subdomain(c.Domain) {
		errs = append(errs, fmt.Errorf("serving: domain %q: %s", c.Domain, problem))
	}
	if c.Port < 0 || c.Port > 65535 {
		errs = append(errs, fmt.Errorf("serving: port is %d; it must be between 0 and 65535", c.Port))
	}
	if _, err := c.routerPodAddress(); err != nil {
		errs = append(errs, err)
	}
	if c.DefaultTimeoutSeconds < 1 || c.DefaultTimeoutSeconds > maxTimeoutSeconds {
		errs = append(errs, fmt.Errorf("serving: defaultTimeoutSeconds is %d; it must be between 1 and %d", c.DefaultTimeoutSeconds, maxTimeoutSeconds))
	}
	if c.ProgressDeadline < time.Second {
		errs = append(errs, fmt.Errorf("serving: progressDeadline is %s; it must be at least 1s", c.ProgressDeadline))
	}
	if c.DrainDelay < 0 || c.DrainDelay%time.Second != 0 {
		errs = append(errs, fmt.Errorf("serving: drainDelay is %s; it must be a whole number of seconds", c.DrainDelay))
	}
	if c.Workers < 1 {
		errs = append(errs, fmt.Errorf("serving: workers is %d; it must be at least 1", c.Workers))
	}
	return errors.Join(append(errs, c.Autoscaler.Validate())...)
}

func (c Config) routerPodAddress() (netip.AddrPort, error) {
	if c.RouterPodAddress == "" {
		return netip.AddrPort{}, nil
	}
	address, err := netip.ParseAddrPort(c.RouterPodAddress)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("serving: routerPodAddress %q is not an IP address and a port: %w", c.RouterPodAddress, err)
	}
	return address, nil
}
