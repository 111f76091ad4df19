// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a time that tests set.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) forward(d time.Duration) { c.ahead.Add(int64(d)) }

func authority(t *testing.T, dir string, c *clock) *Authority {
	t.Helper()
	a, err := open(dir, nil, c.now)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func leaf(t *testing.T, a *Authority, name string) *Leaf {
	t.Helper()
	l, err := a.Leaf(name, []string{"127.0.0.1", name + ".test"})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// echo serves TLS: it says who its peer is, and then gives back what it gets.
func echo(t *testing.T, cfg *tls.Config) string {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", cfg)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	return l.Addr().String()
}

// connection is an open connection to an echo.
type connection struct{ *tls.Conn }

// dial connects and tells what a side found wrong with the other.
func dial(address string, cfg *tls.Config) (connection, error) {
	conn, err := (&tls.Dialer{Config: cfg}).DialContext(context.Background(), "tcp", address)
	if err != nil {
		return connection{}, err
	}
	c := connection{conn.(*tls.Conn)}
	return c, c.alive() // in TLS 1.3 the server's refusal comes with the first answer
}

func (c connection) alive() error {
	if _, err := c.Write([]byte("x")); err != nil {
		return err
	}
	var b [1]byte
	_, err := io.ReadFull(c, b[:])
	return err
}

func (c connection) server() *x509.Certificate { return c.ConnectionState().PeerCertificates[0] }

func mustDial(t *testing.T, what, address string, cfg *tls.Config) connection {
	t.Helper()
	c, err := dial(address, cfg)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestRenewalUnderLiveConnections(t *testing.T) {
	c := &clock{}
	dir := t.TempDir()
	a := authority(t, dir, c)
	server, client := leaf(t, a, "server"), leaf(t, a, "client")
	address := echo(t, server.Server(true))
	first := mustDial(t, "before", address, client.Client())

	c.forward(leafLife - leafRenewal + time.Hour)
	if err := a.check(); err != nil {
		t.Fatal(err)
	}
	second := mustDial(t, "after renewal", address, client.Client())
	if second.server().Equal(first.server()) {
		t.Error("the certificate was not renewed")
	}
	c.forward(leafLife) // nobody looked while everything expired
	if err := a.check(); err != nil {
		t.Fatal(err)
	}
	third := mustDial(t, "after expiry", address, client.Client())
	if !third.server().NotAfter.After(c.now()) {
		t.Error("an expired certificate is served")
	}
	for name, conn := range map[string]connection{"first": first, "second": second, "third": third} {
		if err := conn.alive(); err != nil {
			t.Errorf("the %s connection ended: %v", name, err)
		}
	}
}

func TestAuthoritiesOverlap(t *testing.T) {
	c := &clock{}
	a := authority(t, t.TempDir(), c)
	server := leaf(t, a, "server")
	oldRoots, oldCA := a.Pool(), a.CA()
	address := echo(t, server.Server(true))

	c.forward(authorityLife - authorityRenewal - leafLife/2)
	if err := a.check(); err != nil {
		t.Fatal(err)
	}
	old := leaf(t, a, "old") // by the old authority, and it will hold for a while after it is replaced
	oldCertificate := *old.current.Load()
	live := mustDial(t, "before", address, old.Client())

	c.forward(leafLife/2 + time.Hour)
	if err := a.check(); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(oldCA, a.CA()) || !bytes.Contains(a.CA(), oldCA) {
		t.Fatal("the bundle does not hold the new and the old authority")
	}
	if err := live.alive(); err != nil {
		t.Errorf("a live connection: %v", err)
	}
	onlyOld := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: oldRoots, ServerName: "server.test", Time: c.now}
	mustDial(t, "a client that knows only the old authority", address, onlyOld)
	onlyNew := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool(), ServerName: "server.test", Time: c.now}
	onlyNew.RootCAs.AddCert(a.bundle.Load().certs[0])
	mustDial(t, "a client that knows only the new authority", address, onlyNew)
	withOld := a.ClientTLS()
	withOld.Certificates = []tls.Certificate{oldCertificate}
	mustDial(t, "a client with a certificate of the old authority", address, withOld)

	c.forward(authorityRenewal)
	if err := a.check(); err != nil {
		t.Fatal(err)
	}
	mustDial(t, "after the old one's end", address, onlyNew)
	if _, err := dial(address, onlyOld); err == nil {
		t.Error("an authority that has ended is believed")
	}
}

func TestStrangersAreRefused(t *testing.T) {
	c := &clock{}
	ours, theirs := authority(t, t.TempDir(), c), authority(t, t.TempDir(), c)
	address := echo(t, leaf(t, ours, "server").Server(true))
	foreign := echo(t, leaf(t, theirs, "server").Server(true))
	client, stranger := leaf(t, ours, "client"), leaf(t, theirs, "client")
	strangerAtOurs := ours.ClientTLS()
	strangerAtOurs.GetClientCertificate = stranger.Client().GetClientCertificate // sent whatever the server asks for
	named := func(cfg *tls.Config, name string) *tls.Config {
		cfg.ServerName = name
		return cfg
	}
	old := named(&tls.Config{MaxVersion: tls.VersionTLS12, RootCAs: ours.Pool(), GetClientCertificate: client.Client().GetClientCertificate}, "server.test")
	cases := map[string]struct {
		address string
		cfg     *tls.Config
		says    string
	}{
		"ours":                        {address, client.Client(), ""},
		"ours, by name":               {address, named(client.Client(), "server.test"), ""},
		"nobody":                      {address, ours.ClientTLS(), ""},
		"a client of another":         {address, strangerAtOurs, "certificate"},
		"a server of another":         {foreign, client.Client(), "ca.crt of the same installation"},
		"another name than was meant": {address, named(client.Client(), "other.test"), "other.test"},
		"a service with TLS 1.2":      {address, old, "bad certificate"},
		"the service that is meant":   {address, client.Client("auth", "server"), ""},
		"the same, as nobody":         {address, ours.ClientTLS("server"), ""},
		"another service than meant":  {address, client.Client("auth"), "system:fairlead:server"},
		"another, as nobody":          {address, ours.ClientTLS("auth"), "auth; check the address"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			conn, err := dial(tc.address, tc.cfg)
			if err == nil {
				_ = conn.Close()
			}
			if tc.says == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v, want %q", err, tc.says)
			}
		})
	}
}

