// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	rbacv1 "k8s.io/api/rbac/v1"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/clientauth/clientauthtest"
)

// outsiders are the authorities of people and of front proxies that the processes believe, and one that they do not.
type outsiders struct {
	company, proxies, stranger *clientauthtest.Issuer
	companyFile, proxiesFile   string
}

func newOutsiders(t *testing.T, dir string) *outsiders {
	t.Helper()
	o := &outsiders{
		company: clientauthtest.NewIssuer(t, "company"), proxies: clientauthtest.NewIssuer(t, "proxies"), stranger: clientauthtest.NewIssuer(t, "stranger"),
		companyFile: filepath.Join(dir, "company.crt"), proxiesFile: filepath.Join(dir, "proxies.crt"),
	}
	for file, authority := range map[string]*clientauthtest.Issuer{o.companyFile: o.company, o.proxiesFile: o.proxies} {
		if err := os.WriteFile(file, authority.PEM, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

// flags are what each service is told of them.
func (o *outsiders) flags() map[string][]string {
	out := map[string][]string{}
	for _, name := range []string{"auth", "build", "serving", "eventing", "gateway"} {
		out[name] = []string{"--client-ca-file", o.companyFile}
	}
	out["gateway"] = append(out["gateway"], "--requestheader-client-ca-file", o.proxiesFile, "--requestheader-allowed-names", "proxy")
	return out
}

// showing is the TLS of whoever shows a certificate; nil shows none.
func (p *separate) showing(t *testing.T, cert *tls.Certificate) *tls.Config {
	t.Helper()
	ca, err := os.ReadFile(filepath.Join(p.TLS(), "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}
	cfg.RootCAs.AppendCertsFromPEM(ca)
	if cert != nil { // also to a server that does not ask for one of its authority
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert, nil }
	}
	return cfg
}

// atTheDoor lists services over REST.
func (p *separate) atTheDoor(t *testing.T, cert *tls.Certificate, headers ...string) (int, string) {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: p.showing(t, cert)}
	defer transport.CloseIdleConnections()
	url := fmt.Sprintf("https://127.0.0.1:%d%s", p.cfg.Ports.HTTPS, path("serving.knative.dev/v1", p.ns, "services"))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	res, err := (&http.Client{Transport: transport, Timeout: 30 * time.Second}).Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(body)
}

// atServing lists services over gRPC.
func (p *separate) atServing(t *testing.T, cert *tls.Certificate, headers ...string) error {
	t.Helper()
	conn, err := grpc.NewClient(p.GRPC("serving"), grpc.WithTransportCredentials(credentials.NewTLS(p.showing(t, cert))))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(t.Context(), headers...), 30*time.Second)
	defer cancel()
	_, err = servingv1.NewServiceServiceClient(conn).List(ctx, &metav1.ListRequest{Namespace: p.ns})
	return err
}

// service is the certificate of one of the services that run.
func (p *separate) service(t *testing.T, name string) *tls.Certificate {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(filepath.Join(p.TLS(), name+".crt"), filepath.Join(p.TLS(), name+".key"))
	if err != nil {
		t.Fatal(err)
	}
	return &cert
}

// letIn gives ada of the company a right here, and eve of the cluster one there.
func (p *separate) letIn(t *testing.T) {
	t.Helper()
	p.apply(t, `{"apiVersion":"auth.fairlead.dev/v1","kind":"Role","metadata":{"name":"reader"},"rules":[{"verbs":["list"],"apiGroups":["serving.knative.dev"],"resources":["services"]}]}
---
{"apiVersion":"auth.fairlead.dev/v1","kind":"RoleBinding","metadata":{"name":"readers"},"roleRef":{"kind":"Role","name":"reader"},"subjects":[{"kind":"User","name":"ada"}]}`)
	meta := kmetav1.ObjectMeta{Name: "reader", Namespace: p.ns} // they go with the namespace
	_, err := s.kube.RbacV1().Roles(p.ns).Create(t.Context(), &rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{
		{Verbs: []string{"list"}, APIGroups: []string{"serving.knative.dev"}, Resources: []string{"services"}},
	}}, kmetav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.kube.RbacV1().RoleBindings(p.ns).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "reader"},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "eve"}},
	}, kmetav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// whoCalls has callers say in every way who they are, true and forged, at the gateway and at a service behind it.
