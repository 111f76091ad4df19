// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

const (
	pemCertificate = "CERTIFICATE"
	pemKey         = "PRIVATE KEY"
	lockFile       = ".lock"
	// unfinished is the suffix of a file that is being written. Pairs are written so that finish can tell what a process
	// meant that ended in between.
	unfinished = ".new"

	keyMode  = 0o600
	certMode = 0o644
)

// pair is a certificate with its key, in two files.
type pair struct{ cert, key string }

func pairIn(dir, name string) pair {
	return pair{filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")}
}

// held is what a pair of files holds. The key is nil where there is no key file: such a certificate is others' to renew.
type held struct {
	certs []*x509.Certificate
	key   crypto.Signer
	pem   []byte
}

// read returns what the files hold; fs.ErrNotExist where there is no certificate.
func (p pair) read() (*held, error) {
	h := &held{}
	var err error
	if h.pem, err = os.ReadFile(p.cert); err != nil {
		return nil, fmt.Errorf("certs: %w", err)
	}
	if h.certs, err = parseCertificates(h.pem); err != nil {
		return nil, fmt.Errorf("certs: %s: %w; restore the file, or remove it to have a new one made", p.cert, err)
	}
	keyPEM, err := os.ReadFile(p.key)
	if errors.Is(err, fs.ErrNotExist) {
		return h, nil
	}
	if err != nil {
		return nil, fmt.Errorf("certs: %w", err)
	}
	if h.key, err = parseKey(keyPEM); err != nil {
		return nil, fmt.Errorf("certs: %s: %w; restore the file, or remove it and %s to have new ones made", p.key, err, p.cert)
	}
	if !belongs(h.certs[0], h.key) {
		return nil, fmt.Errorf("certs: %s is not the key of the first certificate in %s; restore them, or remove both to have new ones made", p.key, p.cert)
	}
	return h, nil
}

// write replaces both files: the key is there before its certificate is.
func (p pair) write(certPEM, keyPEM []byte) error {
	if err := writeFile(p.cert+unfinished, certPEM, certMode); err != nil {
		return err
	}
	if err := writeFile(p.key+unfinished, keyPEM, keyMode); err != nil {
		return err
	}
	return errors.Join(rename(p.key), rename(p.cert))
}

// finish ends what a process left that ended while it wrote: a certificate whose key is in its place follows it, all else
// is as if it had not begun.
func (p pair) finish() error {
	var errs []error
	certPEM, err := os.ReadFile(p.cert + unfinished)
	if err == nil {
		certs, certErr := parseCertificates(certPEM)
		keyPEM, _ := os.ReadFile(p.key) // absent is as good as another
		key, keyErr := parseKey(keyPEM)
		if certErr == nil && keyErr == nil && belongs(certs[0], key) {
			errs = append(errs, rename(p.cert))
		}
	}
	for _, file := range []string{p.cert, p.key} {
		if err := os.Remove(file + unfinished); err != nil && !errors.Is(err, fs.ErrNotExist) && !readOnly(err) {
			errs = append(errs, fmt.Errorf("certs: %w", err))
		}
	}
	return errors.Join(errs...)
}

func belongs(cert *x509.Certificate, key crypto.Signer) bool {
	public, ok := cert.PublicKey.(interface {
		Equal(other crypto.PublicKey) bool
	})
	return ok && public.Equal(key.Public())
}

// rename puts a file that was written in its place.
func rename(file string) error {
	if err := os.Rename(file+unfinished, file); err != nil {
		return fmt.Errorf("certs: %w", err)
	}
	return nil
}

// writeFile writes a file that is on the disk when it returns.
func writeFile(file string, data []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return fmt.Errorf("certs: %w", err)
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("certs: write %s: %w", file, err)
	}
	return nil
}

// lock keeps other processes from the folder until the returned function is called. A folder that cannot be written to
// needs no lock, since nobody changes it from here.
func lock(dir string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, keyMode)
	if readOnly(err) {
		return func() {}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("certs: %w", err)
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("certs: lock %s: %w", f.Name(), err)
	}
	return func() { _ = f.Close() }, nil // closing unlocks
}

func readOnly(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)
}

func parseCertificates(data []byte) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		if block.Type != pemCertificate {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("a certificate in it cannot be read: %w", err)
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, errors.New("no certificate in PEM is in it")
	}
	return out, nil
}

// parseKey reads a private key in PKCS #8, SEC 1 or PKCS #1. No part of it is in the error.
func parseKey(data []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("no key in PEM is in it")
	}
	if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
		if signer, ok := key.(crypto.Signer); ok {
			return signer, nil
		}
	}
	if key, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	return nil, errors.New("the key in it cannot be read")
}

func encodeCertificates(ders ...[]byte) []byte {
	var out bytes.Buffer
	for _, der := range ders {
		_ = pem.Encode(&out, &pem.Block{Type: pemCertificate, Bytes: der}) // a buffer takes everything
	}
	return out.Bytes()
}

func encodeKey(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("certs: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemKey, Bytes: der}), nil
}
