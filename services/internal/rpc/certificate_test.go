// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
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

	buildv1 "fairlead.dev/gen/go/fairlead/build/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/internal/certs"
	"fairlead.dev/services/internal/wire"
)

// listed tells as whom List was called.
type listed struct {
	buildv1.UnimplementedBuildServiceServer

	as *Identity
}

func (l *listed) List(ctx context.Context, _ *metav1.ListRequest) (*buildv1.BuildServiceListResponse, error) {
	l.as, _ = IdentityFrom(ctx)
	return &buildv1.BuildServiceListResponse{}, nil
}

// anything allows everybody everything.
type anything struct{}

func (anything) Authorize(context.Context, *Identity, Attributes) error { return nil }

// signed returns a certificate that the authority in a folder has signed.
func signed(t *testing.T, dir string, name pkix.Name) tls.Certificate {
	t.Helper()
	ca, err := tls.LoadX509KeyPair(filepath.Join(dir, "ca.crt"), filepath.Join(dir, "ca.key"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: name, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.Leaf, key.Public(), ca.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestCertificatesOfOurServicesNeedNoToken(t *testing.T) {
	dir, foreign := t.TempDir(), t.TempDir()
	authority := openAuthority(t, dir)
	server, router := newLeaf(t, authority, "server"), newLeaf(t, authority, "router")
	stranger := newLeaf(t, openAuthority(t, foreign), "router")
	l := &listed{}
	address := serveTLS(t, l, Config{Authn: users{}, Authz: anything{}, TLS: server.Server(true), ClientCAs: authority.Pool})
	plainTLS := serveTLS(t, l, Config{Authn: users{}, Authz: anything{}, TLS: server.Server(true)})
	showing := func(c tls.Certificate) *tls.Config {
		cfg := authority.ClientTLS()
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &c, nil }
		return cfg
	}
	ofStranger := authority.ClientTLS()
	ofStranger.GetClientCertificate = stranger.Client().GetClientCertificate
	services := []string{wire.GroupServices}
	cases := map[string]struct {
		reason  string
		address string
		cfg     *tls.Config
		headers []string
		code    codes.Code
		user    string
	}{
		"ours":                 {"", address, router.Client(), nil, codes.OK, "system:fairlead:router"},
		"ours and a token":     {"a token counts more", address, router.Client(), []string{AuthorizationKey, "Bearer bob"}, codes.OK, "bob"},
		"ours and a bad token": {"a token counts more, even one that is none", address, router.Client(), []string{AuthorizationKey, "Bearer eve"}, codes.Unauthenticated, ""},
		"ours and half of one": {"what a gateway hands on without a token has an empty header", address, router.Client(), []string{AuthorizationKey, ""}, codes.Unauthenticated, ""},
		"handed on":            {"a caller of the gateway is not the gateway", address, router.Client(), []string{"x-forwarded-for", "10.0.0.1"}, codes.Unauthenticated, ""},
		"none":                 {"", address, authority.ClientTLS(), nil, codes.Unauthenticated, ""},
		"none, and a token":    {"", address, authority.ClientTLS(), []string{AuthorizationKey, "Bearer bob"}, codes.OK, "bob"},
		"not asked for":        {"a server without authorities of clients believes none", plainTLS, router.Client(), nil, codes.Unauthenticated, ""},
		"another organisation": {"", address, showing(signed(t, dir, pkix.Name{CommonName: "system:fairlead:router", Organization: []string{"elsewhere"}})), nil, codes.Unauthenticated, ""},
		"another name":         {"", address, showing(signed(t, dir, pkix.Name{CommonName: "admin", Organization: services})), nil, codes.Unauthenticated, ""},
		"another authority":    {"the handshake fails", address, ofStranger, nil, codes.Unavailable, ""},
		"signed by no one":     {"", address, showing(signed(t, foreign, pkix.Name{CommonName: "system:fairlead:router", Organization: services})), nil, codes.Unavailable, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			l.as = nil
			conn, err := grpc.NewClient(tc.address, grpc.WithTransportCredentials(credentials.NewTLS(tc.cfg)))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(context.Background(), tc.headers...), 20*time.Second)
			defer cancel()
			_, err = buildv1.NewBuildServiceClient(conn).List(ctx, &metav1.ListRequest{})
			if status.Code(err) != tc.code {
				t.Fatalf("%s: got %v, want %s", tc.reason, err, tc.code)
			}
			if tc.user == "" {
				return
			}
			if l.as.User != tc.user || (l.as.Source == SourceCertificate) != (tc.user == "system:fairlead:router") {
				t.Errorf("%s: called as %+v, want %s", tc.reason, l.as, tc.user)
			}
			if l.as.Source == SourceCertificate && (len(l.as.Groups) != 1 || l.as.Groups[0] != wire.GroupServices || l.as.Expires.IsZero()) {
				t.Errorf("called as %+v", l.as)
			}
		})
	}
}

func TestACertificateHoldsUntilItsEnd(t *testing.T) {
	dir := t.TempDir()
	authority := openAuthority(t, dir)
	newLeaf(t, authority, "router")
	cert, ca := readCertificate(t, filepath.Join(dir, "router.crt")), readCertificate(t, filepath.Join(dir, "ca.crt"))
	for at, want := range map[time.Time]bool{
		cert.NotBefore.Add(-time.Second): false, cert.NotBefore: true, cert.NotAfter.Add(-time.Second): true, cert.NotAfter: false,
	} {
		name, _ := serviceOf([][]*x509.Certificate{{cert, ca}}, authority.Pool, at)
		if got := name == "router"; got != want {
			t.Errorf("at %s: %v, want %v", at, got, want)
		}
	}
}

func readCertificate(t *testing.T, file string) *x509.Certificate {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func openAuthority(t *testing.T, dir string) *certs.Authority {
	t.Helper()
	a, err := certs.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func newLeaf(t *testing.T, a *certs.Authority, name string) *certs.Leaf {
	t.Helper()
	l, err := a.Leaf(name, []string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func serveTLS(t *testing.T, builds buildv1.BuildServiceServer, cfg Config) string {
	t.Helper()
	server, err := NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	buildv1.RegisterBuildServiceServer(server, builds)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() { defer close(served); _ = server.Serve(l) }()
	t.Cleanup(func() { server.Stop(); <-served })
	return l.Addr().String()
}

// FuzzBearer has the parser of authorization headers give back a token only where there is one, and never tell it.
func FuzzBearer(f *testing.F) {
	for _, seed := range []string{"", "Bearer", "Bearer ", "bearer a.b.c", "Basic YTpi", "Bearer  x ", "Bearer a b", "BEARER\tx", "Bearer \x00", "ＢＥＡＲＥＲ x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		token, err := bearer([]string{header})
		if (err == nil) == (token == "") {
			t.Fatalf("%q: token %q and error %v", header, token, err)
		}
		if err == nil {
			if len(header) < 7 || !strings.EqualFold(header[:7], "bearer ") || !strings.HasSuffix(strings.TrimSpace(header), token) {
				t.Errorf("%q: %q is not what follows Bearer", header, token)
			}
			return
		}
		if _, empty := bearer([]string{"Bearer"}); header != "" && err.Error() != empty.Error() {
			t.Errorf("%q: the error depends on what was sent: %v", header, err)
		}
	})
}
