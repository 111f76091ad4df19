// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package certs makes and renews the certificates of an installation: an authority of its own, and under it one
// certificate for each service, by which it answers and by which it is known to the others. They lie in a folder, are made
// when absent, and renewed while the process runs; files that others change are taken over.
//
// When the authority is renewed, the new one is signed by itself and by the old one, and both are in the bundle: whoever
// knows only one of them gets along with certificates of the other until the old one ends.
package certs

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"
)

// How long certificates hold, and how long before their end they are made anew.
const (
	authorityLife    = 10 * 365 * 24 * time.Hour
	authorityRenewal = 365 * 24 * time.Hour
	leafLife         = 90 * 24 * time.Hour
	leafRenewal      = 30 * 24 * time.Hour
	// backdate allows for clocks that are behind ours.
	backdate = time.Hour
)

const (
	// checkInterval is how often the clock is compared with what is about to end: a clock may be set.
	checkInterval = time.Hour
	// retryInterval is how soon what failed is tried again.
	retryInterval = time.Minute
	// settle is how long files must lie still before they are read: others write several of them.
	settle = 100 * time.Millisecond
)

// Authority is an installation's own certificate authority, in a folder.
type Authority struct {
	dir string
	log *slog.Logger
	now func() time.Time

	bundle atomic.Pointer[bundle]

	mu     sync.Mutex // one check at a time
	leaves []*Leaf
}

// bundle is the authorities that are believed, the one that signs first. It does not change.
type bundle struct {
	certs []*x509.Certificate
	key   crypto.Signer // nil where others sign
	pem   []byte
	pool  *x509.CertPool
	cross []byte // the one that signs, signed by the one before it; nil where there is none
}

// Open opens the authority in a folder, which is made with an authority if there is none. Two processes may open the same
// folder.
func Open(dir string, log *slog.Logger) (*Authority, error) { return open(dir, log, time.Now) }

func open(dir string, log *slog.Logger, now func() time.Time) (*Authority, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("certs: %w", err)
	}
	a := &Authority{dir: dir, log: log, now: now}
	if err := a.check(); err != nil {
		return nil, err
	}
	return a, nil
}

// CA returns the certificates of the authorities that are believed now, in PEM, for clients that are to trust this
// installation.
func (a *Authority) CA() []byte { return a.bundle.Load().pem }

// Pool returns the authorities that are believed now.
func (a *Authority) Pool() *x509.CertPool { return a.bundle.Load().pool }

// Run renews certificates before they end and takes over files that others change, until ctx ends.
func (a *Authority) Run(ctx context.Context) error {
	var events <-chan fsnotify.Event
	var faults <-chan error
	watcher, err := fsnotify.NewWatcher()
	if err == nil {
		defer watcher.Close()
		err = watcher.Add(a.dir)
		events, faults = watcher.Events, watcher.Errors
	}
	if err != nil {
		a.log.WarnContext(ctx, "certs: changes of files are only seen now and then", "dir", a.dir, "error", err, "every", checkInterval)
	}
	timer := time.NewTimer(0) // what changed since Open
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-events:
			timer.Reset(settle)
			continue
		case err := <-faults:
			a.log.WarnContext(ctx, "certs: following files", "dir", a.dir, "error", err)
			timer.Reset(settle)
			continue
		case <-timer.C:
		}
		next := checkInterval
		if err := a.check(); err != nil {
			next = retryInterval
			a.log.ErrorContext(ctx, "certs: certificates stay as they are", "error", err, "again", next)
		}
		timer.Reset(next)
	}
}

// check reads all files, makes what is absent or about to end, and takes it over. What it cannot read or make leaves
// everything as it is.
func (a *Authority) check() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.checkLocked(a.leaves)
}

