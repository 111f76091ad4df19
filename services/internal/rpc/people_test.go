// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package rpc_test

import (
	"context"
	"crypto/tls"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	buildv1 "fairlead.dev/gen/go/fairlead/build/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/certs"
	"fairlead.dev/services/internal/clientauth"
	"fairlead.dev/services/internal/clientauth/clientauthtest"
	"fairlead.dev/services/internal/rpc"
)

// tokens takes a token for its user's name.
type tokens struct{}

func (tokens) Authenticate(_ context.Context, token string) (*rpc.Identity, error) {
	if token == "forged" {
		return nil, apierror.Unauthorized("the token is not valid")
	}
	return &rpc.Identity{User: token, Expires: time.Now().Add(time.Hour)}, nil
}

func (tokens) Changed() <-chan struct{} { return nil }

// rights lets everybody do everything but act as others, which needs a line `USER VERB RESOURCE NAME`; root may do all.
type rights []string

func (r rights) Authorize(_ context.Context, id *rpc.Identity, a rpc.Attributes) error {
	if a.Verb != "impersonate" && a.Verb != "*" || id.User == "root" || slices.Contains(r, strings.Join([]string{id.User, a.Verb, a.Resource, a.Name}, " ")) {
		return nil
	}
	return apierror.Forbidden(apierror.Resource{Group: a.Group, Plural: a.Resource}, a.Name, "no")
}

// asked tells who called.
type asked struct {
	buildv1.UnimplementedBuildServiceServer

	as chan *rpc.Identity
}

func (a *asked) List(ctx context.Context, _ *metav1.ListRequest) (*buildv1.BuildServiceListResponse, error) {
	id, _ := rpc.IdentityFrom(ctx)
	a.as <- id
	return &buildv1.BuildServiceListResponse{}, nil
}

func (*asked) Watch(_ *metav1.WatchRequest, s grpc.ServerStreamingServer[buildv1.BuildServiceWatchResponse]) error {
	if err := s.SendHeader(nil); err != nil {
		return err
	}
	<-s.Context().Done()
	return s.Context().Err()
}

type people struct {
	authority *certs.Authority
	company   *clientauthtest.Issuer
	cluster   *clientauthtest.Issuer
	trust     *clientauth.Trust
	asked     *asked
	address   string
	memory    *rpc.InMemory
}

