// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
	"k8s.io/client-go/tools/clientcmd"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	"fairlead.dev/services/auth/issuers"
	"fairlead.dev/services/auth/issuers/issuertest"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/rpc"
)

// door is a server that people sign in to: it believes an issuer, and the tokens `admin` and `reader`.
type door struct {
	authv1.UnimplementedTokenServiceServer

	believed *issuers.Set
	issuer   *issuertest.Issuer
	address  string

	mu      sync.Mutex
	revoked []string
}

func (d *door) Authenticate(ctx context.Context, token string) (*rpc.Identity, error) {
	if strings.Count(token, ".") == 2 {
		return d.believed.Authenticate(ctx, d.issuer.URL, token) //nolint:wrapcheck // an error of ours
	}
	return users{}.Authenticate(ctx, token)
}

func (d *door) SignIn(context.Context, *authv1.SignInRequest) (*authv1.SignInResponse, error) {
	res := &authv1.SignInResponse{Url: "https://front.example:8443", CertificateAuthority: []byte("PEM")}
	for _, i := range d.believed.Public() {
		res.Issuers = append(res.Issuers, &authv1.SignInIssuer{Url: i.URL, Audiences: i.Audiences, CertificateAuthority: i.Authority})
	}
	return res, nil
}

func (*door) WhoAmI(ctx context.Context, _ *authv1.WhoAmIRequest) (*authv1.WhoAmIResponse, error) {
	id, _ := rpc.IdentityFrom(ctx)
	res := &authv1.WhoAmIResponse{User: id.User, Groups: id.Groups, Uid: id.UID, Source: string(cmp.Or(id.Source, rpc.SourceToken)), Extra: map[string]*authv1.ExtraValue{}}
	for key, values := range id.Extra {
		res.Extra[key] = &authv1.ExtraValue{Items: values}
	}
	return res, nil
}

var ends = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

func (*door) Issue(_ context.Context, r *authv1.IssueRequest) (*authv1.IssueResponse, error) {
	return &authv1.IssueResponse{Token: said("token of", r), Id: "id-1", ExpirationTimestamp: timestamppb.New(ends)}, nil
}

func (*door) IssueForServiceAccount(_ context.Context, r *authv1.IssueForServiceAccountRequest) (*authv1.IssueForServiceAccountResponse, error) {
	if r.GetName() == "absent" {
		return nil, apierror.ToStatus(apierror.NotFound(apierror.Resource{Group: "auth.fairlead.dev", Plural: "serviceaccounts"}, "absent")).Err()
	}
	return &authv1.IssueForServiceAccountResponse{Token: said("token of", r), ExpirationTimestamp: timestamppb.New(ends)}, nil
}

func (d *door) Revoke(_ context.Context, r *authv1.RevokeRequest) (*authv1.RevokeResponse, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.revoked = append(d.revoked, r.GetId())
	return &authv1.RevokeResponse{}, nil
}

const someKubeconfig = `apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: 'https://%s.example'}}]
users: [{name: u, user: {token: '%s'}}]
contexts: [{name: x, context: {cluster: c, user: u, namespace: shop}}]
current-context: x
`

func (*door) Kubeconfig(_ context.Context, r *authv1.KubeconfigRequest) (*authv1.KubeconfigResponse, error) {
	return &authv1.KubeconfigResponse{Kubeconfig: fmt.Sprintf(someKubeconfig, "front", said("token of", r))}, nil
}

func (*door) KubeconfigForServiceAccount(_ context.Context, r *authv1.KubeconfigForServiceAccountRequest) (*authv1.KubeconfigForServiceAccountResponse, error) {
	return &authv1.KubeconfigForServiceAccountResponse{Kubeconfig: fmt.Sprintf(someKubeconfig, r.GetTarget(), said("token of", r))}, nil
}

// said tells what a request said, so that a golden file has it.
func said(what string, request any) string {
	data, err := json.Marshal(request)
	if err != nil {
		return err.Error()
	}
	return what + " " + string(data)
}

