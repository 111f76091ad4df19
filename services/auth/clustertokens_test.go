// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	buildv1 "fairlead.dev/gen/go/fairlead/build/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/rpc"
	"fairlead.dev/services/internal/wire"
)

const clusterIssuer = "https://kubernetes.default.svc"

// clusterToken is a JWT as the cluster would sign it.
func clusterToken(t testing.TB, subject string, audiences ...string) string {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if len(audiences) == 0 {
		audiences = []string{clusterIssuer}
	}
	signed, err := jwt.NewWithClaims(jwt.SigningMethodEdDSA, &jwt.RegisteredClaims{
		Issuer: clusterIssuer, Subject: subject, Audience: audiences, ExpiresAt: jwt.NewNumericDate(time.Now().Add(time.Hour)),
	}).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// robot makes the cluster know a token of the service account robot in the namespace ci.
func (i *installation) robot(t testing.TB, audiences ...string) string {
	t.Helper()
	token := clusterToken(t, "system:serviceaccount:ci:robot", audiences...)
	i.cluster.claims.set(func(c *claimed) {
		c.audience[token] = audiences
		c.accounts[token] = authenticationv1.UserInfo{
			Username: "system:serviceaccount:ci:robot", UID: "u1",
			Groups: []string{"system:serviceaccounts", "system:serviceaccounts:ci", "system:authenticated", "admins", wire.GroupServices},
			Extra:  map[string]authenticationv1.ExtraValue{"authentication.kubernetes.io/pod-name": {"p"}},
		}
	})
	return token
}

func TestServiceAccountsOfTheCluster(t *testing.T) {
	i := install(t)
	p := i.start(t)
	for name, token := range map[string]string{"for the cluster's API": i.robot(t), "for ours": i.robot(t, "fairlead")} {
		t.Run(name, func(t *testing.T) {
			id, err := p.auth.Authenticator().Authenticate(t.Context(), token)
			if err != nil {
				t.Fatal(err)
			}
			if id.Expires.IsZero() {
				t.Error("it never expires")
			}
			id.Expires = time.Time{}
			want := &rpc.Identity{
				User: "system:serviceaccount:ci:robot", UID: "u1", Source: rpc.SourceCluster,
				Groups: []string{"system:serviceaccounts", "system:serviceaccounts:ci", "system:authenticated"},
				Extra:  map[string][]string{"authentication.kubernetes.io/pod-name": {"p"}},
			}
			if d := cmp.Diff(want, id); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
	who, err := p.tokens.WhoAmI(with(t, i.robot(t)), &authv1.WhoAmIRequest{})
	if err != nil || who.GetSource() != "cluster" || who.GetUid() != "u1" || who.GetExtra()["authentication.kubernetes.io/pod-name"].GetItems()[0] != "p" {
		t.Errorf("who am I: %v, %v", who, err)
	}
	alice := clusterToken(t, "alice")
	i.cluster.claims.set(func(c *claimed) { c.accounts[alice] = authenticationv1.UserInfo{Username: "alice"} })
	for name, token := range map[string]string{
		"unknown to the cluster":       clusterToken(t, "system:serviceaccount:ci:robot"),
		"for another audience":         i.robot(t, "vault"),
		"of a user who bears our name": alice,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := p.auth.Authenticator().Authenticate(t.Context(), token)
			fails(t, err, apierror.ReasonUnauthorized, "neither this installation nor the Kubernetes behind")
		})
	}
}

func TestTheClusterIsAskedSeldom(t *testing.T) {
	i := install(t)
	p := i.start(t)
	good, bad := i.robot(t), clusterToken(t, "x")
	now := time.Now()
	p.auth.authn.cluster.answers.now = func() time.Time { return now }
	ask := func(token string) error {
		_, err := p.auth.Authenticator().Authenticate(t.Context(), token)
		return err
	}
	before, _ := i.cluster.claims.asked()
	for range 10 {
		if err := ask(good); err != nil {
			t.Fatal(err)
		}
		fails(t, ask(bad), apierror.ReasonUnauthorized, "")
	}
	if after, _ := i.cluster.claims.asked(); after != before+2 {
		t.Errorf("asked %d times about two tokens", after-before)
	}
	i.cluster.claims.set(func(c *claimed) { delete(c.accounts, good) })
	now = now.Add(tokenHolds)
	fails(t, ask(good), apierror.ReasonUnauthorized, "")
	if after, _ := i.cluster.claims.asked(); after != before+3 {
		t.Errorf("asked %d times", after-before)
	}
}

func TestManyMadeUpTokensDoNotReachTheCluster(t *testing.T) {
	i := install(t)
	p := i.start(t)
	good := i.robot(t)
	if _, err := p.auth.Authenticator().Authenticate(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	refused := 0
	for n := range 5 * burstOfStrangers {
		_, err := p.auth.Authenticator().Authenticate(t.Context(), clusterToken(t, fmt.Sprint(n)))
		if apierror.Is(err, apierror.ReasonServiceUnavailable) {
			refused++
		}
	}
	if refused == 0 {
		t.Error("all of them reached the cluster")
	}
	p.auth.authn.cluster.answers.now = func() time.Time { return time.Now().Add(time.Minute) } // what is remembered is no help
	if _, err := p.auth.Authenticator().Authenticate(t.Context(), good); err != nil {
		t.Errorf("one that was good a moment ago is kept out: %v", err)
	}
}

func TestTheClusterIsAway(t *testing.T) {
	i := install(t)
	p := i.start(t)
	token, ours := i.robot(t), p.as(t, "ada")
	i.cluster.claims.set(func(c *claimed) { c.away = true })
	_, err := p.tokens.WhoAmI(with(t, token), &authv1.WhoAmIRequest{})
	fails(t, err, apierror.ReasonServiceUnavailable, "the Kubernetes behind does not say whether")
	if _, err := p.tokens.WhoAmI(ours, &authv1.WhoAmIRequest{}); err != nil {
		t.Errorf("our own token: %v", err)
	}
	_, err = buildv1.NewBuildServiceClient(p.conn).Get(ours, &metav1.GetRequest{Namespace: "ci", Name: "web"})
	fails(t, err, apierror.ReasonForbidden, "")
	i.cluster.claims.set(func(c *claimed) { c.away = false })
	if _, err := p.tokens.WhoAmI(with(t, token), &authv1.WhoAmIRequest{}); err != nil {
		t.Errorf("once it is back: %v", err)
	}
}

func TestWhatTheClusterAllowsItsOwn(t *testing.T) {
	i := install(t)
	p := i.start(t)
	now := time.Now()
	p.auth.reviews.answers.now = func() time.Time { return now }
	robot, err := p.auth.Authenticator().Authenticate(t.Context(), i.robot(t))
	if err != nil {
		t.Fatal(err)
	}
	get := rpc.Attributes{Verb: "get", Group: builds, Resource: "builds", Namespace: "ci", Name: "web"}
	may := func(id *rpc.Identity, a rpc.Attributes) error {
		return p.auth.Authorizer().Authorize(t.Context(), id, a)
	}
	fails(t, may(robot, get), apierror.ReasonForbidden, `User "system:serviceaccount:ci:robot" cannot get`)
	allow := true
	var seen authorizationv1.SubjectAccessReviewSpec
	i.cluster.claims.set(func(c *claimed) {
		c.allowed = func(s authorizationv1.SubjectAccessReviewSpec) bool {
			seen = s
			return allow && (s.NonResourceAttributes != nil || s.ResourceAttributes.Resource == "builds")
		}
	})
	now = now.Add(reviewHolds)
	_, before := i.cluster.claims.asked()
	for range 10 {
		if err := may(robot, get); err != nil {
			t.Fatal(err)
		}
	}
	if _, after := i.cluster.claims.asked(); after != before+1 {
		t.Errorf("asked %d times", after-before)
	}
	want := authorizationv1.SubjectAccessReviewSpec{
		User: robot.User, UID: "u1", Groups: robot.Groups, Extra: map[string]authorizationv1.ExtraValue{"authentication.kubernetes.io/pod-name": {"p"}},
		ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: "ci", Verb: "get", Group: builds, Version: "*", Resource: "builds", Name: "web"},
	}
	if d := cmp.Diff(want, seen); d != "" {
		t.Errorf("asked (-want +got):\n%s", d)
	}
	if err := may(robot, rpc.Attributes{Verb: "get", Path: "/metrics"}); err != nil {
		t.Errorf("a path: %v", err)
	}
	// What was taken away is gone within a second.
	i.cluster.claims.set(func(*claimed) { allow = false })
	now = now.Add(time.Second)
	fails(t, may(robot, get), apierror.ReasonForbidden, "")

	// Our own users get nothing from the cluster here, whatever it would say.
	i.cluster.claims.set(func(*claimed) { allow = true })
	_, before = i.cluster.claims.asked()
	fails(t, may(&rpc.Identity{User: "ada", Source: rpc.SourceToken}, get), apierror.ReasonForbidden, "")
	if _, after := i.cluster.claims.asked(); after != before {
		t.Error("the cluster was asked")
	}
	i.cluster.claims.set(func(c *claimed) { c.away = true })
	fails(t, may(robot, rpc.Attributes{Verb: "list", Group: builds, Resource: "builds"}), apierror.ReasonServiceUnavailable, "does not say what")
}

func TestBindingsOfOursToServiceAccounts(t *testing.T) {
	i := install(t)
	p := i.start(t)
	p.give(t, "robots", &authv1.Subject{Kind: "ServiceAccount", Namespace: "ci", Name: "robot"}, rule("get", builds, "builds"))
	p.give(t, "groups", &authv1.Subject{Kind: "Group", Name: "system:serviceaccounts:ci"}, rule("list", builds, "builds"))
	robot, err := p.auth.Authenticator().Authenticate(t.Context(), i.robot(t))
	if err != nil {
		t.Fatal(err)
	}
	_, before := i.cluster.claims.asked()
	for _, verb := range []string{"get", "list"} {
		if err := p.auth.Authorizer().Authorize(t.Context(), robot, rpc.Attributes{Verb: verb, Group: builds, Resource: "builds", Namespace: "ci"}); err != nil {
			t.Errorf("%s: %v", verb, err)
		}
	}
	if _, after := i.cluster.claims.asked(); after != before {
		t.Error("the cluster was asked for what our own roles allow")
	}
}

func TestMayCreatePods(t *testing.T) {
	i := install(t)
	p := i.start(t)
	i.cluster.claims.set(func(c *claimed) {
		c.allowed = func(s authorizationv1.SubjectAccessReviewSpec) bool {
			r := s.ResourceAttributes
			return s.User == "fairlead:ada" && r.Verb == "create" && r.Group == "" && r.Resource == "pods" && r.Namespace == "shop"
		}
	})
	ada := &rpc.Identity{User: "ada", Groups: []string{"staff"}}
	if err := p.auth.Access().MayCreatePods(t.Context(), ada, "shop"); err != nil {
		t.Error(err)
	}
	fails(t, p.auth.Access().MayCreatePods(t.Context(), ada, "other"), apierror.ReasonForbidden,
		`user "ada", whom the Kubernetes behind knows as "fairlead:ada", cannot create pods there in the namespace "other"`)
	if err := p.auth.Access().MayCreatePods(t.Context(), &rpc.Identity{User: "root", Groups: []string{"admins"}}, "other"); err != nil {
		t.Error(err)
	}
}

func TestAnswers(t *testing.T) {
	a := newAnswers[int]()
	ctx := context.Background()
	ask := func(context.Context) (int, time.Duration, error) { return 1, time.Hour, nil }
	for n := range maxAnswers + 10 {
		if _, err := a.get(ctx, question{byte(n), byte(n >> 8), byte(n >> 16)}, ask); err != nil {
			t.Fatal(err)
		}
	}
	if len(a.known) > maxAnswers {
		t.Errorf("%d answers are remembered", len(a.known))
	}
	// Many who ask the same at once are answered by one question, and one who gives up does not end it for the others.
	gate := make(chan struct{})
	var asked atomic.Int32
	slow := func(context.Context) (int, time.Duration, error) { asked.Add(1); <-gate; return 2, time.Hour, nil }
	q := question{31: 1}
	given, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := a.get(given, q, slow); err == nil {
		t.Error("one who gave up was answered")
	}
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			if got, err := a.get(ctx, q, slow); got != 2 || err != nil {
				t.Errorf("got %d, %v", got, err)
			}
		})
	}
	soon(t, func() bool { return asked.Load() == 1 })
	close(gate)
	wg.Wait()
	if asked.Load() != 1 {
		t.Errorf("asked %d times", asked.Load())
	}
}

