// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package certs_test

import (
	"bytes"
	"crypto/x509"
	"os"
	"testing"
	"time"

	"fairlead.dev/services/internal/certs"
)

func TestServerKeepsWhatHoldsAndRenewsWhatDoesNot(t *testing.T) {
	f := certs.In(t.TempDir())
	now := time.Now()
	read := func() (ca, cert []byte) {
		t.Helper()
		ca, err := os.ReadFile(f.CA)
		if err != nil {
			t.Fatal(err)
		}
		cert, err = os.ReadFile(f.Cert)
		if err != nil {
			t.Fatal(err)
		}
		return ca, cert
	}
	steps := []struct {
		name             string
		hosts            []string
		at               time.Time
		newCA, newServer bool
	}{
		{"first start", []string{"127.0.0.1", "localhost"}, now, true, true},
		{"again", []string{"127.0.0.1"}, now, false, false},
		{"another host", []string{"127.0.0.1", "fairlead.test"}, now, false, true},
		{"after eleven months", []string{"127.0.0.1"}, now.AddDate(0, 11, 15), false, true},
		{"after ten years", []string{"127.0.0.1"}, now.AddDate(9, 11, 28), true, true},
	}
	var ca, cert []byte
	for _, s := range steps {
		cfg, caPEM, err := certs.Server(f, s.hosts, s.at)
		if err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		oldCA, oldCert := ca, cert
		ca, cert = read()
		if got := !bytes.Equal(oldCA, ca); got != s.newCA {
			t.Errorf("%s: new authority: got %v, want %v", s.name, got, s.newCA)
		}
		if got := !bytes.Equal(oldCert, cert); got != s.newServer {
			t.Errorf("%s: new certificate: got %v, want %v", s.name, got, s.newServer)
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(caPEM)
		leaf, err := x509.ParseCertificate(cfg.Certificates[0].Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range s.hosts {
			if _, err := leaf.Verify(x509.VerifyOptions{DNSName: h, Roots: pool, CurrentTime: s.at}); err != nil {
				t.Errorf("%s: %s: %v", s.name, h, err)
			}
		}
	}
	info, err := os.Stat(f.Key)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the key: %v %v, want 0600", info.Mode(), err)
	}
}
