// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package matrix_test

import (
	"context"
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/auth"
	"fairlead.dev/services/auth/issuers"
	"fairlead.dev/services/auth/issuers/issuertest"
	"fairlead.dev/services/e2e/inprocess"
	"fairlead.dev/services/e2e/matrix"
	"fairlead.dev/services/internal/certs"
	"fairlead.dev/services/internal/clientauth"
	"fairlead.dev/services/internal/clientauth/clientauthtest"
	"fairlead.dev/services/internal/rpc"
)

// What those are called by roles who come by an issuer's token, and those who are the cluster's.
const (
	issuerPrefix  = "corp:"
	clusterPrefix = "system:matrix:"
)

// outsiders are people who come by no token of ours. The services listen for them with TLS.
type outsiders struct {
	t         *testing.T
	authority *certs.Authority
	company   *clientauthtest.Issuer
	cluster   *clientauthtest.Issuer
	issuer    *issuertest.Issuer
	address   string
	// conns are those who show a certificate, by its user.
	conns map[string]*grpc.ClientConn
}

// startForOutsiders runs the services, and has them believe a company's certificates, the cluster's, and an issuer.
func startForOutsiders(t *testing.T) (matrix.Target, *outsiders) {
	t.Helper()
	authority, err := certs.Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	o := &outsiders{
		t: t, authority: authority, company: clientauthtest.NewIssuer(t, "company"), cluster: clientauthtest.NewIssuer(t, "kubernetes"),
		issuer: issuertest.Start(t), conns: map[string]*grpc.ClientConn{},
	}
	ca := filepath.Join(t.TempDir(), "issuer.crt")
	if err := os.WriteFile(ca, []byte(o.issuer.CA), 0o600); err != nil {
		t.Fatal(err)
	}
	trust := clientauth.New()
	if err := trust.Set(clientauth.Set{Clients: []clientauth.Authorities{{PEM: o.company.PEM}, {PEM: o.cluster.PEM, Cluster: true}}}); err != nil {
		t.Fatal(err)
	}
	server := inprocess.StartWith(t, inprocess.Config{
		Auth: auth.Config{OIDC: issuers.Flags{IssuerURL: o.issuer.URL, ClientID: issuertest.ClientID, UsernamePrefix: issuerPrefix, CAFile: ca}},
		TLS:  o.leaf("server").Server(true), ClientCAs: authority.Pool, Clients: trust,
	})
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.address = l.Addr().String()
	served := make(chan struct{})
	go func() { defer close(served); _ = server.RPC.Serve(l) }()
	t.Cleanup(func() { server.RPC.Stop(); <-served })
	return matrix.Target{Conn: server.Conn, Admin: server.Admin, Namespace: "shop", Other: "elsewhere", Offline: true}, o
}

func (o *outsiders) leaf(name string) *certs.Leaf {
	o.t.Helper()
	l, err := o.authority.Leaf(name, []string{"127.0.0.1"})
	if err != nil {
		o.t.Fatal(err)
	}
	return l
}

func (o *outsiders) dial(cfg *tls.Config) *grpc.ClientConn {
	o.t.Helper()
	conn, err := grpc.NewClient(o.address, grpc.WithTransportCredentials(credentials.NewTLS(cfg)))
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// showing is a connection of whoever shows a certificate of an authority.
func (o *outsiders) showing(of *clientauthtest.Issuer, user string, groups ...string) *grpc.ClientConn {
	o.t.Helper()
	key := strings.Join(append([]string{string(of.PEM), user}, groups...), "\n")
	if conn, ok := o.conns[key]; ok {
		return conn
	}
	cert := of.Issue(o.t, user, groups...)
	cfg := o.authority.ClientTLS()
	cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert, nil }
	o.conns[key] = o.dial(cfg)
	return o.conns[key]
}

func bearer(token string) metadata.MD { return metadata.Pairs("authorization", "Bearer "+token) }

func remote(user string, source rpc.Source) metadata.MD {
	return rpc.RemoteMetadata(&rpc.Identity{User: user, Source: source})
}