// startDoor starts one. Without an issuer it believes none.
func startDoor(t *testing.T, i *issuertest.Issuer) *door {
	t.Helper()
	isolate(t)
	d := &door{issuer: i}
	var configuration *issuers.Configuration
	if i != nil {
		ca := filepath.Join(t.TempDir(), "ca.pem")
		if err := os.WriteFile(ca, []byte(i.CA), 0o600); err != nil {
			t.Fatal(err)
		}
		var err error
		configuration, err = issuers.Flags{IssuerURL: i.URL, ClientID: issuertest.ClientID, UsernamePrefix: "corp:", GroupsClaim: "groups", CAFile: ca}.Configuration()
		if err != nil {
			t.Fatal(err)
		}
	}
	changed := make(chan struct{}, 10)
	var err error
	if d.believed, err = issuers.New(configuration, issuers.Options{Changed: func() { changed <- struct{}{} }, Log: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	server, err := rpc.NewServer(rpc.Config{Authn: d, Authz: users{}})
	if err != nil {
		t.Fatal(err)
	}
	authv1.RegisterTokenServiceServer(server, d)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d.address = listener.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { d.believed.Run(ctx) })
	wg.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() { server.Stop(); cancel(); wg.Wait() })
	if i != nil {
		select {
		case <-changed:
		case <-time.After(20 * time.Second):
			t.Fatal("the issuer does not become known")
		}
	}
	t.Setenv(envServer, d.address)
	return d
}

// page is what a person opens.
var page = regexp.MustCompile(`https://\S+/authorize\?\S+`)

// signIn runs a login, and has a browser open the page that it prints.
func (d *door) signIn(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	r := background(t, append([]string{"login", "--timeout", "30s"}, args...)...)
	r.err.until(t, "state=")
	r.err.until(t, "\n\n")
	client := d.issuer.Client()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, page.FindString(r.err.text()), nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if !strings.Contains(string(text), "signed in") {
		t.Errorf("the browser shows %s", text)
	}
	client.CloseIdleConnections()
	return r.wait(), r.out.text(), r.err.text()
}

func ok(t *testing.T, r result, want string) {
	t.Helper()
	if r.code != 0 || !strings.Contains(r.stdout, want) {
		t.Fatalf("got %d\n%s%s, want %s", r.code, r.stdout, r.stderr, want)
	}
}

func notOK(t *testing.T, r result, want string) {
	t.Helper()
	if r.code == 0 || !strings.Contains(r.stderr, want) {
		t.Fatalf("got %d\n%s%s, want %s", r.code, r.stdout, r.stderr, want)
	}
}

func TestSignInInABrowser(t *testing.T) {
	i := issuertest.Start(t)
	d := startDoor(t, i)
	i.Set(func(s *issuertest.Settings) { s.Claims = map[string]any{"groups": []string{"dev"}} })
	code, out, errs := d.signIn(t)
	if code != 0 || !strings.Contains(out, "Signed in to "+d.address+" as corp:ada.") {
		t.Fatalf("got %d\n%s%s", code, out, errs)
	}
	file := filepath.Join(os.Getenv("HOME"), ".config", "fairlead", "config")
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the file is %v, %v", info, err)
	}
	ok(t, run(t.Context(), "", "whoami"), "Groups      [dev system:authenticated]\n")
	t.Setenv(envServer, "")
	ok(t, run(t.Context(), "", "whoami"), "corp:ada") // of the server that was signed in to last

	// Once it has expired, it is renewed, by one command at a time: the refresh token of the issuer holds once.
	config, err := clientcmd.LoadFromFile(file)
	if err != nil {
		t.Fatal(err)
	}
	claims := i.Claims("ada")
	claims["exp"] = time.Now().Add(-time.Minute).Unix()
	config.AuthInfos[d.address].AuthProvider.Config["id-token"] = i.Sign(claims)
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	results := make([]result, 4)
	for n := range results {
		wg.Go(func() { results[n] = run(t.Context(), "", "token", "--exec-credential") })
	}
	wg.Wait()
	for _, r := range results {
		ok(t, r, `"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1"`)
		if r.stdout != results[0].stdout {
			t.Errorf("tokens differ:\n%s%s", r.stdout, results[0].stdout)
		}
	}
	ok(t, run(t.Context(), "", "whoami", "-o", "json"), `"username": "corp:ada"`)

	// Where the issuer does not renew it, that is said, and what is there stays.
	config, _ = clientcmd.LoadFromFile(file)
	config.AuthInfos[d.address].AuthProvider.Config["id-token"] = i.Sign(claims)
	config.AuthInfos[d.address].AuthProvider.Config["refresh-token"] = "spent"
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		t.Fatal(err)
	}
	notOK(t, run(t.Context(), "", "whoami"), "its issuer does not renew it (invalid_grant); sign in again: fairlead login")
	notOK(t, run(t.Context(), "", "token"), "sign in again: fairlead login")
	delete(config.AuthInfos[d.address].AuthProvider.Config, "refresh-token")
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		t.Fatal(err)
	}
	notOK(t, run(t.Context(), "", "whoami"), "its issuer gave none to renew it with")

	ok(t, run(t.Context(), "", "logout"), "Signed out of "+d.address)
	ok(t, run(t.Context(), "", "logout", "--server", d.address), "Not signed in")
	notOK(t, run(t.Context(), "", "whoami", "--server", d.address), "sign in with `fairlead login`")
	if text, err := os.ReadFile(file); err != nil || strings.Contains(string(text), "ey") {
		t.Errorf("a token is left: %s %v", text, err)
	}
}

