// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package certs makes the certificates of a first start: an authority of the installation's own, and a server's
// certificate under it, kept in files and, when the server starts, made anew where they are about to end.
package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// How long certificates hold, and how long before their end they are made anew.
const (
	caLife     = 10 * 365 * 24 * time.Hour
	serverLife = 365 * 24 * time.Hour
	renewAt    = 30 * 24 * time.Hour
)

// Files are where an authority and a server's certificate are kept, in PEM; keys have mode 0600.
type Files struct{ CA, CAKey, Cert, Key string }

// In names the files in a folder.
func In(dir string) Files {
	return Files{
		CA: filepath.Join(dir, "ca.crt"), CAKey: filepath.Join(dir, "ca.key"),
		Cert: filepath.Join(dir, "server.crt"), Key: filepath.Join(dir, "server.key"),
	}
}

// Server returns the TLS configuration of a server that answers for the hosts, names or addresses, and the authority's
// certificate in PEM. What is missing, no longer holds or lacks a host is made.
func Server(f Files, hosts []string, now time.Time) (*tls.Config, []byte, error) {
	if err := os.MkdirAll(filepath.Dir(f.CA), 0o700); err != nil {
		return nil, nil, fmt.Errorf("certs: %w", err)
	}
	ca, caKey, err := load(f.CA, f.CAKey)
	if err != nil || now.After(ca.NotAfter.Add(-renewAt)) {
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, nil, fmt.Errorf("certs: %w; remove %s to have a new authority made", err, f.CA)
		}
		if ca, caKey, err = makeCA(f, now); err != nil {
			return nil, nil, err
		}
	}
	cert, _, err := load(f.Cert, f.Key)
	if err != nil || now.After(cert.NotAfter.Add(-renewAt)) || cert.CheckSignatureFrom(ca) != nil || !covers(cert, hosts) {
		if err := makeServer(f, ca, caKey, hosts, now); err != nil {
			return nil, nil, err
		}
	}
	pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		return nil, nil, fmt.Errorf("certs: %w", err)
	}
	caPEM, err := os.ReadFile(f.CA)
	if err != nil {
		return nil, nil, fmt.Errorf("certs: %w", err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}, caPEM, nil
}

func covers(cert *x509.Certificate, hosts []string) bool {
	return !slices.ContainsFunc(hosts, func(h string) bool { return cert.VerifyHostname(h) != nil })
}

func load(certFile, keyFile string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	certPEM, err := os.ReadFile(certFile)
	if err != nil {
		return nil, nil, err //nolint:wrapcheck // wrapped by the caller
	}
	keyPEM, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, nil, err //nolint:wrapcheck // wrapped by the caller
	}
	certBlock, _ := pem.Decode(certPEM)
	keyBlock, _ := pem.Decode(keyPEM)
	if certBlock == nil || keyBlock == nil {
		return nil, nil, fmt.Errorf("%s or %s is no PEM file", certFile, keyFile)
	}
	cert, err := x509.ParseCertificate(certBlock.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", certFile, err)
	}
	key, err := x509.ParseECPrivateKey(keyBlock.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: the key cannot be read", keyFile)
	}
	return cert, key, nil
}

func makeCA(f Files, now time.Time) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "fairlead-ca"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(caLife),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	return issue(f.CA, f.CAKey, template, nil, nil)
}

func makeServer(f Files, ca *x509.Certificate, caKey *ecdsa.PrivateKey, hosts []string, now time.Time) error {
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "fairlead"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(serverLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	_, _, err := issue(f.Cert, f.Key, template, ca, caKey)
	return err
}

// issue signs a certificate, by itself where there is no authority, and writes both files: the key first, so that no
// certificate is there without it.
func issue(certFile, keyFile string, template, ca *x509.Certificate, caKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("certs: %w", err)
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)); err != nil {
		return nil, nil, fmt.Errorf("certs: %w", err)
	}
	if ca == nil {
		ca, caKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca, key.Public(), caKey)
	if err != nil {
		return nil, nil, fmt.Errorf("certs: %w", err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("certs: %w", err)
	}
	if err := writePEM(keyFile, "EC PRIVATE KEY", keyDER, 0o600); err != nil {
		return nil, nil, err
	}
	if err := writePEM(certFile, "CERTIFICATE", der, 0o644); err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, fmt.Errorf("certs: %w", err)
	}
	return cert, key, nil
}

func writePEM(file, kind string, der []byte, mode os.FileMode) error {
	tmp := file + ".new"
	if err := os.WriteFile(tmp, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode); err != nil {
		return fmt.Errorf("certs: %w", err)
	}
	if err := os.Rename(tmp, file); err != nil {
		return fmt.Errorf("certs: %w", err)
	}
	return nil
}