// Nothing of a token, and nothing of a key, is in what is logged or told.
func TestNoSecretIsToldOrLogged(t *testing.T) {
	i := install(t)
	p := i.start(t)
	issued, err := p.tokens.Issue(p.admin(t), &authv1.IssueRequest{User: "ada"})
	if err != nil {
		t.Fatal(err)
	}
	secrets := []string{issued.GetToken(), i.robot(t), clusterToken(t, "x"), i.robot(t, "vault"), issued.GetToken() + "x", "x" + issued.GetToken()}
	var told []string
	for _, away := range []bool{false, true} {
		i.cluster.claims.set(func(c *claimed) { c.away = away })
		for _, token := range secrets {
			_, err := p.tokens.Revoke(with(t, token), &authv1.RevokeRequest{Id: token})
			told = append(told, fmt.Sprint(err))
			_, err = p.tokens.Issue(with(t, token), &authv1.IssueRequest{User: "bob"})
			told = append(told, fmt.Sprint(err))
		}
	}
	i.cluster.claims.set(func(c *claimed) { c.away = false })
	for _, token := range secrets { // who mistakes the token for its id is not told it again
		_, err := p.tokens.Revoke(p.admin(t), &authv1.RevokeRequest{Id: token})
		told = append(told, fmt.Sprint(err))
	}
	if _, err := p.tokens.RotateKeys(p.admin(t), &authv1.RotateKeysRequest{}); err != nil {
		t.Fatal(err)
	}
	secret, err := p.auth.keys.ensure(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range secret.Data {
		if strings.HasSuffix(name, keySuffix) {
			secrets = append(secrets, strings.Split(string(value), "\n")[1])
		}
	}
	told = append(told, p.log.String())
	for _, text := range told {
		for n, s := range secrets {
			parts := strings.Split(s, ".")
			if strings.Contains(text, parts[len(parts)-1]) { // the signature, or the key
				t.Errorf("secret %d is in %.300q", n, text)
			}
		}
	}
}

// Whatever strangers send, nobody is taken for anyone.
func FuzzAuthenticate(f *testing.F) {
	i := install(f)
	p := i.start(f)
	made, err := p.auth.tokens.mint(f.Context(), tokenSpec{user: "ada", lifetime: time.Hour})
	if err != nil {
		f.Fatal(err)
	}
	good := map[string]bool{made.token: true, i.robot(f): true}
	for token := range good {
		f.Add(token)
		f.Add(token + "A")
		f.Add(strings.Replace(token, ".", "..", 1))
	}
	f.Add("")
	f.Add("..")
	f.Add("eyJhbGciOiJub25lIn0.eyJpc3MiOiJmYWlybGVhZCIsInN1YiI6ImFkbWluIn0.")
	f.Fuzz(func(t *testing.T, token string) {
		id, err := p.auth.Authenticator().Authenticate(t.Context(), token)
		if good[token] {
			return
		}
		if err == nil {
			t.Fatalf("taken for %q", id.User)
		}
		if len(token) > 20 && strings.Contains(err.Error(), token) {
			t.Fatal("the token is in the error")
		}
	})
}