func (a *Authority) checkLocked(leaves []*Leaf) error {
	unlock, err := lock(a.dir)
	if err != nil {
		return err
	}
	defer unlock()
	b, err := a.loadBundle()
	if err != nil {
		return err
	}
	a.bundle.Store(b)
	var errs []error
	for _, l := range leaves {
		errs = append(errs, l.check(b))
	}
	return errors.Join(errs...)
}

// loadBundle returns the authorities in the folder, with a new one where there is none or its end is near.
func (a *Authority) loadBundle() (*bundle, error) {
	p := pairIn(a.dir, "ca")
	if err := p.finish(); err != nil {
		return nil, err
	}
	h, err := p.read()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	now := a.now()
	switch {
	case h == nil:
		if h, err = a.makeAuthority(p, nil); err != nil {
			return nil, err
		}
		a.log.Info("certs: made an authority", "file", p.cert)
	case h.key != nil && now.After(h.certs[0].NotAfter.Add(-authorityRenewal)):
		if h, err = a.makeAuthority(p, h); err != nil {
			return nil, err
		}
		a.log.Info("certs: made a new authority, the old one is believed until it ends", "file", p.cert)
	}
	b := &bundle{certs: h.certs, key: h.key, pem: h.pem, pool: x509.NewCertPool()}
	for _, c := range h.certs {
		b.pool.AddCert(c)
	}
	b.cross = a.cross(b)
	return b, nil
}

func (a *Authority) crossFile() string { return filepath.Join(a.dir, "ca-cross.crt") }

// cross returns the signing authority as signed by the one before it, while that is of use.
func (a *Authority) cross(b *bundle) []byte {
	data, err := os.ReadFile(a.crossFile())
	if err != nil {
		return nil
	}
	certs, err := parseCertificates(data)
	if err != nil || b.key == nil || !belongs(certs[0], b.key) || a.now().After(certs[0].NotAfter) {
		return nil
	}
	return certs[0].Raw
}

// makeAuthority makes an authority and puts it before the old ones that still hold.
func (a *Authority) makeAuthority(p pair, old *held) (*held, error) {
	now := a.now()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("certs: %w", err)
	}
	template, err := newTemplate(now, authorityLife)
	if err != nil {
		return nil, err
	}
	template.Subject = pkix.Name{CommonName: "fairlead-ca-" + hex.EncodeToString(template.SerialNumber.Bytes()[:4])}
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("certs: %w", err)
	}
	ders := [][]byte{der}
	if old != nil {
		for _, c := range old.certs {
			if now.Before(c.NotAfter) {
				ders = append(ders, c.Raw)
			}
		}
		if err := a.writeCross(template, key, old); err != nil {
			return nil, err
		}
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return nil, err
	}
	if err := p.write(encodeCertificates(ders...), keyPEM); err != nil {
		return nil, err
	}
	return p.read()
}

// writeCross has the old authority sign the new one, for as long as it holds itself.
func (a *Authority) writeCross(template *x509.Certificate, key crypto.Signer, old *held) error {
	signer := old.certs[0]
	if !a.now().Before(signer.NotAfter) {
		return nil
	}
	cross := *template
	cross.NotAfter = signer.NotAfter
	der, err := x509.CreateCertificate(rand.Reader, &cross, signer, key.Public(), old.key)
	if err != nil {
		return fmt.Errorf("certs: %w", err)
	}
	if err := writeFile(a.crossFile()+unfinished, encodeCertificates(der), certMode); err != nil {
		return err
	}
	return rename(a.crossFile())
}

// newTemplate returns a certificate that holds from now on, with a serial number of 128 bits, the first of them set.
func newTemplate(now time.Time, life time.Duration) (*x509.Certificate, error) {
	serial := make([]byte, 16)
	if _, err := rand.Read(serial); err != nil {
		return nil, fmt.Errorf("certs: %w", err)
	}
	serial[0] = serial[0]&0x7f | 0x40 // positive, and always of 16 bytes
	return &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial), NotBefore: now.Add(-backdate), NotAfter: now.Add(life),
	}, nil
}