func TestSignInThatComesToNothing(t *testing.T) {
	i := issuertest.Start(t)
	d := startDoor(t, i)
	i.Set(func(s *issuertest.Settings) { s.Denies = true })
	r := background(t, "login", "--timeout", "30s")
	r.err.until(t, "state=")
	r.err.until(t, "\n\n")
	opened := page.FindString(r.err.text())
	u, err := url.Parse(opened)
	if err != nil {
		t.Fatal(err)
	}
	// Whoever does not know the state is not heard.
	forged, err := http.NewRequestWithContext(t.Context(), http.MethodGet, u.Query().Get("redirect_uri")+"?code=stolen&state=guessed", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(forged)
	if err != nil || res.StatusCode != http.StatusNotFound {
		t.Fatalf("a forged answer: %v %v", res, err)
	}
	_ = res.Body.Close()
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, opened, nil)
	client := i.Client()
	if res, err = client.Do(req); err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	client.CloseIdleConnections()
	if code := r.wait(); code == 0 || !strings.Contains(r.err.text(), `the issuer says "access_denied"`) {
		t.Errorf("denied: %d %s", code, r.err.text())
	}
	i.Set(func(s *issuertest.Settings) { s.Denies, s.Claims = false, map[string]any{"nonce": "of somebody else"} })
	if code, _, errs := d.signIn(t); code == 0 || !strings.Contains(errs, "that was not asked for here") {
		t.Errorf("with a token of another sign-in: %d %s", code, errs)
	}
	i.Set(func(s *issuertest.Settings) { s.Claims = map[string]any{"sub": "system:admin"} })
	notOK(t, run(t.Context(), "", "login", "--timeout", "10ms"), "it took longer than --timeout 10ms")
	i.Set(func(s *issuertest.Settings) { s.Away = true })
	notOK(t, run(t.Context(), "", "login"), "issuer "+i.URL)
	if _, err := os.Stat(filepath.Join(os.Getenv("HOME"), ".config", "fairlead", "config")); err == nil {
		t.Error("something was kept of it")
	}
}

func TestSignInOnADevice(t *testing.T) {
	i := issuertest.Start(t)
	d := startDoor(t, i)
	i.Set(func(s *issuertest.Settings) { s.Pending = 1 })
	r := run(t.Context(), "", "login", "--device")
	ok(t, r, "Signed in to "+d.address+" as corp:ada.")
	if !strings.Contains(r.stderr, "enter the code ABCD-EFGH") || !strings.Contains(r.stderr, i.URL+"/activate") {
		t.Errorf("a person is not told what to do: %s", r.stderr)
	}
	i.Set(func(s *issuertest.Settings) { s.NoDevices = true })
	notOK(t, run(t.Context(), "", "login", "--device"), "the issuer has no device flow")
}

