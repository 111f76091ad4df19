// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	buildv1 "fairlead.dev/gen/go/fairlead/build/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/auth/issuers"
	"fairlead.dev/services/auth/issuers/issuertest"
	"fairlead.dev/services/auth/mirror"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/rpc"
)

// believing starts a process that believes an issuer.
func (i *installation) believing(t *testing.T, issuer *issuertest.Issuer) *process {
	t.Helper()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, []byte(issuer.CA), 0o600); err != nil {
		t.Fatal(err)
	}
	p := i.startWith(t, Config{OIDC: issuers.Flags{
		IssuerURL: issuer.URL, ClientID: issuertest.ClientID, UsernamePrefix: "corp:", GroupsClaim: "groups", GroupsPrefix: "corp:", CAFile: ca,
	}})
	limit := time.After(20 * time.Second)
	for {
		changed := p.auth.Authenticator().(rpc.Changing).Changed()
		_, err := p.auth.Authenticator().Authenticate(t.Context(), issuer.Sign(issuer.Claims("ada")))
		if err == nil {
			return p
		}
		select {
		case <-changed:
		case <-limit:
			t.Fatalf("the issuer is not believed: %v", err)
		}
	}
}

func TestTokensOfAnIssuer(t *testing.T) {
	i, issuer := install(t), issuertest.Start(t)
	p := i.believing(t, issuer)
	claims := issuer.Claims("ada")
	claims["groups"] = []string{"dev"}
	ada := with(t, issuer.Sign(claims))
	got, err := p.tokens.WhoAmI(ada, &authv1.WhoAmIRequest{})
	if err != nil || got.GetUser() != "corp:ada" || got.GetSource() != "oidc" || strings.Join(got.GetGroups(), ",") != "corp:dev" {
		t.Errorf("who am I: %v %v", got, err)
	}
	get := func() error {
		_, err := buildv1.NewBuildServiceClient(p.conn).Get(ada, &metav1.GetRequest{Namespace: "ci", Name: "web"})
		return err //nolint:wrapcheck // a test
	}
	fails(t, get(), apierror.ReasonForbidden, `User "corp:ada" cannot get`)
	p.give(t, "developers", &authv1.Subject{Kind: "Group", Name: "corp:dev"}, rule("get", "build.knative.dev", "builds"))
	if err := get(); err == nil || strings.Contains(err.Error(), "cannot get") {
		t.Errorf("with a right of the group: %v", err)
	}
	if tokens, rights := i.cluster.claims.asked(); tokens+rights > 0 {
		t.Errorf("the cluster was asked %d times about tokens and %d times about rights, of which it knows nothing", tokens, rights)
	}
	claims["exp"] = time.Now().Add(-time.Minute).Unix()
	_, err = p.tokens.WhoAmI(with(t, issuer.Sign(claims)), &authv1.WhoAmIRequest{})
	fails(t, err, apierror.ReasonUnauthorized, "has expired")
	claims = issuer.Claims("admin")
	claims["iss"] = "fairlead"
	_, err = p.tokens.WhoAmI(with(t, issuer.Sign(claims)), &authv1.WhoAmIRequest{})
	fails(t, err, apierror.ReasonUnauthorized, "none that this installation has issued")
	told, err := p.tokens.SignIn(context.Background(), &authv1.SignInRequest{})
	if err != nil || len(told.GetIssuers()) != 1 || told.GetIssuers()[0].GetUrl() != issuer.URL || told.GetIssuers()[0].GetCertificateAuthority() != issuer.CA {
		t.Errorf("where to sign in: %v %v", told, err)
	}
}

// Streams end when the token of an issuer does, and when its keys change.
func TestKeysOfAnIssuerAreForgotten(t *testing.T) {
	i, issuer := install(t), issuertest.Start(t)
	p := i.believing(t, issuer)
	old := with(t, issuer.Sign(issuer.Claims("ada")))
	if _, err := p.tokens.WhoAmI(old, &authv1.WhoAmIRequest{}); err != nil {
		t.Fatal(err)
	}
	changed := p.auth.Authenticator().(rpc.Changing).Changed()
	issuer.Rotate()
	if _, err := p.tokens.WhoAmI(with(t, issuer.Sign(issuer.Claims("ada"))), &authv1.WhoAmIRequest{}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-changed:
	case <-time.After(10 * time.Second):
		t.Fatal("what is remembered of tokens of the old key is not forgotten")
	}
	_, err := p.tokens.WhoAmI(old, &authv1.WhoAmIRequest{})
	fails(t, err, apierror.ReasonUnauthorized, "not one that its issuer has signed")
}

