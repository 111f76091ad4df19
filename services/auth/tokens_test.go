// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	corev1 "k8s.io/api/core/v1"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	buildv1 "fairlead.dev/gen/go/fairlead/build/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/rpc"
)

func TestWhoAmI(t *testing.T) {
	p := install(t).start(t)
	got, err := p.tokens.WhoAmI(p.as(t, "ada", "staff"), &authv1.WhoAmIRequest{})
	if err != nil || got.GetUser() != "ada" || len(got.GetGroups()) != 1 || got.GetTokenId() == "" {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestBadTokensAreRefused(t *testing.T) {
	p := install(t).start(t)
	ctx := p.admin(t)
	if _, err := p.tokens.WhoAmI(ctx, &authv1.WhoAmIRequest{}); err != nil {
		t.Fatal(err)
	}
	set, err := p.auth.keys.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, foreign, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	current := set.signer(time.Now())
	ours := current.private
	sign := func(method jwt.SigningMethod, key any, kid string, change func(*claims)) string {
		t.Helper()
		id, err := newTokenID(time.Now().Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		c := &claims{RegisteredClaims: jwt.RegisteredClaims{
			Issuer: "fairlead", Subject: "admin", Audience: []string{"fairlead"}, ID: id, ExpiresAt: jwt.NewNumericDate(time.Now().Add(time.Hour)),
		}, Groups: []string{"admins"}}
		if change != nil {
			change(c)
		}
		token := jwt.NewWithClaims(method, c)
		token.Header["kid"] = kid
		signed, err := token.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	if _, err := p.tokens.WhoAmI(with(t, sign(jwt.SigningMethodEdDSA, ours, current.id, nil)), &authv1.WhoAmIRequest{}); err != nil {
		t.Fatalf("the right one is refused: %v", err)
	}
	good := sign(jwt.SigningMethodEdDSA, ours, current.id, nil)
	parts := strings.Split(good, ".")
	payload := base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"fairlead","sub":"root","aud":"fairlead","jti":"x","exp":4000000000,"groups":["admins"]}`))
	revoked, err := p.tokens.Issue(ctx, &authv1.IssueRequest{User: "ada"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.tokens.Revoke(ctx, &authv1.RevokeRequest{Id: revoked.GetId()}); err != nil {
		t.Fatal(err)
	}
	cases := map[string]string{
		"none":            "",
		"no JWT":          "abc",
		"too long":        strings.Repeat("x", maxTokenBytes+1),
		"foreign key":     sign(jwt.SigningMethodEdDSA, foreign, current.id, nil),
		"unknown key id":  sign(jwt.SigningMethodEdDSA, foreign, "other", nil),
		"alg none":        sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, current.id, nil),
		"public key HMAC": sign(jwt.SigningMethodHS256, []byte(ours.Public().(ed25519.PublicKey)), current.id, nil),
		"other payload":   parts[0] + "." + payload + "." + parts[2],
		"no signature":    parts[0] + "." + parts[1] + ".",
		"expired":         sign(jwt.SigningMethodEdDSA, ours, current.id, func(c *claims) { c.ExpiresAt = jwt.NewNumericDate(time.Now().Add(-time.Second)) }),
		"never expires":   sign(jwt.SigningMethodEdDSA, ours, current.id, func(c *claims) { c.ExpiresAt = nil }),
		"other audience":  sign(jwt.SigningMethodEdDSA, ours, current.id, func(c *claims) { c.Audience = []string{"other"} }),
		"no audience":     sign(jwt.SigningMethodEdDSA, ours, current.id, func(c *claims) { c.Audience = nil }),
		"other issuer":    sign(jwt.SigningMethodEdDSA, ours, current.id, func(c *claims) { c.Issuer = "other" }),
		"nobody":          sign(jwt.SigningMethodEdDSA, ours, current.id, func(c *claims) { c.Subject = "" }),
		"no id":           sign(jwt.SigningMethodEdDSA, ours, current.id, func(c *claims) { c.ID = "" }),
		"revoked":         revoked.GetToken(),
	}
	for name, token := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := p.tokens.WhoAmI(with(t, token), &authv1.WhoAmIRequest{})
			if status.Code(err) != codes.Unauthenticated || (token != "" && strings.Contains(err.Error(), token)) {
				t.Errorf("got %v", err)
			}
		})
	}
	for name, token := range cases {
		if len(token) > 20 && strings.Contains(p.log.String(), token) {
			t.Errorf("%s: the token is in the log", name)
		}
	}
}

// Every method of every service asks for a token, and for a right, unless it is meant for all.
func TestDenyByDefault(t *testing.T) {
	p := install(t).start(t)
	nobody := p.as(t, "nobody")
	for service, info := range p.server.GetServiceInfo() {
		if strings.HasPrefix(service, "grpc.") {
			continue // health and reflection
		}
		for _, m := range info.Methods {
			call := func(ctx context.Context) codes.Code {
				ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
				defer cancel()
				stream, err := p.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/"+service+"/"+m.Name)
				if err != nil {
					return status.Code(err)
				}
				_ = stream.SendMsg(&emptypb.Empty{})
				_ = stream.CloseSend()
				return status.Code(stream.RecvMsg(&emptypb.Empty{}))
			}
			if m.Name == "Keys" || m.Name == "SignIn" {
				continue // what the whole world may know
			}
			if c := call(context.Background()); c != codes.Unauthenticated {
				t.Errorf("%s/%s without token: %s", service, m.Name, c)
			}
			want := codes.PermissionDenied
			switch service + "/" + m.Name {
			case "fairlead.auth.v1.TokenService/WhoAmI", "fairlead.auth.v1.AccessService/Rules":
				want = codes.OK
			case "fairlead.auth.v1.AccessService/Review":
				want = codes.InvalidArgument // it asks for nothing
			}
			if c := call(nobody); c != want {
				t.Errorf("%s/%s without right: %s", service, m.Name, c)
			}
		}
	}
}

func TestRevocationReachesEveryProcess(t *testing.T) {
	i := install(t)
	one, two := i.start(t), i.start(t)
	issued, err := one.tokens.Issue(one.admin(t), &authv1.IssueRequest{User: "ada"})
	if err != nil {
		t.Fatal(err)
	}
	ctx := with(t, issued.GetToken())
	for _, p := range []*process{one, two} {
		if _, err := p.tokens.WhoAmI(ctx, &authv1.WhoAmIRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := one.tokens.Revoke(one.admin(t), &authv1.RevokeRequest{Id: issued.GetId()}); err != nil {
		t.Fatal(err)
	}
	if _, err := one.tokens.WhoAmI(ctx, &authv1.WhoAmIRequest{}); status.Code(err) != codes.Unauthenticated {
		t.Errorf("in the same process: %v", err)
	}
	deadline := time.Now().Add(time.Second)
	for {
		_, err := two.tokens.WhoAmI(ctx, &authv1.WhoAmIRequest{})
		if status.Code(err) == codes.Unauthenticated {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("in another process, after a second: %v", err)
		}
	}
	three := i.start(t)
	if _, err := three.tokens.WhoAmI(ctx, &authv1.WhoAmIRequest{}); status.Code(err) != codes.Unauthenticated {
		t.Errorf("in a later process: %v", err)
	}
	keys, err := i.etcd.Get(t.Context(), one.auth.revocations.prefix+issued.GetId())
	if err != nil || len(keys.Kvs) != 1 || keys.Kvs[0].Lease == 0 {
		t.Errorf("a revocation lasts for ever: %v, %v", keys, err)
	}
	_, err = one.tokens.Revoke(one.admin(t), &authv1.RevokeRequest{Id: "../x"})
	fails(t, err, apierror.ReasonBadRequest, "no token's id")
}

func TestKeysAreSharedAndFollowed(t *testing.T) {
	i := install(t)
	one, two := i.start(t), i.start(t)
	ctx := one.as(t, "ada")
	if _, err := two.tokens.WhoAmI(ctx, &authv1.WhoAmIRequest{}); err != nil {
		t.Fatalf("another process's token: %v", err)
	}
	secrets := i.cluster.clientset.CoreV1().Secrets("fairlead-system")
	secret, err := secrets.Get(t.Context(), "fairlead-signing-keys", kmetav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if secret.Labels["fairlead.dev/installation"] != "test" {
		t.Errorf("labels %v", secret.Labels)
	}
	if _, err := i.cluster.clientset.CoreV1().Namespaces().Get(t.Context(), "fairlead-system", kmetav1.GetOptions{}); err != nil {
		t.Error(err)
	}
	secret.Data = map[string][]byte{"current": []byte("x")}
	if _, err := secrets.Update(t.Context(), secret, kmetav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	soon(t, func() bool { return strings.Contains(two.log.String(), "the signing keys cannot be read") })
	if _, err := two.tokens.WhoAmI(ctx, &authv1.WhoAmIRequest{}); err != nil {
		t.Errorf("a broken Secret took the keys away: %v", err)
	}
	secret.Data = map[string][]byte{}
	if _, err := addKey(secret.Data, time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := secrets.Update(t.Context(), secret, kmetav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	soon(t, func() bool {
		_, err := two.tokens.WhoAmI(ctx, &authv1.WhoAmIRequest{})
		return status.Code(err) == codes.Unauthenticated
	})
}

// soon waits for what another goroutine does, of which no signal tells.
func soon(t *testing.T, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !is() {
		if time.Now().After(deadline) {
			t.Fatal("it does not become true")
		}
		time.Sleep(time.Millisecond)
	}
}

func TestIssueChecksEveryFault(t *testing.T) {
	p := install(t).start(t)
	_, err := p.tokens.Issue(p.admin(t), &authv1.IssueRequest{
		User: "system:admin", Groups: []string{"ok", "system:masters", "", "a\nb"}, Audiences: []string{""},
	})
	e := fails(t, err, apierror.ReasonInvalid, "reserved")
	got := make([]string, 0, len(e.Causes))
	for _, c := range e.Causes {
		got = append(got, c.Field)
	}
	if d := cmp.Diff([]string{"user", "groups[1]", "groups[2]", "groups[3]", "audiences[0]"}, got); d != "" {
		t.Errorf("causes (-want +got):\n%s", d)
	}
}

func TestIssuedTokens(t *testing.T) {
	p := install(t).start(t)
	before := time.Now()
	got, err := p.tokens.Issue(p.admin(t), &authv1.IssueRequest{User: "ada", Groups: []string{"staff"}})
	if err != nil {
		t.Fatal(err)
	}
	if left := got.GetExpirationTimestamp().AsTime().Sub(before); left < 59*time.Minute || left > time.Hour+time.Second {
		t.Errorf("it holds for %s", left)
	}
	me, err := p.tokens.WhoAmI(with(t, got.GetToken()), &authv1.WhoAmIRequest{})
	if err != nil || me.GetUser() != "ada" || me.GetTokenId() != got.GetId() {
		t.Errorf("got %v, %v", me, err)
	}
	other, err := p.tokens.Issue(p.admin(t), &authv1.IssueRequest{User: "ada", Audiences: []string{"registry"}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.tokens.WhoAmI(with(t, other.GetToken()), &authv1.WhoAmIRequest{})
	fails(t, err, apierror.ReasonUnauthorized, "for another audience")
}

func TestServiceCredentials(t *testing.T) {
	p := install(t).start(t)
	conn, err := p.memory.Dial(p.auth.ServiceCredentials("router"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	me, err := authv1.NewTokenServiceClient(conn).WhoAmI(ctx, &authv1.WhoAmIRequest{})
	if err != nil || me.GetUser() != "system:fairlead:router" || cmp.Diff([]string{"system:fairlead:services"}, me.GetGroups()) != "" {
		t.Errorf("got %v, %v", me, err)
	}
	stream, err := servingv1.NewRouterServiceClient(conn).Sync(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.Unimplemented {
		t.Errorf("a router may not sync: %v", err)
	}
	_, err = buildv1.NewBuildServiceClient(conn).Get(ctx, &metav1.GetRequest{Namespace: "a", Name: "b"})
	fails(t, err, apierror.ReasonForbidden, `cannot get resource "builds"`)

	c, ok := p.auth.ServiceCredentials("x").(*serviceCredentials)
	if !ok {
		t.Fatal("other credentials")
	}
	first, err := c.GetRequestMetadata(ctx)
	if err != nil {
		t.Fatal(err)
	}
	again, err := c.GetRequestMetadata(ctx)
	if err != nil || again[rpc.AuthorizationKey] != first[rpc.AuthorizationKey] {
		t.Errorf("a token a call: %v", err)
	}
	c.renew = time.Now().Add(-time.Second)
	if next, err := c.GetRequestMetadata(ctx); err != nil || next[rpc.AuthorizationKey] == first[rpc.AuthorizationKey] {
		t.Errorf("not renewed: %v", err)
	}
}

func TestKubeconfig(t *testing.T) {
	p := install(t).start(t)
	_, err := p.tokens.Kubeconfig(p.admin(t), &authv1.KubeconfigRequest{User: "ada"})
	fails(t, err, apierror.ReasonServiceUnavailable, "does not know its own address")
	p.auth.SetKubeconfigTarget("https://127.0.0.1:8443", []byte("PEM"))
	got, err := p.tokens.Kubeconfig(p.admin(t), &authv1.KubeconfigRequest{User: "ada", Namespace: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := clientcmd.Load([]byte(got.GetKubeconfig()))
	if err != nil {
		t.Fatal(err)
	}
	current := raw.Contexts[raw.CurrentContext]
	if current.Namespace != "shop" || raw.Clusters[current.Cluster].Server != "https://127.0.0.1:8443" || string(raw.Clusters[current.Cluster].CertificateAuthorityData) != "PEM" {
		t.Errorf("got %+v", current)
	}
	me, err := p.tokens.WhoAmI(with(t, raw.AuthInfos[current.AuthInfo].Token), &authv1.WhoAmIRequest{})
	if err != nil || me.GetUser() != "ada" {
		t.Errorf("got %v, %v", me, err)
	}
}

func TestAdminTokenFile(t *testing.T) {
	p := install(t).start(t)
	file := filepath.Join(t.TempDir(), "state", "admin.token")
	first, made, err := p.auth.EnsureAdminToken(t.Context(), file)
	if err != nil || !made {
		t.Fatalf("made %v, %v", made, err)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != fs.FileMode(0o600) {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	again, made, err := p.auth.EnsureAdminToken(t.Context(), file)
	if err != nil || made || again != first {
		t.Errorf("made %v, %v", made, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != fs.FileMode(0o600) {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	me, err := p.tokens.WhoAmI(with(t, first), &authv1.WhoAmIRequest{})
	if err != nil || me.GetUser() != "admin" || cmp.Diff([]string{"admins"}, me.GetGroups()) != "" {
		t.Fatalf("got %v, %v", me, err)
	}
	if _, err := p.tokens.Revoke(p.admin(t), &authv1.RevokeRequest{Id: me.GetTokenId()}); err != nil {
		t.Fatal(err)
	}
	next, made, err := p.auth.EnsureAdminToken(t.Context(), file)
	if err != nil || !made || next == first {
		t.Errorf("a revoked one stays: %v, %v", made, err)
	}
	if strings.Contains(p.log.String(), first) {
		t.Error("the token is in the log")
	}
}

func TestKeysOfAnotherInstallationAreLeftAlone(t *testing.T) {
	i := install(t)
	data := map[string][]byte{}
	if _, err := addKey(data, time.Now()); err != nil {
		t.Fatal(err)
	}
	_, err := i.cluster.clientset.CoreV1().Secrets("fairlead-system").Create(t.Context(), &corev1.Secret{
		ObjectMeta: kmetav1.ObjectMeta{Name: "fairlead-signing-keys", Namespace: "fairlead-system", Labels: map[string]string{"fairlead.dev/installation": "other"}},
		Data:       data,
	}, kmetav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p := i.start(t)
	if _, err := p.auth.AdminToken(t.Context()); err == nil || !strings.Contains(err.Error(), `it belongs to installation "other": give this one ("test")`) {
		t.Errorf("got %v", err)
	}
}
