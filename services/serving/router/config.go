// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package router is serving's data plane: it takes HTTP requests in, chooses a revision by host and share, holds a request
// while the revision has no pod, and forwards it to the pod with the fewest requests. It knows nothing of etcd or of
// Kubernetes: serving programs it over a stream and hears from it what it measures.
package router

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// Config configures a Router.
type Config struct {
	// Name is unique among the routers of an installation; made from the host's name by default.
	Name string
	// Listen holds the addresses to listen on where Run is given no listeners.
	Listen []string
	// QueueDepth is how many requests may wait for a pod of one revision; those beyond get a 503.
	QueueDepth int
	// QueueTimeout is how long a request may wait for a pod.
	QueueTimeout time.Duration
	// DrainTimeout is how long requests in flight may go on after Run's context has ended.
	DrainTimeout time.Duration
	// ReportInterval is the time between two reports to serving while requests come in.
	ReportInterval time.Duration
	// MaxAttempts is to how many pods a request is sent, one after another, while none has got any of it.
	MaxAttempts int
	// TrustForwarded keeps the X-Forwarded headers of callers, for a router behind a proxy that can be believed.
	TrustForwarded bool
	// AccessLog logs a line for each request.
	AccessLog bool
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		Name:           defaultName(),
		Listen:         []string{"127.0.0.1:8000"},
		QueueDepth:     10_000,
		QueueTimeout:   5 * time.Minute,
		DrainTimeout:   30 * time.Second,
		ReportInterval: time.Second,
		MaxAttempts:    3,
	}
}

func defaultName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "router"
	}
	return host + "-" + strings.ToLower(rand.Text()[:6])
}

// Validate tells every fault in the configuration.
func (c Config) Validate() error {
	var errs []error
	if c.Name == "" {
		errs = append(errs, errors.New("router: name is empty; give each router its own"))
	}
	for field, n := range map[string]int{"queueDepth": c.QueueDepth, "maxAttempts": c.MaxAttempts} {
		if n < 1 {
			errs = append(errs, fmt.Errorf("router: %s is %d; it must be at least 1", field, n))
		}
	}
	for field, d := range map[string]time.Duration{"queueTimeout": c.QueueTimeout, "reportInterval": c.ReportInterval} {
		if d <= 0 {
			errs = append(errs, fmt.Errorf("router: %s is %s; it must be above 0", field, d))
		}
	}
	if c.DrainTimeout < 0 {
		errs = append(errs, fmt.Errorf("router: drainTimeout is %s; it must not be negative", c.DrainTimeout))
	}
	return errors.Join(errs...)
}