// Many open one folder at once, for the first time and when everything is to be renewed.
func TestOneOfSeveralMakesTheFiles(t *testing.T) {
	c := &clock{}
	dir := t.TempDir()
	for _, round := range []string{"first start", "renewal of all"} {
		const openers = 8
		var wg sync.WaitGroup
		cas, leaves := make([][]byte, openers), make([][]byte, openers)
		for i := range openers {
			wg.Go(func() {
				a, err := open(dir, nil, c.now)
				if err != nil {
					t.Error(err)
					return
				}
				hosts := []string{"127.0.0.1"}
				if i%2 == 0 {
					hosts = append(hosts, "even.test")
				}
				l, err := a.Leaf("server", hosts)
				if err != nil {
					t.Error(err)
					return
				}
				if err := a.check(); err != nil {
					t.Error(err)
				}
				cas[i], leaves[i] = a.CA(), l.current.Load().Certificate[0]
			})
		}
		wg.Wait()
		final := authority(t, dir, c)
		last := leaf(t, final, "server").current.Load()
		for i := range openers {
			if !bytes.Equal(cas[i], final.CA()) {
				t.Errorf("%s: process %d has another authority", round, i)
			}
			cert, err := x509.ParseCertificate(leaves[i])
			if err != nil || cert.CheckSignatureFrom(final.bundle.Load().certs[0]) != nil {
				t.Errorf("%s: process %d has a certificate of another authority: %v", round, i, err)
			}
		}
		if err := errors.Join(last.Leaf.VerifyHostname("even.test"), last.Leaf.VerifyHostname("server.test")); err != nil {
			t.Errorf("%s: %v", round, err)
		}
		c.forward(authorityLife - authorityRenewal/2)
	}
	for _, name := range []string{"ca.key", "server.key"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v, want mode 0600", name, info.Mode(), err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*"+unfinished)); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestFilesThatOthersChangeAreTakenOver(t *testing.T) {
	c := &clock{}
	dir := t.TempDir()
	a := authority(t, dir, c)
	address := echo(t, leaf(t, a, "server").Server(false))
	before := mustDial(t, "before", address, a.ClientTLS()).server()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = a.Run(ctx) })
	defer wg.Wait()
	defer cancel()

	other := authority(t, dir, c) // as another process has it
	if err := os.Remove(filepath.Join(dir, "server.crt")); err != nil {
		t.Fatal(err)
	}
	leaf(t, other, "server")
	for deadline := time.Now().Add(20 * time.Second); ; {
		conn := mustDial(t, "after", address, a.ClientTLS())
		changed := !conn.server().Equal(before)
		_ = conn.Close()
		if changed {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the new certificate is not served")
		}
	}
}