func startPeople(t *testing.T, authz rpc.Authorizer) *people {
	t.Helper()
	authority, err := certs.Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &people{
		authority: authority, company: clientauthtest.NewIssuer(t, "company"), cluster: clientauthtest.NewIssuer(t, "kubernetes"), trust: clientauth.New(),
		asked: &asked{as: make(chan *rpc.Identity, 1)},
	}
	p.trustAll(t)
	server, err := rpc.NewServer(rpc.Config{
		Authn: tokens{}, Authz: authz, TLS: p.leaf(t, "server").Server(true), ClientCAs: authority.Pool, Clients: p.trust,
	})
	if err != nil {
		t.Fatal(err)
	}
	buildv1.RegisterBuildServiceServer(server, p.asked)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.address, p.memory = l.Addr().String(), rpc.NewInMemory(server)
	served := make(chan struct{})
	go func() { defer close(served); _ = server.Serve(l) }()
	t.Cleanup(func() {
		server.Stop()
		<-served
		if err := p.memory.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func (p *people) trustAll(t *testing.T) {
	t.Helper()
	err := p.trust.Set(clientauth.Set{Clients: []clientauth.Authorities{{PEM: p.company.PEM}, {PEM: p.cluster.PEM, Cluster: true}}})
	if err != nil {
		t.Fatal(err)
	}
}

func (p *people) leaf(t *testing.T, name string) *certs.Leaf {
	t.Helper()
	l, err := p.authority.Leaf(name, []string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// showing is a connection of whoever shows a certificate; nil shows none.
func (p *people) showing(t *testing.T, cert *tls.Certificate) *grpc.ClientConn {
	t.Helper()
	cfg := p.authority.ClientTLS()
	if cert != nil {
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert, nil }
	}
	return p.dial(t, cfg)
}

func (p *people) dial(t *testing.T, cfg *tls.Config) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(p.address, grpc.WithTransportCredentials(credentials.NewTLS(cfg)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func (p *people) inMemory(t *testing.T) *grpc.ClientConn {
	t.Helper()
	conn, err := p.memory.Dial(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func callAs(t *testing.T, headers ...string) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return metadata.AppendToOutgoingContext(ctx, headers...)
}

// TestWhoCalls has callers of every kind call with every way of saying who they are, true and forged.
func TestWhoCalls(t *testing.T) {
	p := startPeople(t, rights{"carol impersonate users bob", "carol impersonate groups staff", "alice impersonate users bob"})
	remote := []string{"x-remote-user", "eve", "x-remote-source", "front%20proxy", "x-remote-group", "system:masters", "x-remote-extra", "example.org%2Fa=b"}
	ada := []string{"x-remote-user", "ada", "x-remote-source", "client%20certificate"}
	token := func(user string) []string { return []string{"authorization", "Bearer " + user} }
	nobody := p.showing(t, nil)
	gateway, auth, router := p.dial(t, p.leaf(t, "gateway").Client()), p.dial(t, p.leaf(t, "auth").Client()), p.dial(t, p.leaf(t, "router").Client())
	alice := p.showing(t, p.company.Issue(t, "alice", "staff"))
	boss := p.showing(t, p.cluster.Issue(t, "kube-admin", "system:masters"))
	memory := p.inMemory(t)
	eve := &rpc.Identity{User: "eve", Groups: []string{"system:masters"}, Source: rpc.SourceFrontProxy, Extra: map[string][]string{"example.org/a": {"b"}}}
	carol := &rpc.Identity{User: "carol"}
	cases := []struct {
		name    string
		conn    *grpc.ClientConn
		headers []string
		want    *rpc.Identity
		code    codes.Code
	}{
		{"a person's certificate", alice, nil, &rpc.Identity{User: "alice", Groups: []string{"staff"}, Source: rpc.SourceUserCertificate}, 0},
		{"a person's certificate counts before a token, as in Kubernetes", alice, token("bob"), &rpc.Identity{User: "alice", Groups: []string{"staff"}, Source: rpc.SourceUserCertificate}, 0},
		{"the cluster's may be system: something", boss, nil, &rpc.Identity{User: "kube-admin", Groups: []string{"system:masters"}, Source: rpc.SourceClusterCertificate}, 0},
		{"others may not", p.showing(t, p.company.Issue(t, "mallory", "system:masters")), nil, nil, codes.Unauthenticated},
		{"not even with a token", p.showing(t, p.company.Issue(t, "system:admin")), token("bob"), nil, codes.Unauthenticated},
		{"an authority of people names none of our services", p.showing(t, p.company.Issue(t, "system:fairlead:gateway", "system:fairlead:services")), remote, nil, codes.Unauthenticated},
		{"nor does the cluster's", p.showing(t, p.cluster.Issue(t, "system:fairlead:router", "system:fairlead:services")), nil, nil, codes.Unauthenticated},
		{"no name", p.showing(t, p.company.Issue(t, "")), nil, nil, codes.Unauthenticated},

		{"the gateway says for whom it calls", gateway, remote, eve, 0},
		{"auth does, when it commits", auth, remote, eve, 0},
		{"the same process does", memory, remote, eve, 0},
		{"a token and a name are one too many", gateway, slices.Concat(remote, token("bob")), nil, codes.Unauthenticated},
		{"two names", gateway, slices.Concat(remote, ada), nil, codes.Unauthenticated},
		{"a source of its own", gateway, []string{"x-remote-user", "eve", "x-remote-source", "certificate"}, nil, codes.Unauthenticated},
		{"no source", gateway, []string{"x-remote-user", "eve"}, nil, codes.Unauthenticated},
		{"groups of nobody", gateway, []string{"x-remote-group", "admins"}, nil, codes.Unauthenticated},
		{"one who is known no longer", gateway, append([]string{"x-remote-expires", "1"}, ada...), nil, codes.Unauthenticated},
		{"the gateway is nobody itself", gateway, nil, nil, codes.Unauthenticated},
		{"other services say nothing of the kind", router, remote, nil, codes.Unauthenticated},
		{"nor do people", alice, remote, nil, codes.Unauthenticated},
		{"nor with a token", nobody, slices.Concat(remote, token("bob")), nil, codes.Unauthenticated},
		{"nor without", nobody, remote, nil, codes.Unauthenticated},
		{"nor by one of its headers alone", nobody, slices.Concat([]string{"x-remote-group", "admins"}, token("bob")), nil, codes.Unauthenticated},

		{"who may acts as another", nobody, append(token("carol"), "impersonate-user", "bob", "impersonate-group", "staff"),
			&rpc.Identity{User: "bob", Groups: []string{"staff", "system:authenticated"}, Source: rpc.SourceToken, Impersonator: carol}, 0},
		{"by a certificate too", alice, []string{"impersonate-user", "bob"}, &rpc.Identity{
			User: "bob", Groups: []string{"system:authenticated"}, Source: rpc.SourceToken,
			Impersonator: &rpc.Identity{User: "alice", Groups: []string{"staff"}, Source: rpc.SourceUserCertificate},
		}, 0},
		{"who may not does not", nobody, append(token("bob"), "impersonate-user", "carol"), nil, codes.PermissionDenied},
		{"each group needs the right", nobody, append(token("carol"), "impersonate-user", "bob", "impersonate-group", "admins"), nil, codes.PermissionDenied},
		{"what else is said too", nobody, append(token("carol"), "impersonate-user", "bob", "impersonate-extra-scopes", "all"), nil, codes.PermissionDenied},
		{"a uid too", nobody, append(token("carol"), "impersonate-user", "bob", "impersonate-uid", "1"), nil, codes.PermissionDenied},
		{"groups alone are nobody", nobody, append(token("carol"), "impersonate-group", "staff"), nil, codes.InvalidArgument},
		{"a forged token acts as nobody", nobody, append(token("forged"), "impersonate-user", "bob"), nil, codes.Unauthenticated},
		{"nobody acts as anybody", nobody, []string{"impersonate-user", "bob"}, nil, codes.Unauthenticated},
		{"not as one of our services, whoever it is", nobody, append(token("root"), "impersonate-user", "system:fairlead:router"), nil, codes.PermissionDenied},
		{"nor in their group", nobody, append(token("root"), "impersonate-user", "bob", "impersonate-group", "system:fairlead:services"), nil, codes.PermissionDenied},
		{"groups of ours are the cluster's by the names that it knows", nobody, append(token("root"), "impersonate-user", "system:serviceaccount:ci:robot", "impersonate-group", "ops"), &rpc.Identity{
			User: "system:serviceaccount:ci:robot", Groups: []string{"fairlead:ops", "system:authenticated"}, Source: rpc.SourceCluster, Impersonator: &rpc.Identity{User: "root"},
		}, codes.OK},
		{"service accounts are in their groups", nobody, append(token("root"), "impersonate-user", "system:serviceaccount:ci:robot"), &rpc.Identity{
			User: "system:serviceaccount:ci:robot", Groups: []string{"system:serviceaccounts", "system:serviceaccounts:ci", "system:authenticated"},
			Source: rpc.SourceCluster, Impersonator: &rpc.Identity{User: "root"},
		}, 0},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			_, err := buildv1.NewBuildServiceClient(tc.conn).List(callAs(t, tc.headers...), &metav1.ListRequest{})
			if status.Code(err) != tc.code {
				t.Fatalf("got %v, want %s", err, tc.code)
			}
			if err != nil {
				return
			}
			got := *<-p.asked.as
			got.Expires = time.Time{}
			if got.Impersonator != nil {
				by := *got.Impersonator
				by.Expires, got.Impersonator = time.Time{}, &by
			}
			if d := cmp.Diff(tc.want, &got); d != "" {
				t.Errorf("called as (-want +got):\n%s", d)
			}
		})
	}
}

// TestOnlyWhoMayEverythingActsAsTheClustersOwn denies groups of the cluster's to those who have the right to that name alone.
func TestOnlyWhoMayEverythingActsAsTheClustersOwn(t *testing.T) {
	p := startPeople(t, rights{
		"carol impersonate users bob", "carol impersonate groups system:masters", "carol impersonate users system:admin", "carol impersonate groups system:authenticated",
		"root * *",
	})
	conn := p.showing(t, nil)
	for _, tc := range []struct {
		who, user, group string
		code             codes.Code
	}{
		{"carol", "bob", "system:authenticated", codes.OK},
		{"carol", "bob", "system:masters", codes.PermissionDenied},
		{"carol", "system:admin", "system:authenticated", codes.PermissionDenied},
		{"root", "bob", "system:masters", codes.OK},
		{"root", "system:admin", "system:authenticated", codes.OK},
	} {
		ctx := callAs(t, "authorization", "Bearer "+tc.who, "impersonate-user", tc.user, "impersonate-group", tc.group)
		_, err := buildv1.NewBuildServiceClient(conn).List(ctx, &metav1.ListRequest{})
		if status.Code(err) != tc.code {
			t.Errorf("%s as %s in %s: %v, want %s", tc.who, tc.user, tc.group, err, tc.code)
		}
		if err == nil {
			<-p.asked.as
		}
	}
}

// TestStreamsOfCertificatesEnd when their authority is believed no longer.
func TestStreamsOfCertificatesEnd(t *testing.T) {
	p := startPeople(t, rights{})
	conn := p.showing(t, p.company.Issue(t, "alice"))
	stream, err := buildv1.NewBuildServiceClient(conn).Watch(callAs(t), &metav1.WatchRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Header(); err != nil {
		t.Fatal(err)
	}
	if err := p.trust.Set(clientauth.Set{Clients: []clientauth.Authorities{{PEM: p.cluster.PEM, Cluster: true}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.Unauthenticated {
		t.Errorf("the stream ended by %v", err)
	}
}
