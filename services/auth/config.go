// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"
)

// Config says how tokens are made and where things are kept. Zero values mean the defaults.
type Config struct {
	// Issuer is the `iss` of tokens; `fairlead` by default.
	Issuer string
	// Audience is the audience of tokens that are for this API; `fairlead` by default.
	Audience string
	// TokenLifetime is how long a token holds whose request does not say; 1 hour by default.
	TokenLifetime time.Duration
	// MaxTokenLifetime is how long a token holds at most; 365 days by default.
	MaxTokenLifetime time.Duration
	// AdminTokenLifetime is how long the first administrator's token holds; 365 days by default.
	AdminTokenLifetime time.Duration
	// ServiceTokenLifetime is how long the tokens hold that services of Fairlead use among each other; 15 minutes by default.
	ServiceTokenLifetime time.Duration
	// KeyRotation is for how long a key signs before a new one does; 30 days by default.
	KeyRotation time.Duration
	// KeyOverlap is how long a new key is known before it signs, so that every process and everyone who reads
	// `/openid/v1/jwks` has it; 10 minutes by default.
	KeyOverlap time.Duration
	// KeySecret is the name of the Secret with the signing keys; `fairlead-signing-keys` by default.
	KeySecret string
	// Prefix is where revocations are kept in etcd: the store's prefix; `/fairlead` by default.
	Prefix string
}

const year = 365 * 24 * time.Hour

// DefaultConfig returns a Config with every value set.
func DefaultConfig() Config { return Config{}.withDefaults() }

func (c Config) withDefaults() Config {
	c.Issuer = cmp.Or(c.Issuer, "fairlead")
	c.Audience = cmp.Or(c.Audience, "fairlead")
	c.TokenLifetime = cmp.Or(c.TokenLifetime, time.Hour)
	c.MaxTokenLifetime = cmp.Or(c.MaxTokenLifetime, year)
	c.AdminTokenLifetime = cmp.Or(c.AdminTokenLifetime, year)
	c.ServiceTokenLifetime = cmp.Or(c.ServiceTokenLifetime, 15*time.Minute)
	c.KeyRotation = cmp.Or(c.KeyRotation, 30*24*time.Hour)
	c.KeyOverlap = cmp.Or(c.KeyOverlap, 10*time.Minute)
	c.KeySecret = cmp.Or(c.KeySecret, "fairlead-signing-keys")
	c.Prefix = cmp.Or(c.Prefix, "/fairlead")
	return c
}

// Validate tells every fault of the configuration.
func (c Config) Validate() error {
	var faults []error
	lifetimes := []struct {
		name  string
		value time.Duration
	}{
		{"tokenLifetime", c.TokenLifetime},
		{"maxTokenLifetime", c.MaxTokenLifetime},
		{"adminTokenLifetime", c.AdminTokenLifetime},
		{"serviceTokenLifetime", c.ServiceTokenLifetime},
		{"keyRotation", c.KeyRotation},
		{"keyOverlap", c.KeyOverlap},
	}
	for _, l := range lifetimes {
		if l.value < 0 || (l.value > 0 && l.value < time.Second) {
			faults = append(faults, fmt.Errorf("%s: %s is less than a second", l.name, l.value))
		}
	}
	if c.MaxTokenLifetime > 0 && max(c.TokenLifetime, c.AdminTokenLifetime, c.ServiceTokenLifetime) > c.MaxTokenLifetime {
		faults = append(faults, fmt.Errorf("maxTokenLifetime: %s is less than the lifetime of some tokens", c.MaxTokenLifetime))
	}
	if c.KeyRotation > 0 && c.KeyRotation <= c.KeyOverlap {
		faults = append(faults, fmt.Errorf("keyRotation: %s is not longer than keyOverlap, %s: no key would ever sign", c.KeyRotation, c.KeyOverlap))
	}
	if c.KeySecret != "" {
		for _, fault := range validation.IsDNS1123Subdomain(c.KeySecret) {
			faults = append(faults, fmt.Errorf("keySecret: %q: %s", c.KeySecret, fault))
		}
	}
	if c.Prefix != "" && strings.Trim(c.Prefix, "/") == "" {
		faults = append(faults, fmt.Errorf("prefix: %q names no path segment", c.Prefix))
	}
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("auth: %w", err)
	}
	return nil
}
