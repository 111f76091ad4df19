// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package issuers

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// Configuration says which issuers are believed, in the form of Kubernetes' apiserver.config.k8s.io
// AuthenticationConfiguration. What of that form has no effect here is refused, not ignored.
type Configuration struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	// JWT are the issuers.
	JWT []Authenticator `json:"jwt"`
	// Anonymous is refused where it lets anybody in: without a token nobody comes in.
	Anonymous *Anonymous `json:"anonymous,omitempty"`
}

// Anonymous would say who comes in without a token.
type Anonymous struct {
	Enabled    bool             `json:"enabled"`
	Conditions []map[string]any `json:"conditions,omitempty"`
}

// Authenticator is an issuer, and what its tokens mean.
type Authenticator struct {
	Issuer               Issuer                `json:"issuer"`
	ClaimValidationRules []ClaimValidationRule `json:"claimValidationRules,omitempty"`
	ClaimMappings        ClaimMappings         `json:"claimMappings"`
	UserValidationRules  []UserValidationRule  `json:"userValidationRules,omitempty"`
}

// Issuer says whose tokens are believed.
type Issuer struct {
	// URL is the `iss` of its tokens. Its discovery document is below it.
	URL string `json:"url"`
	// DiscoveryURL is where the discovery document is instead, whole.
	DiscoveryURL *string `json:"discoveryURL,omitempty"`
	// CertificateAuthority is the PEM of the certificates by which it is known; those of the system where it is empty.
	CertificateAuthority string `json:"certificateAuthority,omitempty"`
	// Audiences are those of which a token must name one.
	Audiences []string `json:"audiences"`
	// AudienceMatchPolicy is MatchAny, or empty for one audience.
	AudienceMatchPolicy string `json:"audienceMatchPolicy,omitempty"`
	// EgressSelectorType is refused: there are no egress selectors.
	EgressSelectorType string `json:"egressSelectorType,omitempty"`
}

// ClaimValidationRule is what a token must say: a claim with a value, or an expression over `claims` that is true.
type ClaimValidationRule struct {
	Claim         string `json:"claim,omitempty"`
	RequiredValue string `json:"requiredValue,omitempty"`
	Expression    string `json:"expression,omitempty"`
	Message       string `json:"message,omitempty"`
}

// UserValidationRule is an expression over `user` that must be true.
type UserValidationRule struct {
	Expression string `json:"expression"`
	Message    string `json:"message,omitempty"`
}

// ClaimMappings say what of an identity comes from which claim.
type ClaimMappings struct {
	Username PrefixedClaim `json:"username"`
	Groups   PrefixedClaim `json:"groups,omitzero"`
	UID      UID           `json:"uid,omitzero"`
	Extra    []Extra       `json:"extra,omitempty"`
}

// PrefixedClaim is a claim, and what is put before it, which may be nothing but must be said; or an expression over `claims`.
type PrefixedClaim struct {
	Claim      string  `json:"claim,omitempty"`
	Prefix     *string `json:"prefix,omitempty"`
	Expression string  `json:"expression,omitempty"`
}

// UID is a claim, or an expression over `claims`.
type UID struct {
	Claim      string `json:"claim,omitempty"`
	Expression string `json:"expression,omitempty"`
}

// Extra is an expression over `claims`, and the key of what it gives.
type Extra struct {
	Key             string `json:"key"`
	ValueExpression string `json:"valueExpression"`
}

// maxConfigurationBytes bounds what is read.
const maxConfigurationBytes = 1 << 20

// Load reads a file of that form.
func Load(file string) (*Configuration, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("authentication configuration: %w", err)
	}
	if info.Size() > maxConfigurationBytes {
		return nil, fmt.Errorf("authentication configuration %s: it has %d bytes; %d are the most", file, info.Size(), maxConfigurationBytes)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("authentication configuration: %w", err)
	}
	c, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("authentication configuration %s: %w", file, err)
	}
	return c, nil
}

// Parse reads a document of that form.
func Parse(data []byte) (*Configuration, error) {
	c := &Configuration{}
	if err := yaml.UnmarshalStrict(data, c); err != nil {
		return nil, fmt.Errorf("it is not of the form of an AuthenticationConfiguration: %w", err)
	}
	group, version, _ := strings.Cut(c.APIVersion, "/")
	if c.Kind != "AuthenticationConfiguration" || group != "apiserver.config.k8s.io" || !slices.Contains([]string{"v1", "v1beta1", "v1alpha1"}, version) {
		return nil, fmt.Errorf("it is apiVersion %q, kind %q; write apiVersion: apiserver.config.k8s.io/v1 and kind: AuthenticationConfiguration", c.APIVersion, c.Kind)
	}
	return c, nil
}

// Flags say what kube-apiserver's flags of these names do: one issuer, without a file.
type Flags struct {
	IssuerURL, ClientID           string
	UsernameClaim, UsernamePrefix string
	GroupsClaim, GroupsPrefix     string
	CAFile                        string
	RequiredClaims                []string // KEY=VALUE
}

// defaultUsernameClaim is that of the user where no flag names it.
const defaultUsernameClaim = "sub"

// Empty tells whether no flag says anything.
func (f Flags) Empty() bool {
	return f.IssuerURL == "" && f.ClientID == "" && f.UsernameClaim == "" && f.UsernamePrefix == "" && f.GroupsClaim == "" &&
		f.GroupsPrefix == "" && f.CAFile == "" && len(f.RequiredClaims) == 0
}

// Configuration makes a file's form of the flags. Without a prefix, users are told apart from those of others by the
// issuer's URL, but for email addresses; `-` is no prefix at all.
func (f Flags) Configuration() (*Configuration, error) {
	if f.IssuerURL == "" || f.ClientID == "" {
		return nil, errors.New("--oidc-issuer-url and --oidc-client-id belong together, and the other --oidc flags need them; give both or none")
	}
	a := Authenticator{Issuer: Issuer{URL: f.IssuerURL, Audiences: []string{f.ClientID}}}
	if f.CAFile != "" {
		pem, err := os.ReadFile(f.CAFile)
		if err != nil {
			return nil, fmt.Errorf("--oidc-ca-file: %w", err)
		}
		a.Issuer.CertificateAuthority = string(pem)
	}
	claim, prefix := f.UsernameClaim, f.UsernamePrefix
	if claim == "" {
		claim = defaultUsernameClaim
	}
	switch {
	case prefix == "-", prefix == "" && claim == claimEmail:
		prefix = ""
	case prefix == "":
		prefix = f.IssuerURL + "#"
	}
	a.ClaimMappings.Username = PrefixedClaim{Claim: claim, Prefix: &prefix}
	if f.GroupsClaim != "" {
		a.ClaimMappings.Groups = PrefixedClaim{Claim: f.GroupsClaim, Prefix: &f.GroupsPrefix}
	} else if f.GroupsPrefix != "" {
		return nil, errors.New("--oidc-groups-prefix is of no use without --oidc-groups-claim")
	}
	for _, required := range f.RequiredClaims {
		key, value, ok := strings.Cut(required, "=")
		if !ok || key == "" || value == "" {
			return nil, fmt.Errorf("--oidc-required-claim %s is not of the form KEY=VALUE", required)
		}
		a.ClaimValidationRules = append(a.ClaimValidationRules, ClaimValidationRule{Claim: key, RequiredValue: value})
	}
	return &Configuration{JWT: []Authenticator{a}}, nil
}