// A process may end at any point of writing a pair.
func TestWhatAnEndedProcessLeft(t *testing.T) {
	c := &clock{}
	old, err := os.MkdirTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	fresh := t.TempDir()
	authority(t, old, c)
	authority(t, fresh, c)
	read := func(dir, name string) []byte {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	oldCert, oldKey, newCert, newKey := read(old, "ca.crt"), read(old, "ca.key"), read(fresh, "ca.crt"), read(fresh, "ca.key")
	cases := map[string]struct {
		files map[string][]byte
		want  []byte
	}{
		"half a certificate": {map[string][]byte{"ca.crt": oldCert, "ca.key": oldKey, "ca.crt.new": newCert[:40]}, oldCert},
		"before the key":     {map[string][]byte{"ca.crt": oldCert, "ca.key": oldKey, "ca.crt.new": newCert}, oldCert},
		"before renaming":    {map[string][]byte{"ca.crt": oldCert, "ca.key": oldKey, "ca.crt.new": newCert, "ca.key.new": newKey}, oldCert},
		"between renaming":   {map[string][]byte{"ca.crt": oldCert, "ca.key": newKey, "ca.crt.new": newCert}, newCert},
		"the very first":     {map[string][]byte{"ca.key": newKey, "ca.crt.new": newCert}, newCert},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, data := range tc.files {
				if err := os.WriteFile(filepath.Join(dir, file), data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if got := authority(t, dir, c).CA(); !bytes.Equal(got, tc.want) {
				t.Errorf("got\n%s, want\n%s", got, tc.want)
			}
		})
	}
}

func TestErrorsSayWhichFileAndWhatToDo(t *testing.T) {
	c := &clock{}
	write := func(name, text string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	remove := func(names ...string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			for _, name := range names {
				if err := os.Remove(filepath.Join(dir, name)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	cases := map[string]struct {
		spoil func(*testing.T, string)
		says  []string
	}{
		"no certificate":           {write("ca.crt", "hello"), []string{"ca.crt", "remove it"}},
		"no key":                   {write("ca.key", "hello"), []string{"ca.key", "remove it and"}},
		"a leaf that is garbage":   {write("server.crt", "hello"), []string{"server.crt", "remove it"}},
		"nobody signs":             {remove("ca.key", "server.crt"), []string{"server.crt", "no ca.key", "put a new certificate"}},
		"another leaf's key":       {func(t *testing.T, dir string) { swap(t, dir, "server.key", "other.key") }, []string{"server.key", "is not the key of", "remove both"}},
		"only the leaf, and it is": {remove("ca.key"), nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			a := authority(t, dir, c)
			leaf(t, a, "server")
			leaf(t, a, "other")
			tc.spoil(t, dir)
			a, err := open(dir, nil, c.now)
			if err == nil {
				_, err = a.Leaf("server", []string{"127.0.0.1"})
			}
			if tc.says == nil {
				if err != nil {
					t.Error(err)
				}
				return
			}
			for _, text := range tc.says {
				if err == nil || !strings.Contains(err.Error(), text) {
					t.Errorf("%q is not told: %v", text, err)
				}
			}
		})
	}
}

func swap(t *testing.T, dir, a, b string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, b))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, a), data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
