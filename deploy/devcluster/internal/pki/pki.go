// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package pki makes the keys and certificates of a devcluster: one CA for the
// cluster, one for the front proxy, one for etcd.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"fairlead.dev/deploy/devcluster/internal/topology"
)

// validity is long: a devcluster has no one to rotate its certificates.
const validity = 10 * 365 * 24 * time.Hour

const serviceAccountKeyBits = 2048

// Authority names a CA, and with it the files NAME.crt and NAME.key.
type Authority string

// The authorities of a cluster.
const (
	ClusterCA    Authority = "ca"
	FrontProxyCA Authority = "front-proxy-ca"
	EtcdCA       Authority = "etcd-ca"
)

// ServiceAccountKey names the files sa.key and sa.pub.
const ServiceAccountKey = "sa"

// Certificate is one leaf certificate, written as NAME.crt and NAME.key.
type Certificate struct {
	Name         string
	Authority    Authority
	CommonName   string
	Organization string
	DNSNames     []string
	IPs          []string
	Server       bool
}

// Names of the certificates that others refer to.
const (
	APIServer        = "apiserver"
	KubeletClient    = "apiserver-kubelet-client"
	FrontProxyClient = "front-proxy-client"
	KubeletServer    = "kubelet-server"
	EtcdServer       = "etcd-server"
	EtcdClient       = "etcd-client"
)

// Certificates lists the leaves that are not those of kubeconfigs.
func Certificates() []Certificate {
	return []Certificate{
		{
			Name: APIServer, Authority: ClusterCA, CommonName: "kube-apiserver", Server: true,
			DNSNames: []string{
				"kubernetes", "kubernetes.default", "kubernetes.default.svc",
				"kubernetes.default.svc." + topology.ClusterDomain, "localhost", topology.NodeName,
			},
			IPs: []string{topology.APIServiceIP, topology.BridgeIP, "127.0.0.1"},
		},
		{Name: KubeletClient, Authority: ClusterCA, CommonName: "kube-apiserver-kubelet-client", Organization: "system:masters"},
		{Name: FrontProxyClient, Authority: FrontProxyCA, CommonName: "front-proxy-client"},
		{
			Name: KubeletServer, Authority: ClusterCA, CommonName: "system:node:" + topology.NodeName,
			Organization: "system:nodes", Server: true,
			DNSNames: []string{topology.NodeName}, IPs: []string{topology.NodeIP, "127.0.0.1"},
		},
		{
			Name: EtcdServer, Authority: EtcdCA, CommonName: "etcd", Server: true,
			DNSNames: []string{"localhost"}, IPs: []string{"127.0.0.1"},
		},
		{Name: EtcdClient, Authority: EtcdCA, CommonName: "kube-apiserver-etcd-client"},
	}
}

// Ensure makes what is missing in the key folder and the kubeconfigs. What is
// there stays, so that kubeconfigs handed out keep working.
func Ensure(paths topology.Paths) error {
	dir := filepath.Dir(paths.PKI("x"))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the key folder: %w", err)
	}
	for _, authority := range []Authority{ClusterCA, FrontProxyCA, EtcdCA} {
		if err := ensureAuthority(paths, authority); err != nil {
			return err
		}
	}
	for _, cert := range Certificates() {
		if err := ensureCertificate(paths, cert); err != nil {
			return err
		}
	}
	if err := ensureServiceAccountKey(paths); err != nil {
		return err
	}
	return ensureKubeconfigs(paths)
}

func exists(path string) (bool, error) {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func ensureAuthority(paths topology.Paths, authority Authority) error {
	if ok, err := exists(paths.PKI(string(authority) + ".crt")); ok || err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template, err := template(Certificate{Name: string(authority), CommonName: "devcluster-" + string(authority)})
	if err != nil {
		return err
	}
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = nil
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return fmt.Errorf("make %s: %w", authority, err)
	}
	return writePair(paths, string(authority), der, key)
}

func ensureCertificate(paths topology.Paths, cert Certificate) error {
	if ok, err := exists(paths.PKI(cert.Name + ".crt")); ok || err != nil {
		return err
	}
	der, key, err := issue(paths, cert)
	if err != nil {
		return err
	}
	return writePair(paths, cert.Name, der, key)
}

func issue(paths topology.Paths, cert Certificate) ([]byte, crypto.Signer, error) {
	ca, caKey, err := loadAuthority(paths, cert.Authority)
	if err != nil {
		return nil, nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template, err := template(cert)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca, key.Public(), caKey)
	if err != nil {
		return nil, nil, fmt.Errorf("sign %s: %w", cert.Name, err)
	}
	return der, key, nil
}

func template(cert Certificate) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	subject := pkix.Name{CommonName: cert.CommonName}
	if cert.Organization != "" {
		subject.Organization = []string{cert.Organization}
	}
	out := &x509.Certificate{
		SerialNumber: serial,
		Subject:      subject,
		DNSNames:     cert.DNSNames,
		// An hour back, for clocks that are set after a resume.
		NotBefore:   time.Now().Add(-time.Hour),
		NotAfter:    time.Now().Add(validity),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if cert.Server {
		out.ExtKeyUsage = append(out.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	for _, ip := range cert.IPs {
		out.IPAddresses = append(out.IPAddresses, net.ParseIP(ip))
	}
	return out, nil
}

func loadAuthority(paths topology.Paths, authority Authority) (*x509.Certificate, crypto.Signer, error) {
	certPEM, err := os.ReadFile(paths.PKI(string(authority) + ".crt"))
	if err != nil {
		return nil, nil, err
	}
	keyPEM, err := os.ReadFile(paths.PKI(string(authority) + ".key"))
	if err != nil {
		return nil, nil, err
	}
	certBlock, _ := pem.Decode(certPEM)
	keyBlock, _ := pem.Decode(keyPEM)
	if certBlock == nil || keyBlock == nil {
		return nil, nil, fmt.Errorf("%s.crt or %s.key holds no PEM: run `devcluster clean` to start over", authority, authority)
	}
	cert, err := x509.ParseCertificate(certBlock.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("parse %s.crt: %w", authority, err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(keyBlock.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("parse %s.key: %w", authority, err)
	}
	key, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, nil, fmt.Errorf("%s.key cannot sign", authority)
	}
	return cert, key, nil
}

func ensureServiceAccountKey(paths topology.Paths) error {
	if ok, err := exists(paths.PKI(ServiceAccountKey + ".pub")); ok || err != nil {
		return err
	}
	// RSA, since OIDC clients may know no other algorithm.
	key, err := rsa.GenerateKey(rand.Reader, serviceAccountKeyBits)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	if err := writeKey(paths.PKI(ServiceAccountKey+".key"), key); err != nil {
		return err
	}
	return writePEM(paths.PKI(ServiceAccountKey+".pub"), "PUBLIC KEY", public, 0o644)
}

// writePair writes the key first: a certificate that exists has its key.
func writePair(paths topology.Paths, name string, der []byte, key crypto.Signer) error {
	if err := writeKey(paths.PKI(name+".key"), key); err != nil {
		return err
	}
	return writePEM(paths.PKI(name+".crt"), "CERTIFICATE", der, 0o644)
}

func writeKey(path string, key crypto.Signer) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return writePEM(path, "PRIVATE KEY", der, 0o600)
}

func writePEM(path, kind string, der []byte, mode fs.FileMode) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode)
}
