// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"fairlead.dev/services/auth/issuers"
)

// Config says how tokens are made and where things are kept. Zero values mean the defaults.
type Config struct {
	// Issuer is the `iss` of tokens; `fairlead` by default. With the URL of the front door, others can check them by its
	// discovery document.
	Issuer string
	// FormerIssuers are others whose tokens still hold: those by which Issuer went before. `fairlead` is always one.
	FormerIssuers []string
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
	// AuthenticationConfiguration is a file that says which OpenID Connect issuers are believed, in the form of
	// Kubernetes' AuthenticationConfiguration; empty for none.
	AuthenticationConfiguration string
	// OIDC says the same of one issuer; the zero value is none.
	OIDC issuers.Flags
}

const (
	year          = 365 * 24 * time.Hour
	defaultIssuer = "fairlead"
)

// DefaultConfig returns a Config with every value set.
func DefaultConfig() Config { return Config{}.withDefaults() }

func (c Config) withDefaults() Config {
	c.Issuer = cmp.Or(c.Issuer, defaultIssuer)
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
	if strings.Contains(c.Issuer, "://") {
		if u, err := url.Parse(c.Issuer); err != nil || u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil || strings.HasSuffix(u.Path, "/") {
			faults = append(faults, fmt.Errorf("issuer: %q: write a URL such as https://fairlead.example, without a slash at its end, a query or a fragment", c.Issuer))
		}
	}
	if c.AuthenticationConfiguration != "" && !c.OIDC.Empty() {
		faults = append(faults, errors.New("authentication-config: a file and --oidc flags exclude each other; name the issuer in the file"))
	}
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("auth: %w", err)
	}
	return nil
}

// issuers are the `iss` of tokens of ours: the one that new tokens have, and those of old ones.
func (c Config) issuers() []string {
	return append([]string{c.Issuer, defaultIssuer}, c.FormerIssuers...)
}

// openIDConnect reads which issuers are believed; nil means none.
func (c Config) openIDConnect() (*issuers.Configuration, error) {
	switch {
	case c.AuthenticationConfiguration != "":
		return issuers.Load(c.AuthenticationConfiguration) //nolint:wrapcheck // names the file
	case !c.OIDC.Empty():
		return c.OIDC.Configuration() //nolint:wrapcheck // names the flag
	}
	return nil, nil //nolint:nilnil // none is configured
}
