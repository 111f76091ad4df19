// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"fmt"
	"net/url"
	"time"
)

// Config says where events are kept and how many.
type Config struct {
	// URL is a NATS server with JetStream (2.12 or later), such as `nats://nats.example:4222`. Empty, the default, means
	// one inside this process that listens nowhere and keeps its files in Dir.
	URL string
	// CredentialsFile is a NATS credentials file for URL; none by default.
	CredentialsFile string
	// Replicas is on how many servers behind URL each stream is kept; 1 by default. Always 1 without a URL.
	Replicas int
	// Dir is where the embedded engine keeps its files. It belongs to one process at a time.
	Dir string
	// Installation is the id of this installation; streams of others behind the same URL are left alone.
	Installation string
	// MaxBytes is how much one broker may keep, 1 GiB by default. When it is reached, events that all triggers have got
	// go first, oldest first; if nothing is left but what still waits, new events are refused.
	MaxBytes int64
	// MaxAge is how long an event is kept, delivered or not; 7 days by default.
	MaxAge time.Duration
	// MinFreeBytes is how much must be free on Dir's file system for events to be taken in; 256 MiB by default.
	MinFreeBytes int64
	// MaxEventBytes is the largest event, attributes included, that the engine takes; 2 MiB by default.
	MaxEventBytes int
	// AckWait is after what time an event in the hands of a process that died is given to another; 10 s by default.
	AckWait time.Duration
	// MaxWaiting is how many events of one trigger may be under way or wait for another try; 1024 by default. With as
	// many, the trigger's other events wait.
	MaxWaiting int
}

// DefaultConfig returns a Config that keeps events in dir.
func DefaultConfig(dir string) Config {
	return Config{
		Dir:           dir,
		Replicas:      1,
		MaxBytes:      1 << 30,
		MaxAge:        7 * 24 * time.Hour,
		MinFreeBytes:  256 << 20,
		MaxEventBytes: 2 << 20,
		AckWait:       10 * time.Second,
		MaxWaiting:    1024,
	}
}

// Validate tells everything that is wrong with c.
func (c Config) Validate() error {
	var errs []error
	if c.URL == "" && c.Dir == "" {
		errs = append(errs, errors.New("dir: say where the embedded engine keeps events, or give the url of a NATS server"))
	}
	if c.URL != "" {
		if u, err := url.Parse(c.URL); err != nil || u.Host == "" {
			errs = append(errs, fmt.Errorf("url: %q is no URL such as nats://nats.example:4222", c.URL))
		}
	}
	if c.Replicas < 1 || c.Replicas > 5 {
		errs = append(errs, fmt.Errorf("replicas: %d is not from 1 to 5", c.Replicas))
	}
	if c.URL == "" && c.Replicas > 1 {
		errs = append(errs, fmt.Errorf("replicas: the embedded engine keeps 1, not %d; give the url of a NATS cluster", c.Replicas))
	}
	if c.MaxBytes < int64(c.MaxEventBytes) {
		errs = append(errs, fmt.Errorf("maxBytes: %d is less than one event may have (%d)", c.MaxBytes, c.MaxEventBytes))
	}
	if c.MaxEventBytes < 1024 || c.MaxEventBytes > 32<<20 {
		errs = append(errs, fmt.Errorf("maxEventBytes: %d is not from 1 KiB to 32 MiB", c.MaxEventBytes))
	}
	if c.MaxAge < time.Minute {
		errs = append(errs, fmt.Errorf("maxAge: %s is less than a minute", c.MaxAge))
	}
	if c.MinFreeBytes < 0 {
		errs = append(errs, fmt.Errorf("minFreeBytes: %d is less than 0", c.MinFreeBytes))
	}
	if c.AckWait < time.Second {
		errs = append(errs, fmt.Errorf("ackWait: %s is less than a second", c.AckWait))
	}
	if c.MaxWaiting < 1 {
		errs = append(errs, fmt.Errorf("maxWaiting: %d is less than 1", c.MaxWaiting))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	return nil
}
