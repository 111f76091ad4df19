// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package pki_test

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"fairlead.dev/deploy/devcluster/internal/pki"
	"fairlead.dev/deploy/devcluster/internal/topology"
)

func load(t *testing.T, path string) *x509.Certificate {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(raw)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestEnsure(t *testing.T) {
	t.Parallel()
	paths := topology.Paths{State: t.TempDir()}
	if err := pki.Ensure(paths); err != nil {
		t.Fatal(err)
	}
	for _, want := range pki.Certificates() {
		cert := load(t, paths.PKI(want.Name+".crt"))
		roots := x509.NewCertPool()
		roots.AddCert(load(t, paths.PKI(string(want.Authority)+".crt")))
		usage := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		if want.Server {
			usage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		}
		if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: usage}); err != nil {
			t.Errorf("%s: %v", want.Name, err)
		}
		if until := time.Until(cert.NotAfter); until < 5*365*24*time.Hour {
			t.Errorf("%s ends in %s: no one renews it", want.Name, until)
		}
	}
	apiServer := load(t, paths.PKI(pki.APIServer+".crt"))
	for _, host := range []string{
		topology.BridgeIP, topology.APIServiceIP, "127.0.0.1", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
	} {
		if err := apiServer.VerifyHostname(host); err != nil {
			t.Errorf("the API server under %s: %v", host, err)
		}
	}
	config, err := clientcmd.BuildConfigFromFlags("", paths.AdminKubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	if config.Host != topology.APIServerURL() || len(config.CertData) == 0 || len(config.CAData) == 0 {
		t.Errorf("admin kubeconfig: %+v", config)
	}
	info, err := os.Stat(paths.AdminKubeconfig())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the admin's key is readable by others: %v, %v", info.Mode(), err)
	}
}

func TestEnsureTwiceKeepsAll(t *testing.T) {
	t.Parallel()
	paths := topology.Paths{State: t.TempDir()}
	if err := pki.Ensure(paths); err != nil {
		t.Fatal(err)
	}
	before := load(t, paths.PKI(pki.APIServer+".crt"))
	kubeconfig, err := os.ReadFile(paths.AdminKubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	if err := pki.Ensure(paths); err != nil {
		t.Fatal(err)
	}
	if !before.Equal(load(t, paths.PKI(pki.APIServer+".crt"))) {
		t.Error("the API server got a new certificate")
	}
	after, err := os.ReadFile(paths.AdminKubeconfig())
	if err != nil || string(after) != string(kubeconfig) {
		t.Errorf("kubeconfigs handed out would stop to work: %v", err)
	}
}
