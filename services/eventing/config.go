// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package eventing

import (
	"errors"
	"fmt"
	"net/url"
	"time"
)

// Config configures the service.
type Config struct {
	// IngressURL is where the machine reaches the dispatcher's ingress; `http://127.0.0.1:8090` by default.
	IngressURL string
	// ClusterIngressURL is where pods reach it, such as `http://10.244.0.1:8090`; empty, the default, where they cannot. It
	// is what brokers have as their address, and IngressURL where it is empty.
	ClusterIngressURL string
	// ClusterDomain ends the names of Kubernetes Services; `cluster.local` by default.
	ClusterDomain string
	// DispatcherGrace is how long brokers and triggers stay as they are when no dispatcher is connected; 15 s by default.
	DispatcherGrace time.Duration
	// Workers is how many brokers, and how many triggers, are looked at at a time; 4 by default.
	Workers int
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		IngressURL:      "http://127.0.0.1:8090",
		ClusterDomain:   "cluster.local",
		DispatcherGrace: 15 * time.Second,
		Workers:         4,
	}
}

// Validate tells everything that is wrong with c.
func (c Config) Validate() error {
	var errs []error
	for name, v := range map[string]string{"ingressURL": c.IngressURL, "clusterIngressURL": c.ClusterIngressURL} {
		if name == "clusterIngressURL" && v == "" {
			continue
		}
		if u, err := url.Parse(v); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			errs = append(errs, fmt.Errorf("%s: %q is no URL such as http://127.0.0.1:8090", name, v))
		}
	}
	if c.ClusterDomain == "" {
		errs = append(errs, errors.New("clusterDomain: must not be empty"))
	}
	if c.DispatcherGrace < 0 {
		errs = append(errs, fmt.Errorf("dispatcherGrace: %s is less than 0", c.DispatcherGrace))
	}
	if c.Workers < 1 {
		errs = append(errs, fmt.Errorf("workers: %d is less than 1", c.Workers))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("eventing: %w", err)
	}
	return nil
}