// TestTokenCommands goes through what the commands say and print.
func TestTokenCommands(t *testing.T) {
	d := startDoor(t, nil)
	f := &fixture{t: t, address: d.address}
	f.transcript(t, "signin.golden",
		call{args: "whoami"},
		call{args: "login"},
		call{args: "login --token secret"},
		call{args: "login --token - --device"},
		call{args: "login --token -", stdin: "wrong"},
		call{args: "login --token -", stdin: "two words"},
		call{args: "login --token -", stdin: "reader\n"},
		call{args: "whoami"},
		call{args: "whoami -o yaml"},
		call{args: "whoami -o json"},
		call{args: "whoami -o xml"},
		call{args: "whoami me"},
		call{args: "token"},
		call{args: "token --exec-credential"},
		call{args: "token list"},
		call{args: "token issue --user ada"},
		call{args: "login --token -", stdin: "admin\n"},
		call{args: "token issue --user ada --group dev,ops --group x --audience a --duration 90s"},
		call{args: "token issue --user ada -o json"},
		call{args: "token issue --user ada --exec-credential"},
		call{args: "token issue --service-account robot -n shop --duration 15m"},
		call{args: "token issue --service-account absent"},
		call{args: "token issue"},
		call{args: "token issue --user ada --service-account robot"},
		call{args: "token issue --service-account robot --group dev"},
		call{args: "token issue --user ada --duration 1.5s"},
		call{args: "token revoke id-1"},
		call{args: "token revoke a.b.c"},
		call{args: "token revoke"},
		call{args: "token revoke -", stdin: "eyJhbGciOiJub25lIn0.eyJqdGkiOiJpZC0yIn0.eA"},
		call{args: "kubeconfig"},
		call{args: "kubeconfig --context prod -n shop"},
		call{args: "kubeconfig --user ada --group dev --duration 1h -n shop"},
		call{args: "kubeconfig --service-account robot -n shop"},
		call{args: "kubeconfig --for cluster --service-account robot -n shop --duration 1h"},
		call{args: "kubeconfig --for cluster"},
		call{args: "kubeconfig --for moon"},
		call{args: "kubeconfig --exec --user ada"},
		call{args: "kubeconfig --duration 1h"},
		call{args: "kubeconfig --merge made/config"},
		call{args: "kubeconfig --context other --merge made/config"},
		call{args: "logout"},
		call{args: "logout"},
		call{args: "token"},
	)
	if got := strings.Join(d.revoked, " "); got != "id-1 id-2" {
		t.Errorf("revoked are %s", got)
	}
	config, err := clientcmd.LoadFromFile("made/config")
	if err != nil || len(config.Contexts) != 2 || config.CurrentContext != "other" || config.Clusters["fairlead"].Server != "https://front.example:8443" {
		t.Errorf("merged: %+v %v", config, err)
	}
	if info, err := os.Stat("made/config"); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("merged: %v %v", info, err)
	}
}

func TestKubeconfigWithAPlugin(t *testing.T) {
	d := startDoor(t, nil)
	ok(t, run(t.Context(), "reader", "login", "--token", "-"), "Signed in")
	r := run(t.Context(), "", "kubeconfig", "--exec")
	ok(t, r, "exec:")
	config, err := clientcmd.Load([]byte(r.stdout))
	if err != nil {
		t.Fatal(err)
	}
	plugin := config.AuthInfos["fairlead"].Exec
	if plugin == nil || strings.Join(plugin.Args, " ") != "token --exec-credential --server "+d.address || strings.Contains(r.stdout, "reader") {
		t.Fatalf("got %s", r.stdout)
	}
	ok(t, run(t.Context(), "", plugin.Args...), `"token":"reader"`)
}

func TestABrokenSignInFile(t *testing.T) {
	startDoor(t, nil)
	t.Setenv("FAIRLEAD_CONFIG", filepath.Join(t.TempDir(), "config"))
	if err := os.WriteFile(os.Getenv("FAIRLEAD_CONFIG"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	notOK(t, run(t.Context(), "reader", "login", "--token", "-"), "mend or delete it, and sign in again")
}
