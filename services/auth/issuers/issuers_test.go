// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package issuers

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"fairlead.dev/services/auth/issuers/issuertest"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/rpc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// document makes a configuration file of issuers, with mappings as they stand.
func document(mappings string, issuers ...*issuertest.Issuer) string {
	text := "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\njwt:\n"
	for _, i := range issuers {
		text += fmt.Sprintf("- issuer: {url: %q, audiences: [%s, other-client], audienceMatchPolicy: MatchAny, certificateAuthority: %q}\n", i.URL, issuertest.ClientID, i.CA)
		for line := range strings.Lines(mappings) {
			text += "  " + line
		}
	}
	return text
}

const plainMappings = `claimMappings:
  username: {claim: sub, prefix: "corp:"}
  groups: {claim: groups, prefix: "corp:"}
`

// running is a set that runs.
type running struct {
	*Set

	changed atomic.Int32
}

func start(t *testing.T, text string, issuers ...*issuertest.Issuer) *running {
	t.Helper()
	c, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	r := &running{}
	if r.Set, err = New(c, Options{Own: []string{"fairlead"}, Changed: func() { r.changed.Add(1) }, Log: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { r.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	for _, i := range issuers {
		r.await(t, i)
	}
	return r
}

// await waits until an issuer's tokens are believed.
func (r *running) await(t *testing.T, i *issuertest.Issuer) {
	t.Helper()
	select {
	case <-r.find(i.URL).ready:
	case <-time.After(20 * time.Second):
		t.Fatalf("the issuer %s does not become known", i.URL)
	}
}

func refused(t *testing.T, err error, reason apierror.Reason, text string) {
	t.Helper()
	if !apierror.Is(err, reason) || !strings.Contains(err.Error(), text) {
		t.Errorf("got %v, want %s: %s", err, reason, text)
	}
}

func TestWhoATokenStandsFor(t *testing.T) {
	i := issuertest.Start(t)
	for _, c := range []struct {
		reason, mappings string
		claims           map[string]any
		want             *rpc.Identity
		err              string
	}{
		{
			reason: "claims with prefixes", mappings: plainMappings, claims: map[string]any{"groups": []string{"dev", "ops"}, "jti": "t1"},
			want: &rpc.Identity{User: "corp:ada", Groups: []string{"corp:dev", "corp:ops"}, Extra: map[string][]string{"authentication.kubernetes.io/credential-id": {"JTI=t1"}}},
		},
		{reason: "one group as text", mappings: plainMappings, claims: map[string]any{"groups": "dev"}, want: &rpc.Identity{User: "corp:ada", Groups: []string{"corp:dev"}}},
		{reason: "no groups", mappings: plainMappings, want: &rpc.Identity{User: "corp:ada"}},
		{reason: "groups of another form", mappings: plainMappings, claims: map[string]any{"groups": []int{1}}, err: `its claim "groups" gives no groups`},
		{
			reason: "another of its audiences", mappings: plainMappings, claims: map[string]any{"aud": []string{"x", "other-client"}},
			want: &rpc.Identity{User: "corp:ada"},
		},
		{
			reason: "groups of the system are not believed", mappings: "claimMappings:\n  username: {claim: sub, prefix: ''}\n  groups: {claim: groups, prefix: ''}\n",
			claims: map[string]any{"groups": []string{"system:masters", "dev", "bad\nname"}}, want: &rpc.Identity{User: "ada", Groups: []string{"dev"}},
		},
		{
			reason: "users of the system are not believed", mappings: "claimMappings:\n  username: {claim: sub, prefix: ''}\n",
			claims: map[string]any{"sub": "system:fairlead:gateway"}, err: `names that begin with "system:"`,
		},
		{
			reason: "nor by their prefix", mappings: "claimMappings:\n  username: {claim: sub, prefix: 'system:'}\n", err: `names that begin with "system:"`,
		},
		{reason: "no user", mappings: plainMappings, claims: map[string]any{"sub": nil}, err: `its claim "sub" gives no user`},
		{reason: "a user that headers do not carry", mappings: plainMappings, claims: map[string]any{"sub": "a\nb"}, err: "gives no name that can be used"},
		{
			reason: "an email address", mappings: "claimMappings:\n  username: {claim: email, prefix: ''}\n",
			claims: map[string]any{"email": "ada@example.com", "email_verified": true}, want: &rpc.Identity{User: "ada@example.com"},
		},
		{
			reason: "one that is not verified", mappings: "claimMappings:\n  username: {claim: email, prefix: ''}\n",
			claims: map[string]any{"email": "ada@example.com", "email_verified": false}, err: "not verified",
		},
		{
			reason: "expressions", mappings: `claimMappings:
  username: {expression: "claims.sub.upperAscii() + '@' + claims.realm.name"}
  groups: {expression: "claims.roles.split(',').map(r, 'role-' + r)"}
  uid: {claim: oid}
  extra:
  - {key: example.org/tenant, valueExpression: claims.tenants}
  - {key: example.org/none, valueExpression: "has(claims.nothing) ? claims.nothing : ''"}
`,
			claims: map[string]any{"realm": map[string]any{"name": "corp"}, "roles": "dev,ops", "oid": "77", "tenants": []string{"a", "b"}},
			want:   &rpc.Identity{User: "ADA@corp", Groups: []string{"role-dev", "role-ops"}, UID: "77", Extra: map[string][]string{"example.org/tenant": {"a", "b"}}},
		},
		{reason: "an expression that fails", mappings: "claimMappings:\n  username: {expression: claims.nothing}\n", err: "the expression of the username gives no user"},
		{
			reason: "a required claim", mappings: plainMappings + "claimValidationRules:\n- {claim: hd, requiredValue: example.com}\n",
			claims: map[string]any{"hd": "example.com"}, want: &rpc.Identity{User: "corp:ada"},
		},
		{
			reason: "a required claim of another value", mappings: plainMappings + "claimValidationRules:\n- {claim: hd, requiredValue: example.com}\n",
			claims: map[string]any{"hd": "secret.example"}, err: `its claim "hd" does not have the value that is required`,
		},
		{
			reason: "a rule", mappings: plainMappings + "claimValidationRules:\n- {expression: 'claims.exp - claims.iat <= 86400', message: tokens hold a day at most}\n",
			claims: map[string]any{"iat": 1}, err: "tokens hold a day at most",
		},
		{
			reason: "a rule that cannot be applied", mappings: plainMappings + "claimValidationRules:\n- {expression: 'claims.nothing == 1'}\n",
			err: "a claim validation rule cannot be applied",
		},
		{
			reason: "a rule for users", mappings: plainMappings + "userValidationRules:\n- {expression: \"!user.username.startsWith('corp:root')\", message: nobody is root}\n",
			claims: map[string]any{"sub": "root"}, err: "nobody is root",
		},
		{
			reason: "a rule for users that holds", mappings: plainMappings + "userValidationRules:\n- {expression: \"user.groups.all(g, g != 'x') && !('example.org/a' in user.extra) && user.uid == ''\"}\n",
			want: &rpc.Identity{User: "corp:ada"},
		},
	} {
		t.Run(c.reason, func(t *testing.T) {
			s := start(t, document(c.mappings, i), i)
			claims := i.Claims("ada")
			maps.Copy(claims, c.claims)
			got, err := s.Authenticate(t.Context(), i.URL, i.Sign(claims))
			if c.err != "" {
				refused(t, err, apierror.ReasonUnauthorized, c.err)
				if strings.Contains(err.Error(), "secret.example") {
					t.Errorf("the error holds a claim: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got.Expires.IsZero() {
				t.Error("it never expires")
			}
			got.Expires, c.want.Source = time.Time{}, rpc.SourceOIDC
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}

func TestTokensThatAreRefused(t *testing.T) {
	i, other := issuertest.Start(t), issuertest.Start(t)
	s := start(t, document(plainMappings, i, other), i, other)
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, err := i.JWKS().Keys[0].MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	with := func(change map[string]any) string {
		claims := i.Claims("ada")
		for name, value := range change {
			if value == nil {
				delete(claims, name)
				continue
			}
			claims[name] = value
		}
		return i.Sign(claims)
	}
	encode := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	payload, err := json.Marshal(i.Claims("ada"))
	if err != nil {
		t.Fatal(err)
	}
	good := with(nil)
	const unsigned = "not one that its issuer has signed"
	for _, c := range []struct{ reason, token, text string }{
		{"expired", with(map[string]any{"exp": time.Now().Add(-time.Second).Unix()}), "has expired"},
		{"without an end", with(map[string]any{"exp": nil}), "does not say when it expires"},
		{"not yet valid", with(map[string]any{"nbf": time.Now().Add(10 * time.Minute).Unix()}), "not valid yet"},
		{"for another audience", with(map[string]any{"aud": "vault"}), "another audience"},
		{"for none", with(map[string]any{"aud": nil}), "another audience"},
		{"algorithm none", encode(`{"alg":"none","typ":"JWT"}`) + "." + encode(string(payload)) + ".", unsigned},
		{"HS256 with the public key for a secret", issuertest.Sign(t, jose.HS256, public, i.JWKS().Keys[0].KeyID, i.Claims("ada")), unsigned},
		{"a key of somebody else under the same id", issuertest.Sign(t, jose.RS256, private, i.JWKS().Keys[0].KeyID, i.Claims("ada")), unsigned},
		{"another issuer's key", other.Sign(i.Claims("ada")), unsigned},
		{"another issuer, same key", with(map[string]any{"iss": other.URL}), unsigned},
		{"changed", good[:strings.LastIndex(good, ".")-2] + "xx" + good[strings.LastIndex(good, "."):], unsigned},
		{"without a signature", good[:strings.LastIndex(good, ".")+1], unsigned},
		{"not a token", "abc", unsigned},
		{"expiry of another form", with(map[string]any{"exp": "tomorrow"}), ""},
	} {
		t.Run(c.reason, func(t *testing.T) {
			_, err := s.Authenticate(t.Context(), i.URL, c.token)
			refused(t, err, apierror.ReasonUnauthorized, c.text)
			for part := range strings.SplitSeq(c.token, ".") {
				if len(part) > 8 && strings.Contains(err.Error(), part) {
					t.Errorf("the error holds a part of the token: %v", err)
				}
			}
		})
	}
	// The same key does not make another issuer's tokens its own.
	_, err = s.Authenticate(t.Context(), other.URL, with(map[string]any{"iss": other.URL}))
	refused(t, err, apierror.ReasonUnauthorized, unsigned)
	// A clock that is a little ahead does no harm.
	if _, err := s.Authenticate(t.Context(), i.URL, with(map[string]any{"nbf": time.Now().Add(time.Minute).Unix()})); err != nil {
		t.Error(err)
	}
}

func TestKeysRotate(t *testing.T) {
	i := issuertest.Start(t)
	s := start(t, document(plainMappings, i), i)
	old := i.Sign(i.Claims("ada"))
	i.Rotate()
	if _, err := s.Authenticate(t.Context(), i.URL, i.Sign(i.Claims("ada"))); err != nil {
		t.Fatalf("by the new key: %v", err)
	}
	_, err := s.Authenticate(t.Context(), i.URL, old)
	refused(t, err, apierror.ReasonUnauthorized, "not one that its issuer has signed")
	asked := i.Asked()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 50 {
		_, err := s.Authenticate(t.Context(), i.URL, issuertest.Sign(t, jose.RS256, private, fmt.Sprint("made-up-", n), i.Claims("ada")))
		refused(t, err, apierror.ReasonUnauthorized, "")
	}
	if more := i.Asked() - asked; more > strangersAtOnce {
		t.Errorf("made-up keys had the issuer asked %d times", more)
	}
}

func TestAnIssuerThatIsAway(t *testing.T) {
	i, other := issuertest.Start(t), issuertest.Start(t)
	i.Set(func(s *issuertest.Settings) { s.Away = true })
	s := start(t, document(plainMappings, i, other), other)
	if _, err := s.Authenticate(t.Context(), other.URL, other.Sign(other.Claims("ada"))); err != nil {
		t.Errorf("the other issuer: %v", err)
	}
	_, err := s.Authenticate(t.Context(), i.URL, i.Sign(i.Claims("ada")))
	refused(t, err, apierror.ReasonServiceUnavailable, "cannot be asked for its keys")
	i.Set(func(s *issuertest.Settings) { s.Away = false })
	s.await(t, i)
	token := i.Sign(i.Claims("ada"))
	if _, err := s.Authenticate(t.Context(), i.URL, token); err != nil {
		t.Errorf("once it is back: %v", err)
	}
	i.Set(func(s *issuertest.Settings) { s.Away = true })
	if _, err := s.Authenticate(t.Context(), i.URL, token); err != nil {
		t.Errorf("away again, its keys are known: %v", err)
	}
	if s.changed.Load() == 0 {
		t.Error("nobody was told of the keys")
	}
}

func TestADiscoveryDocumentElsewhere(t *testing.T) {
	i := issuertest.Start(t)
	i.Set(func(s *issuertest.Settings) { s.DiscoveryPath = "/elsewhere/document" })
	text := strings.Replace(document(plainMappings, i), "audiences:", fmt.Sprintf("discoveryURL: %q, audiences:", i.URL+"/elsewhere/document"), 1)
	s := start(t, text, i)
	if _, err := s.Authenticate(t.Context(), i.URL, i.Sign(i.Claims("ada"))); err != nil {
		t.Error(err)
	}
}

func TestWrongConfigurations(t *testing.T) {
	const head = "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\n"
	one := func(rest string) string {
		return head + "jwt:\n- issuer: {url: 'https://a.example', audiences: [x]}\n" + rest
	}
	const user = "  claimMappings: {username: {claim: sub, prefix: ''}}\n"
	for _, c := range []struct{ reason, text, want string }{
		{"not YAML", "{", "not of the form"},
		{"an unknown field", one(user + "  nothing: 1\n"), "nothing"},
		{"another kind", "apiVersion: v1\nkind: Pod\n", "kind: AuthenticationConfiguration"},
		{"no TLS", head + "jwt:\n- issuer: {url: 'http://a.example', audiences: [x]}\n" + user, "jwt[0].issuer.url"},
		{"no audience", head + "jwt:\n- issuer: {url: 'https://a.example'}\n" + user, "jwt[0].issuer.audiences"},
		{"audiences without a policy", head + "jwt:\n- issuer: {url: 'https://a.example', audiences: [x, y]}\n" + user, "jwt[0].issuer.audienceMatchPolicy"},
		{"our own issuer", head + "jwt:\n- issuer: {url: 'https://fairlead.example', audiences: [x]}\n" + user, "the issuer of the tokens of this installation"},
		{"the same twice", one(user + "- issuer: {url: 'https://a.example', audiences: [x]}\n" + user), "jwt[1].issuer.url"},
		{"a CA that is none", head + "jwt:\n- issuer: {url: 'https://a.example', audiences: [x], certificateAuthority: abc}\n" + user, "jwt[0].issuer.certificateAuthority"},
		{"an egress selector", head + "jwt:\n- issuer: {url: 'https://a.example', audiences: [x], egressSelectorType: cluster}\n" + user, "jwt[0].issuer.egressSelectorType"},
		{"no user", one("  claimMappings: {}\n"), "jwt[0].claimMappings.username"},
		{"no prefix", one("  claimMappings: {username: {claim: sub}}\n"), "jwt[0].claimMappings.username.prefix"},
		{"claim and expression", one("  claimMappings: {username: {claim: sub, prefix: '', expression: claims.sub}}\n"), "exclude each other"},
		{"an expression that does not compile", one("  claimMappings: {username: {expression: 'claims.'}}\n"), "jwt[0].claimMappings.username.expression"},
		{"a function of Kubernetes' own", one(user + "  userValidationRules: [{expression: \"isURL(user.username)\"}]\n"), "jwt[0].userValidationRules[0].expression"},
		{"a rule that is no question", one(user + "  userValidationRules: [{expression: user.username}]\n"), "must evaluate to bool"},
		{"a rule about nothing", one(user + "  claimValidationRules: [{}]\n"), "jwt[0].claimValidationRules[0]"},
		{"an email address that nobody verified", one("  claimMappings: {username: {expression: claims.email}}\n"), "claims.email_verified must be used"},
		{"an extra without a domain", one("  claimMappings: {username: {claim: sub, prefix: ''}, extra: [{key: a, valueExpression: claims.sub}]}\n"), "jwt[0].claimMappings.extra[0].key"},
		{"an extra of Kubernetes", one("  claimMappings: {username: {claim: sub, prefix: ''}, extra: [{key: x.k8s.io/a, valueExpression: claims.sub}]}\n"), "reserved"},
		{"anonymous", head + "anonymous: {enabled: true}\n", "anonymous"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			parsed, err := Parse([]byte(c.text))
			if err == nil {
				_, err = New(parsed, Options{Own: []string{"https://fairlead.example"}})
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
	all := one("  claimMappings: {username: {claim: sub}, groups: {prefix: x}}\n")
	parsed, err := Parse([]byte(all))
	if err != nil {
		t.Fatal(err)
	}
	if _, err = New(parsed, Options{}); err == nil || strings.Count(err.Error(), "jwt[0]") != 2 {
		t.Errorf("not every fault is told: %v", err)
	}
}

func TestFlags(t *testing.T) {
	text := func(s string) *string { return &s }
	for _, c := range []struct {
		reason string
		flags  Flags
		want   ClaimMappings
		err    string
	}{
		{"by default the issuer's name tells users apart", Flags{IssuerURL: "https://a.example", ClientID: "x"}, ClaimMappings{Username: PrefixedClaim{Claim: "sub", Prefix: text("https://a.example#")}}, ""},
		{"email addresses are unique", Flags{IssuerURL: "https://a.example", ClientID: "x", UsernameClaim: "email"}, ClaimMappings{Username: PrefixedClaim{Claim: "email", Prefix: text("")}}, ""},
		{"no prefix", Flags{IssuerURL: "https://a.example", ClientID: "x", UsernamePrefix: "-", GroupsClaim: "g", GroupsPrefix: "p:"}, ClaimMappings{Username: PrefixedClaim{Claim: "sub", Prefix: text("")}, Groups: PrefixedClaim{Claim: "g", Prefix: text("p:")}}, ""},
		{"half of it", Flags{IssuerURL: "https://a.example"}, ClaimMappings{}, "--oidc-client-id"},
		{"groups of nothing", Flags{IssuerURL: "https://a.example", ClientID: "x", GroupsPrefix: "p"}, ClaimMappings{}, "--oidc-groups-claim"},
		{"a requirement of nothing", Flags{IssuerURL: "https://a.example", ClientID: "x", RequiredClaims: []string{"a"}}, ClaimMappings{}, "KEY=VALUE"},
		{"a CA that is not there", Flags{IssuerURL: "https://a.example", ClientID: "x", CAFile: "/nothing"}, ClaimMappings{}, "--oidc-ca-file"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			got, err := c.flags.Configuration()
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("got %v, want %s", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got.JWT[0].ClaimMappings); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}
