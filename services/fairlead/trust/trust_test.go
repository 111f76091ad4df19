// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package trust_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"fairlead.dev/services/fairlead/process"
	"fairlead.dev/services/fairlead/trust"
	"fairlead.dev/services/internal/clientauth"
	"fairlead.dev/services/internal/clientauth/clientauthtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// limit is how long a test waits.
const limit = 5 * time.Second

// follow runs a process with the part until the test ends, and returns what is believed.
func follow(t *testing.T, args ...string) *clientauth.Trust {
	t.Helper()
	p := process.New(process.Options{Name: "test"})
	part := trust.New(p)
	part.Proxies(func() bool { return false })
	ready := make(chan struct{})
	p.Once("the test", func(context.Context) error { close(ready); return nil })
	cmd := p.Command()
	cmd.SetArgs(append([]string{"--data-dir", t.TempDir(), "--metrics-listen", "", "--log-level", "error"}, args...))
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- cmd.ExecuteContext(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-ready:
	case err := <-ended:
		ended <- nil
		t.Fatalf("the process has ended: %v", err)
	case <-time.After(limit):
		t.Fatal("the process does not start")
	}
	return part.Trust()
}

// put has a file hold something from one moment to the next, as those do who replace files that are read.
func put(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file+".new", data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

// chain is a certificate as a client shows it.
func chain(t *testing.T, c *tls.Certificate) []*x509.Certificate {
	t.Helper()
	cert, err := x509.ParseCertificate(c.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return []*x509.Certificate{cert}
}

// user is whom a certificate stands for; empty for nobody.
func user(t *testing.T, trusted *clientauth.Trust, cert *tls.Certificate) string {
	t.Helper()
	id, err := trusted.Client(chain(t, cert), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if id == nil {
		return ""
	}
	return id.User
}

// until waits for something to become so, which it is asked whenever something else is believed.
func until(t *testing.T, trusted *clientauth.Trust, what string, is func() bool) {
	t.Helper()
	timeout := time.After(limit)
	for {
		changed := trusted.Changed() // before it is asked
		if is() {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("%s: not within %s", what, limit)
		}
	}
}

func TestFilesOfAuthoritiesAreFollowed(t *testing.T) {
	old, next, cluster := clientauthtest.NewIssuer(t, "old"), clientauthtest.NewIssuer(t, "next"), clientauthtest.NewIssuer(t, "cluster")
	proxies, otherProxies := clientauthtest.NewIssuer(t, "proxies"), clientauthtest.NewIssuer(t, "other proxies")
	dir := t.TempDir()
	people, ofCluster, ofProxies := filepath.Join(dir, "people.crt"), filepath.Join(dir, "cluster.crt"), filepath.Join(dir, "proxies.crt")
	put(t, people, old.PEM)
	put(t, ofCluster, cluster.PEM)
	put(t, ofProxies, proxies.PEM)
	trusted := follow(t, "--client-ca-file", people, "--cluster-client-ca-file", ofCluster, "--requestheader-client-ca-file", ofProxies)
	ada, adaNext, boss := old.Issue(t, "ada"), next.Issue(t, "ada"), cluster.Issue(t, "system:boss")
	if got := []string{user(t, trusted, ada), user(t, trusted, adaNext), user(t, trusted, boss)}; got[0] != "ada" || got[1] != "" || got[2] != "system:boss" {
		t.Fatalf("at first: %q", got)
	}

	put(t, people, append(append([]byte(nil), old.PEM...), next.PEM...))
	until(t, trusted, "both are believed", func() bool { return user(t, trusted, adaNext) == "ada" && user(t, trusted, ada) == "ada" })
	put(t, people, next.PEM)
	until(t, trusted, "the old one is not", func() bool { return user(t, trusted, ada) == "" })
	if user(t, trusted, adaNext) != "ada" || user(t, trusted, boss) != "system:boss" {
		t.Error("whoever was to stay is believed no longer")
	}

	// What cannot be read changes nothing, also not what another file says at the same time.
	put(t, people, []byte("half a certif"))
	put(t, ofCluster, old.PEM)
	if user(t, trusted, adaNext) != "ada" {
		t.Error("a file that cannot be read has taken somebody's place")
	}
	put(t, people, next.PEM)
	until(t, trusted, "the cluster's new one is believed", func() bool { return user(t, trusted, boss) == "" })
	if user(t, trusted, adaNext) != "ada" {
		t.Error("whoever was to stay is believed no longer")
	}

	says := func(i *clientauthtest.Issuer) bool {
		remote := trusted.Take(map[string][]string{"X-Remote-User": {"eve"}})
		id, _, err := trusted.Proxied(chain(t, i.Issue(t, "proxy")), remote, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return id != nil && id.User == "eve"
	}
	if !says(proxies) || says(otherProxies) {
		t.Fatal("the front proxy at first")
	}
	put(t, ofProxies, otherProxies.PEM)
	until(t, trusted, "another front proxy is believed", func() bool { return says(otherProxies) && !says(proxies) })
}

// TestAFileInABusyFolderIsFollowed has somebody write other files beside it all the time.
func TestAFileInABusyFolderIsFollowed(t *testing.T) {
	old, next := clientauthtest.NewIssuer(t, "old"), clientauthtest.NewIssuer(t, "next")
	dir := t.TempDir()
	file := filepath.Join(dir, "people.crt")
	put(t, file, old.PEM)
	trusted := follow(t, "--client-ca-file", file)
	ada, adaNext := old.Issue(t, "ada"), next.Issue(t, "ada")
	put(t, file, append(append([]byte(nil), old.PEM...), next.PEM...))
	until(t, trusted, "both are believed", func() bool { return user(t, trusted, adaNext) == "ada" }) // it has begun to follow
	stop, busy, stopped := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			_ = os.WriteFile(filepath.Join(dir, "other"), nil, 0o600)
			if n == 0 {
				close(busy)
			}
			select {
			case <-stop:
				return
			case <-tick.C:
			}
		}
	}()
	defer func() { close(stop); <-stopped }()
	<-busy
	put(t, file, next.PEM)
	until(t, trusted, "the old one is not", func() bool { return user(t, trusted, ada) == "" })
}

// TestAFileOfAMountedSecretIsFollowed, whose folder is replaced as kubelet does it: by a link to another.
func TestAFileOfAMountedSecretIsFollowed(t *testing.T) {
	old, next := clientauthtest.NewIssuer(t, "old"), clientauthtest.NewIssuer(t, "next")
	dir := t.TempDir()
	version := func(name string, data []byte) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(dir, name, "ca.crt"), data)
		if err := os.Symlink(name, filepath.Join(dir, "..data_tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	version("..1", old.PEM)
	file := filepath.Join(dir, "ca.crt")
	if err := os.Symlink(filepath.Join("..data", "ca.crt"), file); err != nil {
		t.Fatal(err)
	}
	trusted := follow(t, "--client-ca-file", file)
	version("..2", next.PEM)
	ada, adaNext := old.Issue(t, "ada"), next.Issue(t, "ada")
	until(t, trusted, "the new one is believed, and the old one not", func() bool {
		return user(t, trusted, adaNext) == "ada" && user(t, trusted, ada) == ""
	})
}