func TestAnIssuerOfOurOwnThatIsAURL(t *testing.T) {
	i := install(t)
	old, err := i.start(t).auth.AdminToken(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const url = "https://fairlead.example"
	p := i.startWith(t, Config{Issuer: url, FormerIssuers: []string{"https://older.example"}})
	token, err := p.auth.AdminToken(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var claims jwt.RegisteredClaims
	if _, _, err := jwt.NewParser().ParseUnverified(token, &claims); err != nil || claims.Issuer != url {
		t.Errorf("a new token is issued by %q: %v", claims.Issuer, err)
	}
	for reason, token := range map[string]string{"new": token, "old": old} {
		if _, err := p.tokens.WhoAmI(with(t, token), &authv1.WhoAmIRequest{}); err != nil {
			t.Errorf("%s: %v", reason, err)
		}
	}
	set, err := p.auth.keys.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	key := set.signer(time.Now())
	for issuer, good := range map[string]bool{"https://older.example": true, "https://other.example": false, "": false} {
		made := jwt.NewWithClaims(jwt.SigningMethodEdDSA, &jwt.RegisteredClaims{
			Issuer: issuer, Subject: "ada", ID: "1-000000000000000000000000", Audience: []string{"fairlead"}, ExpiresAt: jwt.NewNumericDate(time.Now().Add(time.Hour)),
		})
		made.Header["kid"] = key.id
		signed, err := made.SignedString(key.private)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.auth.tokens.Authenticate(t.Context(), signed); (err == nil) != good {
			t.Errorf("issuer %q: %v", issuer, err)
		}
	}
	if told, err := p.tokens.Keys(context.Background(), &authv1.KeysRequest{}); err != nil || told.GetIssuer() != url {
		t.Errorf("keys: %v %v", told, err)
	}
}

func TestReviewsOfOthers(t *testing.T) {
	i := install(t)
	p := i.start(t)
	p.give(t, "readers", user("ada"), rule("get", "build.knative.dev", "builds"))
	client := authv1.NewAccessServiceClient(p.conn)
	review := &authv1.ReviewRequest{Verb: "get", Group: "build.knative.dev", Resource: "builds", Namespace: "ci"}
	for who, allowed := range map[string]bool{"ada": true, "bob": false} {
		res, err := client.ReviewSubject(p.admin(t), &authv1.ReviewSubjectRequest{Subject: &authv1.ReviewedSubject{User: who}, Review: review})
		if err != nil || res.GetAllowed() != allowed || allowed == (res.GetReason() != "") {
			t.Errorf("%s: %v %v", who, res, err)
		}
		local, err := client.ReviewLocalSubject(p.admin(t), &authv1.ReviewLocalSubjectRequest{Namespace: "ci", Subject: &authv1.ReviewedSubject{User: who}, Review: review})
		if err != nil || local.GetAllowed() != allowed {
			t.Errorf("%s: %v %v", who, local, err)
		}
	}
	res, err := client.ReviewSubject(p.admin(t), &authv1.ReviewSubjectRequest{Subject: &authv1.ReviewedSubject{Groups: []string{GroupAdmins}}, Review: review})
	if err != nil || !res.GetAllowed() {
		t.Errorf("a group: %v %v", res, err)
	}
	_, err = client.ReviewSubject(p.as(t, "ada"), &authv1.ReviewSubjectRequest{Subject: &authv1.ReviewedSubject{User: "bob"}, Review: review})
	fails(t, err, apierror.ReasonForbidden, "subjectaccessreviews")
	_, err = client.ReviewLocalSubject(p.admin(t), &authv1.ReviewLocalSubjectRequest{Namespace: "other", Subject: &authv1.ReviewedSubject{User: "bob"}, Review: review})
	fails(t, err, apierror.ReasonBadRequest, "it must be that of the request")
	_, err = client.ReviewSubject(p.admin(t), &authv1.ReviewSubjectRequest{Review: review})
	fails(t, err, apierror.ReasonBadRequest, "say whom it is about")
}

// TestBuiltInRolesCoverEveryKind has the roles for users follow the kinds that there are: a viewer reads, an editor writes
// specs as well, an admin of a namespace gives rights too, and none of them reaches past its namespace.
func TestBuiltInRolesCoverEveryKind(t *testing.T) {
	all := builtInRoles()
	may := func(role, verb, group, resource, subresource string) bool {
		for _, r := range all {
			if r.GetMetadata().GetName() != role {
				continue
			}
			for _, one := range mirror.Rules(aggregated(r, all)) {
				if allows(one, rpc.Attributes{Verb: verb, Group: group, Resource: resource, Subresource: subresource, Namespace: "shop", Name: "x"}) {
					return true
				}
			}
		}
		return false
	}
	reads, writes := []string{"get", "list", "watch"}, []string{"create", "update", "patch", "delete", "deletecollection"}
	check := func(role string, k kinds.Kind, want bool, subresource string, verbs ...string) {
		t.Helper()
		for _, verb := range verbs {
			if got := may(role, verb, k.Group, k.Plural, subresource); got != want {
				t.Errorf("%s may %s %s.%s/%s: %t, want %t", role, verb, k.Plural, k.Group, subresource, got, want)
			}
		}
	}
	for _, k := range kinds.All() {
		rights := k.Group == Group && k.Plural != "serviceaccounts"
		for _, role := range []string{roleView, roleEdit, roleAdmin} {
			sees := k.Namespaced && (!rights || role == roleAdmin)
			check(role, k, sees, "", reads...)
			if k.Group != Group {
				check(role, k, k.Namespaced, "status", "get")
			}
			check(role, k, false, "status", "update", "patch")
			check(role, k, k.Namespaced && (role == roleAdmin || role == roleEdit && k.Group != Group), "", writes...)
		}
		check(roleClusterAdmin, k, true, "", append(writes, reads...)...)
		check(roleClusterAdmin, k, true, "status", "update")
	}
	var aggregates []string
	for _, r := range all {
		if r.GetAggregationRule() != nil {
			aggregates = append(aggregates, r.GetMetadata().GetName())
		}
	}
	if d := cmp.Diff([]string{roleAdmin, roleEdit, roleView}, aggregates); d != "" {
		t.Errorf("roles that others add to by label (-want +got):\n%s", d)
	}
}