// impersonator makes a user with the right to act as any other, and nothing else.
func impersonator(t *testing.T, target matrix.Target) string {
	t.Helper()
	const name = "matrix-impersonator"
	ctx := matrix.As(t.Context(), target.Admin)
	_, err := authv1.NewClusterRoleServiceClient(target.Conn).Create(ctx, &authv1.ClusterRoleServiceCreateRequest{Object: &authv1.ClusterRole{
		Metadata: &metav1.ObjectMeta{Name: name}, Rules: []*authv1.PolicyRule{{Verbs: []string{"impersonate"}, ApiGroups: []string{""}, Resources: []string{"users"}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = authv1.NewClusterRoleBindingServiceClient(target.Conn).Create(ctx, &authv1.ClusterRoleBindingServiceCreateRequest{Object: &authv1.ClusterRoleBinding{
		Metadata: &metav1.ObjectMeta{Name: name}, Subjects: []*authv1.Subject{{Kind: "User", ApiGroup: "auth.fairlead.dev", Name: name}},
		RoleRef: &authv1.RoleRef{Kind: "ClusterRole", ApiGroup: "auth.fairlead.dev", Name: name},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return issued(t, target, name)
}

func issued(t *testing.T, target matrix.Target, user string) string {
	t.Helper()
	made, err := authv1.NewTokenServiceClient(target.Conn).Issue(matrix.As(t.Context(), target.Admin), &authv1.IssueRequest{User: user})
	if err != nil {
		t.Fatal(err)
	}
	return made.GetToken()
}

// ways are how outsiders come in.
func (o *outsiders) ways(target matrix.Target) []matrix.Way {
	gateway, acting := o.dial(o.leaf("gateway").Client()), impersonator(o.t, target)
	plain := o.dial(o.authority.ClientTLS())
	return []matrix.Way{
		{Name: "client certificate", As: func(user string) matrix.Caller { return matrix.Caller{Conn: o.showing(o.company, user)} }},
		{Name: "certificate of the cluster", Prefix: clusterPrefix, As: func(user string) matrix.Caller {
			return matrix.Caller{Conn: o.showing(o.cluster, user)}
		}},
		{Name: "front proxy", Prefix: clusterPrefix, As: func(user string) matrix.Caller {
			return matrix.Caller{Conn: gateway, Metadata: remote(user, rpc.SourceFrontProxy)}
		}},
		{Name: "client certificate at the gateway", As: func(user string) matrix.Caller {
			return matrix.Caller{Conn: gateway, Metadata: remote(user, rpc.SourceUserCertificate)}
		}},
		{Name: "impersonation", As: func(user string) matrix.Caller {
			return matrix.Caller{Conn: plain, Metadata: metadata.Join(bearer(acting), metadata.Pairs("impersonate-user", user))}
		}},
		{Name: "issuer's token", Prefix: issuerPrefix, As: func(user string) matrix.Caller {
			return matrix.Caller{Conn: plain, Metadata: bearer(o.issuer.Sign(o.issuer.Claims(strings.TrimPrefix(user, issuerPrefix))))}
		}},
	}
}

// forgeries are how outsiders want to be taken for somebody with the right.
func (o *outsiders) forgeries(target matrix.Target) []matrix.Forgery {
	t, stranger := o.t, issuertest.Start(o.t)
	plain, router := o.dial(o.authority.ClientTLS()), o.dial(o.leaf("router").Client())
	gateway, nobody := o.dial(o.leaf("gateway").Client()), issued(t, target, "matrix-nobody")
	acting := func(token, user string) metadata.MD {
		return metadata.Join(bearer(token), metadata.Pairs("impersonate-user", user))
	}
	issuer := func(change func(claims map[string]any)) func(_, user string) matrix.Caller {
		return func(_, user string) matrix.Caller {
			claims := o.issuer.Claims(user)
			change(claims)
			return matrix.Caller{Conn: plain, Metadata: bearer(o.issuer.Sign(claims))}
		}
	}
	from := func(conn *grpc.ClientConn, md func(token, user string) metadata.MD) func(token, user string) matrix.Caller {
		return func(token, user string) matrix.Caller { return matrix.Caller{Conn: conn, Metadata: md(token, user)} }
	}
	said := func(_, user string) metadata.MD { return remote(user, rpc.SourceUserCertificate) }
	return []matrix.Forgery{
		{"x-remote-user beside one's own token", codes.Unauthenticated, from(plain, func(token, user string) metadata.MD {
			return metadata.Join(bearer(token), said(token, user))
		})},
		{"x-remote-group beside one's own token", codes.Unauthenticated, from(plain, func(token, _ string) metadata.MD {
			return metadata.Join(bearer(token), metadata.Pairs("x-remote-group", "admins"))
		})},
		{"x-remote-user of nobody", codes.Unauthenticated, from(plain, said)},
		{"x-remote-user of another service", codes.Unauthenticated, from(router, said)},
		{"x-remote-user of a person", codes.Unauthenticated, from(o.showing(o.company, "matrix-nobody"), said)},
		{"the gateway's name by the company", codes.Unauthenticated, from(o.showing(o.company, "system:fairlead:gateway", "system:fairlead:services"), said)},
		{"the gateway's name by the cluster", codes.Unauthenticated, from(o.showing(o.cluster, "system:fairlead:gateway", "system:fairlead:services"), said)},
		{"the cluster's groups by the company", codes.Unauthenticated, from(o.showing(o.company, "matrix-master", "system:masters"), bearerOf)},
		{"the gateway for nobody", codes.Unauthenticated, from(gateway, func(_, _ string) metadata.MD { return nil })},
		{"the gateway for one of our services", codes.Unauthenticated, from(gateway, func(_, user string) metadata.MD { return remote(user, rpc.SourceCertificate) })},
		{"impersonation without the right", codes.PermissionDenied, from(plain, func(_, user string) metadata.MD { return acting(nobody, user) })},
		{"impersonation by another service", codes.PermissionDenied, from(router, func(_, user string) metadata.MD { return metadata.Pairs("impersonate-user", user) })},
		{"impersonation of a service by an administrator", codes.PermissionDenied, from(plain, func(_, _ string) metadata.MD {
			return acting(target.Admin, "system:fairlead:gateway")
		})},
		{"impersonation without a token", codes.Unauthenticated, from(plain, func(_, user string) metadata.MD { return metadata.Pairs("impersonate-user", user) })},
		{"an issuer's token for others", codes.Unauthenticated, issuer(func(c map[string]any) { c["aud"] = "elsewhere" })},
		{"an issuer's token of yesterday", codes.Unauthenticated, issuer(func(c map[string]any) { c["exp"] = 1 })},
		{"an issuer's token by another key of the same name", codes.Unauthenticated, func(_, user string) matrix.Caller {
			return matrix.Caller{Conn: plain, Metadata: bearer(stranger.Sign(o.issuer.Claims(user)))}
		}},
	}
}

func bearerOf(token, _ string) metadata.MD { return bearer(token) }

// TestOutsidersAtEveryRPC has those call every RPC who come by client certificates, front proxies, impersonation and tokens
// of an issuer, and those who forge such things.
func TestOutsidersAtEveryRPC(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), callsTimeout)
	defer cancel()
	target, o := startForOutsiders(t)
	rows, faults := matrix.RowsOf(matrix.Services())
	for _, fault := range faults {
		t.Error(fault)
	}
	target.Ways, target.Forgeries = o.ways(target), o.forgeries(target)
	people, err := matrix.Gather(ctx, target, rows)
	if err != nil {
		t.Fatal(err)
	}
	cells := people.Outsiders(rows)
	for _, fault := range target.Run(ctx, cells) {
		t.Error(fault)
	}
	t.Logf("%d calls of %d RPCs by %d ways and %d forgeries", len(cells), len(rows), len(target.Ways), len(target.Forgeries))
}