func (p *separate) whoCalls(t *testing.T) {
	o := p.outsiders
	p.letIn(t)
	ada, bob, forger := o.company.Issue(t, "ada"), o.company.Issue(t, "bob"), o.stranger.Issue(t, "ada")
	proxy := o.proxies.Issue(t, "proxy")
	gateway, router := p.service(t, "gateway"), p.service(t, "router")
	admin := []string{"Authorization", "Bearer " + p.token}
	remote := func(user string) []string { return []string{"X-Remote-User", user} }
	eventually(t, 20*time.Second, "ada's right holds", func() (bool, string) {
		code, body := p.atTheDoor(t, ada)
		return code == http.StatusOK, body
	})
	eventually(t, 20*time.Second, "eve's right of the cluster holds", func() (bool, string) {
		code, body := p.atTheDoor(t, proxy, remote("eve")...)
		return code == http.StatusOK, body
	})
	with := func(lists ...[]string) []string {
		var out []string
		for _, l := range lists {
			out = append(out, l...)
		}
		return out
	}
	for _, tc := range []struct {
		reason  string
		cert    *tls.Certificate
		headers []string
		code    int
		as      string // who is told of its refusal
	}{
		{"a person with a right", ada, nil, 200, ""},
		{"a person without", bob, nil, 403, `"bob"`},
		{"the right is not that of who calls itself admin", bob, admin, 403, `"bob"`},
		{"an authority that nobody believes", forger, nil, 401, ""},
		{"it adds nothing to what is said", forger, remote("ada"), 401, ""},
		{"the company is no authority of the cluster's", o.company.Issue(t, "ada", "system:masters"), nil, 401, ""},
		{"nor of our services", o.company.Issue(t, "system:fairlead:gateway", "system:fairlead:services"), remote("ada"), 401, ""},
		{"our own services come in by their own doors", router, remote("ada"), 401, ""},

		{"a front proxy's user, by a right of the cluster", proxy, remote("eve"), 200, ""},
		{"one without", proxy, remote("mallory"), 403, `"mallory"`},
		{"one of the same name as one of ours", proxy, remote("ada"), 403, `"ada"`},
		{"a front proxy that names nobody", proxy, nil, 401, ""},
		{"another client of the same authority", o.proxies.Issue(t, "browser"), remote("eve"), 401, ""},
		{"headers of nobody", nil, remote("eve"), 401, ""},
		{"headers of a person", bob, remote("eve"), 403, `"bob"`},
		{"headers of a holder of a token", nil, with(admin, remote("bob")), 200, ""},
		{"metadata of gRPC by its name over REST", nil, []string{"Grpc-Metadata-X-Remote-User", "ada", "Grpc-Metadata-X-Remote-Source", "client%20certificate"}, 401, ""},
		{"the same beside a certificate", bob, []string{"Grpc-Metadata-X-Remote-User", "ada", "Grpc-Metadata-Impersonate-User", "ada"}, 403, `"bob"`},

		{"acting as another without the right", bob, []string{"Impersonate-User", "ada"}, 403, `"bob"`},
		{"with it", nil, with(admin, []string{"Impersonate-User", "ada"}), 200, ""},
		{"as one who may not", nil, with(admin, []string{"Impersonate-User", "bob"}), 403, `"bob"`},
		{"as one of our services", nil, with(admin, []string{"Impersonate-User", "system:fairlead:gateway"}), 403, ""},
		{"nobody as another", forger, []string{"Impersonate-User", "ada"}, 401, ""},
	} {
		if code, body := p.atTheDoor(t, tc.cert, tc.headers...); code != tc.code || tc.as != "" && !strings.Contains(strings.ReplaceAll(body, `\`, ""), tc.as) {
			t.Errorf("REST: %s: %d %s, want %d of %s", tc.reason, code, body, tc.code, tc.as)
		}
	}
	forged := func(user string) []string {
		return []string{"x-remote-user", user, "x-remote-source", "client%20certificate", "x-remote-group", "admins"}
	}
	for _, tc := range []struct {
		reason  string
		cert    *tls.Certificate
		headers []string
		code    codes.Code
	}{
		{"a person with a right", ada, nil, codes.OK},
		{"a person without", bob, nil, codes.PermissionDenied},
		{"a front proxy is one at the front door alone", proxy, remote("eve"), codes.Unavailable},
		{"an authority that nobody believes", forger, nil, codes.Unavailable},
		{"the gateway says for whom it calls", gateway, forged("ada"), codes.OK},
		{"the router says nothing of the kind", router, forged("ada"), codes.Unauthenticated},
		{"nor does serving itself", p.service(t, "serving"), forged("ada"), codes.Unauthenticated},
		{"nor a person", ada, forged("ada"), codes.Unauthenticated},
		{"nor a holder of a token", nil, with(admin, forged("ada")), codes.Unauthenticated},
		{"nor nobody", nil, forged("ada"), codes.Unauthenticated},
		{"nor who has the gateway's name of another authority", o.company.Issue(t, "system:fairlead:gateway", "system:fairlead:services"), forged("ada"), codes.Unauthenticated},
		{"the gateway is nobody itself", gateway, nil, codes.Unauthenticated},
		{"acting as another without the right", bob, []string{"impersonate-user", "ada"}, codes.PermissionDenied},
		{"the router acts as nobody", router, []string{"impersonate-user", "ada"}, codes.PermissionDenied},
		{"with the right", nil, with(admin, []string{"impersonate-user", "ada"}), codes.OK},
		{"as one who may not", nil, with(admin, []string{"impersonate-user", "bob"}), codes.PermissionDenied},
	} {
		if err := p.atServing(t, tc.cert, tc.headers...); status.Code(err) != tc.code {
			t.Errorf("gRPC: %s: %v, want %s", tc.reason, err, tc.code)
		}
	}

	// The company has another authority from now on.
	if err := os.WriteFile(o.companyFile, o.stranger.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, 20*time.Second, "the new authority is believed, and the old one not", func() (bool, string) {
		newDoor, body := p.atTheDoor(t, forger)
		oldDoor, _ := p.atTheDoor(t, ada)
		newServing, oldServing := p.atServing(t, forger), p.atServing(t, ada)
		return newDoor == http.StatusOK && oldDoor == http.StatusUnauthorized && newServing == nil && status.Code(oldServing) == codes.Unavailable,
			fmt.Sprintf("%d %d %v %v %s", newDoor, oldDoor, newServing, oldServing, body)
	})
}
