// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"errors"
	"fmt"
	"time"
)

// Defaults of Config.
const (
	// DefaultTimeout is how long a build may take that does not say.
	DefaultTimeout = 10 * time.Minute
	// MaxTimeout is the longest that a build may ask for.
	MaxTimeout = 24 * time.Hour
	// DefaultPullTimeout is how long a step's image may be impossible to pull before the build fails.
	DefaultPullTimeout = time.Minute
	// DefaultAccountTimeout is how long a build waits for its service account: that of a new namespace comes a moment later.
	DefaultAccountTimeout = 15 * time.Second
	// DefaultRegistryTimeout bounds one question to a registry.
	DefaultRegistryTimeout = 20 * time.Second
	// DefaultWorkers is how many builds are looked at at a time.
	DefaultWorkers = 8
)

// Config configures the build service.
type Config struct {
	// StepImage is the image of the step binary, by tag or digest. Needed.
	StepImage string
	// Timeout is how long a build may take that does not say.
	Timeout time.Duration
	// PullTimeout is how long a container may be kept from starting, by an image that cannot be pulled or a Secret that is
	// not there, before its build fails.
	PullTimeout time.Duration
	// AccountTimeout is how long a build waits for its service account to appear.
	AccountTimeout time.Duration
	// RegistryTimeout bounds one question to a registry.
	RegistryTimeout time.Duration
	// InsecureRegistries are hosts, with port, of registries that may speak plain HTTP. Steps are told of them in
	// $FAIRLEAD_INSECURE_REGISTRIES.
	InsecureRegistries []string
	// AllowNodePower lets steps have what gives power over a node: hostPath, privileged containers and the like.
	AllowNodePower bool
	// Workers is how many builds are looked at at a time.
	Workers int
}

// DefaultConfig returns a Config with every default, and no StepImage.
func DefaultConfig() Config {
	return Config{
		Timeout: DefaultTimeout, PullTimeout: DefaultPullTimeout, AccountTimeout: DefaultAccountTimeout,
		RegistryTimeout: DefaultRegistryTimeout, Workers: DefaultWorkers,
	}
}

// Validate tells every fault of the configuration.
func (c Config) Validate() error {
	var faults []error
	if c.StepImage == "" {
		faults = append(faults, errors.New("stepImage: needed; make it with services/build/images/publish"))
	}
	if c.Timeout <= 0 || c.Timeout > MaxTimeout {
		faults = append(faults, fmt.Errorf("timeout: %s is not above 0 and at most %s", c.Timeout, MaxTimeout))
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"pullTimeout", c.PullTimeout},
		{"accountTimeout", c.AccountTimeout},
		{"registryTimeout", c.RegistryTimeout},
	} {
		if d.value <= 0 {
			faults = append(faults, fmt.Errorf("%s: %s is not above 0", d.name, d.value))
		}
	}
	if c.Workers <= 0 {
		faults = append(faults, fmt.Errorf("workers: %d is not above 0", c.Workers))
	}
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("build: %w", err)
	}
	return nil
}
