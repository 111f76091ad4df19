// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package platform

import (
	"fairlead.dev/services/auth"
	"fairlead.dev/services/auth/issuers"
	"fairlead.dev/services/fairlead/process"
)

// signIn is which tokens are believed, and what those of ours name as their issuer. Every process that checks tokens needs
// the same.
type signIn struct {
	file                          *string
	issuerURL, clientID           *string
	usernameClaim, usernamePrefix *string
	groupsClaim, groupsPrefix     *string
	caFile                        *string
	requiredClaims, tokenIssuer   *[]string
}

func newSignIn(f *process.Flags) *signIn {
	return &signIn{
		file: f.String("authentication-config", "", "file that says which OpenID Connect issuers are believed, an AuthenticationConfiguration of "+
			"apiserver.config.k8s.io; the --oidc flags say the same of one issuer"),
		issuerURL:      f.String("oidc-issuer-url", "", "URL of an OpenID Connect issuer whose tokens are believed"),
		clientID:       f.String("oidc-client-id", "", "audience that tokens of --oidc-issuer-url must name, and the client as which fairlead login signs in; needed with --oidc-issuer-url"),
		usernameClaim:  f.String("oidc-username-claim", "", "claim of tokens of --oidc-issuer-url with the name of the user; none means sub"),
		usernamePrefix: f.String("oidc-username-prefix", "", "what is put before names of users of --oidc-issuer-url; - is nothing, and none means the issuer's URL and #, but nothing for the claim email"),
		groupsClaim:    f.String("oidc-groups-claim", "", "claim of tokens of --oidc-issuer-url with the user's groups; none means no groups"),
		groupsPrefix:   f.String("oidc-groups-prefix", "", "what is put before names of groups of --oidc-issuer-url"),
		caFile:         f.String("oidc-ca-file", "", "file with the certificates by which --oidc-issuer-url is known; none means the system's"),
		requiredClaims: f.Strings("oidc-required-claim", "KEY=VALUE that tokens of --oidc-issuer-url must claim; may be repeated"),
		tokenIssuer: f.Strings("token-issuer", "issuer that our own tokens name: the URL of the front door lets others check them; "+
			"those after the first are former ones, whose tokens still hold (default fairlead)"),
	}
}

// set puts it into the configuration of auth, which says what is wrong with it.
func (s *signIn) set(c *auth.Config) {
	c.AuthenticationConfiguration = *s.file
	c.OIDC = issuers.Flags{
		IssuerURL: *s.issuerURL, ClientID: *s.clientID, UsernameClaim: *s.usernameClaim, UsernamePrefix: *s.usernamePrefix,
		GroupsClaim: *s.groupsClaim, GroupsPrefix: *s.groupsPrefix, CAFile: *s.caFile, RequiredClaims: *s.requiredClaims,
	}
	if len(*s.tokenIssuer) > 0 {
		c.Issuer, c.FormerIssuers = (*s.tokenIssuer)[0], (*s.tokenIssuer)[1:]
	}
}

// validate tells what is wrong before anything is opened.
func (s *signIn) validate(f *process.Faults) {
	c := auth.DefaultConfig()
	s.set(&c)
	if err := c.Validate(); err != nil {
		f.Addf("authentication-config", "and the flags of tokens do not go together: %v", err)
	}
}
