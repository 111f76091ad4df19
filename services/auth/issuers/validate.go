// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package issuers

import (
	"crypto/x509"
	"fmt"
	"net/url"
	"slices"
	"strings"

	kvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

const (
	// maxIssuers is how many issuers there may be, as many as Kubernetes allows.
	maxIssuers = 64
	claimEmail = "email"
)

// compile reads a configuration into what its issuers need, or tells every fault by its field.
func compile(c *Configuration, own []string) ([]*authenticator, error) {
	env, err := newEnvironment()
	if err != nil {
		return nil, err
	}
	r := &reader{env: env}
	root := field.NewPath("jwt")
	if c.Anonymous != nil && (c.Anonymous.Enabled || len(c.Anonymous.Conditions) > 0) {
		r.fault(field.Forbidden(field.NewPath("anonymous"), "nobody comes in without a token here; leave it out"))
	}
	if len(c.JWT) > maxIssuers {
		r.fault(field.TooMany(root, len(c.JWT), maxIssuers))
	}
	var out []*authenticator
	seen := map[string]bool{}
	for i := range c.JWT {
		path := root.Index(i)
		a := r.authenticator(path, &c.JWT[i])
		where := path.Child("issuer", "url")
		switch {
		case seen[a.url]:
			r.fault(field.Duplicate(where, a.url))
		case slices.Contains(own, a.url):
			r.fault(field.Invalid(where, a.url, "it is the issuer of the tokens of this installation"))
		}
		seen[a.url] = true
		out = append(out, a)
	}
	if err := r.faults.ToAggregate(); err != nil {
		return nil, err //nolint:wrapcheck // names the fields
	}
	return out, nil
}

// reader reads a configuration, and collects its faults.
type reader struct {
	env    *environment
	faults field.ErrorList
}

func (r *reader) fault(e *field.Error) { r.faults = append(r.faults, e) }

func (r *reader) authenticator(path *field.Path, in *Authenticator) *authenticator {
	a := &authenticator{url: in.Issuer.URL, audiences: in.Issuer.Audiences, authority: in.Issuer.CertificateAuthority}
	r.issuer(path.Child("issuer"), &in.Issuer, a)
	for i, rule := range in.ClaimValidationRules {
		a.required = append(a.required, r.claimRule(path.Child("claimValidationRules").Index(i), rule))
	}
	r.mappings(path.Child("claimMappings"), &in.ClaimMappings, a)
	for i, rule := range in.UserValidationRules {
		where := path.Child("userValidationRules").Index(i).Child("expression")
		a.users = append(a.users, condition{r.expression(r.env.user, where, rule.Expression, true), rule.Message})
	}
	r.verifiedEmail(path, in)
	return a
}

func (r *reader) issuer(path *field.Path, in *Issuer, a *authenticator) {
	r.url(path.Child("url"), in.URL)
	if in.DiscoveryURL != nil {
		r.url(path.Child("discoveryURL"), *in.DiscoveryURL)
		if strings.TrimRight(*in.DiscoveryURL, "/") == strings.TrimRight(in.URL, "/") {
			r.fault(field.Invalid(path.Child("discoveryURL"), *in.DiscoveryURL, "it is the issuer's url; give the URL of the discovery document, or leave it out"))
		}
		a.discovery = *in.DiscoveryURL
	}
	if in.CertificateAuthority != "" {
		a.roots = x509.NewCertPool()
		if !a.roots.AppendCertsFromPEM([]byte(in.CertificateAuthority)) {
			r.fault(field.Invalid(path.Child("certificateAuthority"), "<PEM>", "it holds no certificate in PEM"))
		}
	}
	if len(in.Audiences) == 0 {
		r.fault(field.Required(path.Child("audiences"), "name the audiences for which its tokens must be"))
	}
	for i, audience := range in.Audiences {
		switch where := path.Child("audiences").Index(i); {
		case audience == "":
			r.fault(field.Required(where, "an audience is not empty"))
		case slices.Contains(in.Audiences[:i], audience):
			r.fault(field.Duplicate(where, audience))
		}
	}
	switch policy := path.Child("audienceMatchPolicy"); {
	case in.AudienceMatchPolicy != "" && in.AudienceMatchPolicy != "MatchAny":
		r.fault(field.NotSupported(policy, in.AudienceMatchPolicy, []string{"MatchAny"}))
	case len(in.Audiences) > 1 && in.AudienceMatchPolicy == "":
		r.fault(field.Required(policy, "with several audiences it is MatchAny"))
	}
	if in.EgressSelectorType != "" {
		r.fault(field.Forbidden(path.Child("egressSelectorType"), "there are no egress selectors here; leave it out"))
	}
}

func (r *reader) url(path *field.Path, text string) {
	u, err := url.Parse(text)
	switch {
	case text == "":
		r.fault(field.Required(path, "give a URL such as https://issuer.example"))
	case err != nil, u.Scheme != "https", u.Host == "":
		r.fault(field.Invalid(path, text, "it must be an https URL"))
	case u.User != nil, u.RawQuery != "", u.Fragment != "":
		r.fault(field.Invalid(path, text, "it must hold no user, query or fragment"))
	}
}

func (r *reader) claimRule(path *field.Path, in ClaimValidationRule) rule {
	switch {
	case in.Claim != "" && in.Expression != "":
		r.fault(field.Invalid(path, in.Claim, "claim and expression exclude each other"))
	case in.Claim == "" && in.Expression == "":
		r.fault(field.Required(path, "give a claim or an expression"))
	case in.Claim != "":
		if in.Message != "" {
			r.fault(field.Invalid(path.Child("message"), in.Message, "it goes with an expression only"))
		}
		return rule{claim: in.Claim, value: in.RequiredValue}
	default:
		if in.RequiredValue != "" {
			r.fault(field.Invalid(path.Child("requiredValue"), in.RequiredValue, "it goes with a claim only"))
		}
		return rule{condition: condition{r.expression(r.env.claims, path.Child("expression"), in.Expression, true), in.Message}}
	}
	return rule{}
}

func (r *reader) mappings(path *field.Path, in *ClaimMappings, a *authenticator) {
	a.username = r.prefixed(path.Child("username"), in.Username)
	if in.Username.Claim == "" && in.Username.Expression == "" {
		r.fault(field.Required(path.Child("username"), "give a claim or an expression"))
	}
	a.groups = r.prefixed(path.Child("groups"), in.Groups)
	a.uid = r.prefixed(path.Child("uid"), PrefixedClaim{Claim: in.UID.Claim, Expression: in.UID.Expression, Prefix: noPrefix(in.UID.Claim)})
	for i, extra := range in.Extra {
		where := path.Child("extra").Index(i)
		r.extraKey(where.Child("key"), extra.Key)
		if slices.ContainsFunc(a.extra, func(other extraSource) bool { return other.key == extra.Key }) {
			r.fault(field.Duplicate(where.Child("key"), extra.Key))
		}
		a.extra = append(a.extra, extraSource{
			key:    extra.Key,
			source: source{expression: r.expression(r.env.claims, where.Child("valueExpression"), extra.ValueExpression, false)},
		})
	}
}

func noPrefix(claim string) *string {
	if claim == "" {
		return nil
	}
	return new(string)
}

func (r *reader) extraKey(path *field.Path, key string) {
	r.faults = append(r.faults, kvalidation.IsDomainPrefixedPath(path, key)...)
	domain, _, _ := strings.Cut(key, "/")
	if key != strings.ToLower(key) {
		r.fault(field.Invalid(path, key, "it must be in lower case"))
	}
	for _, reserved := range []string{"k8s.io", "kubernetes.io", "fairlead.dev"} {
		if domain == reserved || strings.HasSuffix(domain, "."+reserved) {
			r.fault(field.Invalid(path, key, reserved+" and its subdomains are reserved"))
		}
	}
}

func (r *reader) prefixed(path *field.Path, in PrefixedClaim) source {
	switch {
	case in.Claim != "" && in.Expression != "":
		r.fault(field.Invalid(path, in.Claim, "claim and expression exclude each other"))
	case in.Claim == "" && in.Prefix != nil:
		r.fault(field.Invalid(path.Child("prefix"), *in.Prefix, "it goes with a claim only"))
	case in.Claim != "" && in.Prefix == nil:
		r.fault(field.Required(path.Child("prefix"), `say what is put before the claim; "" for nothing`))
	case in.Claim != "":
		return source{claim: in.Claim, prefix: *in.Prefix}
	case in.Expression != "":
		return source{expression: r.expression(r.env.claims, path.Child("expression"), in.Expression, false)}
	}
	return source{}
}

// expression compiles an expression. What cannot be is a fault of its field.
func (r *reader) expression(in *variable, path *field.Path, text string, truth bool) *expression {
	if strings.TrimSpace(text) == "" {
		r.fault(field.Required(path, "give an expression"))
		return nil
	}
	e, err := in.compile(text, truth)
	if err != nil {
		r.fault(field.Invalid(path, text, err.Error()))
		return nil
	}
	return e
}

// verifiedEmail wants expressions that take a user's name from the email address to look whether it is verified, as
// Kubernetes does.
func (r *reader) verifiedEmail(path *field.Path, in *Authenticator) {
	const verified = "email_verified"
	username := in.ClaimMappings.Username.Expression
	if !usesEmail(username) {
		return
	}
	texts := []string{username}
	for _, extra := range in.ClaimMappings.Extra {
		texts = append(texts, extra.ValueExpression)
	}
	for _, rule := range in.ClaimValidationRules {
		texts = append(texts, rule.Expression)
	}
	if !slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(text, verified) }) {
		r.fault(field.Invalid(path.Child("claimMappings", "username", "expression"), username,
			fmt.Sprintf("it uses claims.email, so that claims.%s must be used here, in an extra or in a claimValidationRule", verified)))
	}
}

func usesEmail(text string) bool {
	for _, form := range []string{"claims.email", `claims["email"]`, "claims['email']", "claims.?email"} {
		for rest := text; ; {
			_, after, ok := strings.Cut(rest, form)
			if !ok {
				break
			}
			if !strings.HasPrefix(after, "_") {
				return true
			}
			rest = after
		}
	}
	return false
}
