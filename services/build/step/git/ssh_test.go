// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package git_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/crypto/ssh/knownhosts"

	"fairlead.dev/services/build/step/contract"
	"fairlead.dev/services/build/step/credentials"
	"fairlead.dev/services/build/step/git"
	"fairlead.dev/services/build/step/git/gittest"
)

func keyFor(t *testing.T, secret, place, key, known string) credentials.Credential {
	t.Helper()
	p, err := credentials.ParsePlace(place)
	if err != nil {
		t.Fatal(err)
	}
	return credentials.Credential{Offer: credentials.Offer{Secret: secret, Kind: credentials.Key, Place: p}, Key: []byte(key), KnownHosts: []byte(known)}
}

func TestSSH(t *testing.T) {
	r := serve(t, nil)
	server := gittest.ServeSSH(t, "127.0.0.1:0", r.root)
	host, port, err := net.SplitHostPort(server.Address)
	if err != nil {
		t.Fatal(err)
	}
	otherKey, otherPublic := gittest.Key(t)
	right := server.KnownHosts()
	wrong := knownhosts.Line([]string{server.Address}, otherPublic) + "\n"
	noPort := knownhosts.Line([]string{host}, server.HostKey) + "\n"
	hashed := knownhosts.Line([]string{knownhosts.HashHostname("[" + host + "]:" + port)}, server.HostKey) + "\n"
	rsa := "[" + host + "]:" + port + " ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQDNNyQwM1Cgnx1qRjNkdpNDvsTbCHJ8GYuBk9SP8iZpSmtLGmRRl8i5kR/GPuq8aEXeYEHNEfnHvEQDUm1A2G0p8Zn4bPkfsVWVgrrvX6wqEdcFhtvnkcmNNJNDbDZ4qJZzjj0Gmh2wXRtmRrhPgHfIFgkRBVdX2oBZRXX8KiJhjw==\n"
	url := "ssh://git@" + server.Address + "/repo.git"
	for _, c := range []struct {
		reason, url, place, key, known string
		want, says                     string
	}{
		{"the right host key", url, "https://" + host, server.PrivateKey, right, "", ""},
		{"hashed, as ssh-keyscan -H writes it", url, host, server.PrivateKey, hashed, "", ""},
		{"without the port, which ssh takes too", url, host, server.PrivateKey, noPort, "", ""},
		{"beside one of another kind", url, host, server.PrivateKey, rsa + right, "", ""},
		{"none known: the first is accepted", url, host, server.PrivateKey, "", "", ""},
		{"git's own form, with the port of the annotation", "git@" + host + ":repo.git", server.Address, server.PrivateKey, right, "", ""},
		{"the wrong host key", url, host, server.PrivateKey, wrong, contract.ReasonHostKey, `known_hosts of Secret "s" has another one`},
		{"a host key for another host", url, host, server.PrivateKey, "elsewhere.test " + strings.SplitN(right, " ", 2)[1], contract.ReasonHostKey, "has no key of this host"},
		{"a revoked host key", url, host, server.PrivateKey, "@revoked " + right, contract.ReasonHostKey, "revoked"},
		{"another key", url, host, otherKey, right, contract.ReasonSourceUnauthorized, `correct the key of Secret "s", which was shown (it is for ` + host},
		{"a key for another port", url, host + ":1", server.PrivateKey, right, contract.ReasonSourceUnauthorized, "is for another port"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			source := git.Source{URL: c.url, Revision: "main", Credentials: []credentials.Credential{keyFor(t, "s", c.place, c.key, c.known)}}
			_, commit, err := fetch(t, source)
			if c.want == "" {
				if err != nil || commit != r.second {
					t.Fatalf("commit %s, %v", commit, err)
				}
				return
			}
			var e *git.Error
			if !errors.As(err, &e) || e.Reason != c.want || !strings.Contains(e.Message, c.says) || e.Temporary {
				t.Fatalf("error %+v, want %s: … %s …", err, c.want, c.says)
			}
		})
	}
}

// TestAcceptedHostKey: what was accepted is kept for the steps, once.
func TestAcceptedHostKey(t *testing.T) {
	r := serve(t, nil)
	server := gittest.ServeSSH(t, "127.0.0.1:0", r.root)
	known := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(known, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	_, err := git.Fetch(context.Background(), git.Source{
		URL: "ssh://git@" + server.Address + "/repo.git", Revision: "main", Dir: t.TempDir(), Log: &log,
		Credentials: []credentials.Credential{keyFor(t, "s", "127.0.0.1", server.PrivateKey, "")},
		KnownHosts:  []string{known, known + "-none"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(known); err != nil || string(data) != server.KnownHosts() {
		t.Errorf("known_hosts is %q, %v; want %q", data, err, server.KnownHosts())
	}
	if !strings.Contains(log.String(), "accepted the host key") {
		t.Errorf("the log does not say so: %s", &log)
	}
}

// TestHome has git and ssh themselves find what is rendered.
func TestHome(t *testing.T) {
	if _, err := exec.LookPath("ssh"); err != nil {
		t.Skip("ssh is not installed")
	}
	private := serve(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if user, password, _ := req.BasicAuth(); user != "ann" || password != `p@"ss:\` {
				w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
				http.Error(w, "no", http.StatusUnauthorized)
				return
			}
			next.ServeHTTP(w, req)
		})
	})
	server := gittest.ServeSSH(t, "127.0.0.1:0", private.root)
	_, otherPublic := gittest.Key(t)
	web := strings.TrimSuffix(private.url, "/repo.git")
	password := func(place, user, password string) credentials.Credential {
		p, err := credentials.ParsePlace(place)
		if err != nil {
			t.Fatal(err)
		}
		return credentials.Credential{Offer: credentials.Offer{Secret: user, Kind: credentials.Password, Place: p}, Username: user, Password: password}
	}
	for _, c := range []struct {
		reason, url string
		git         []credentials.Credential
		says        string
	}{
		{"a password", private.url, []credentials.Credential{password(web, "ann", `p@"ss:\`)}, ""},
		{"the closest password", private.url, []credentials.Credential{password(web, "eve", "x"), password(web+"/repo.git", "ann", `p@"ss:\`)}, ""},
		{"the wrong password", private.url, []credentials.Credential{password(web, "ann", "x")}, "Authentication failed"},
		{"a key", "git@127.0.0.1:repo.git", []credentials.Credential{keyFor(t, "s", server.Address, server.PrivateKey, server.KnownHosts())}, ""},
		{"a key, and no known host", "git@127.0.0.1:repo.git", []credentials.Credential{keyFor(t, "s", server.Address, server.PrivateKey, "")}, ""},
		{
			"a wrong host key", "git@127.0.0.1:repo.git",
			[]credentials.Credential{keyFor(t, "s", server.Address, server.PrivateKey, knownhosts.Line([]string{server.Address}, otherPublic))}, "Host key verification failed",
		},
	} {
		t.Run(c.reason, func(t *testing.T) {
			dir := t.TempDir()
			kept, home, passwd := filepath.Join(dir, "kept"), filepath.Join(dir, "a home"), filepath.Join(dir, "passwd")
			files, faults := credentials.Home{Dir: contract.Home, Git: c.git}.Files()
			if len(faults) > 0 {
				t.Fatal(faults)
			}
			if err := credentials.Keep(kept, files); err != nil {
				t.Fatal(err)
			}
			env, err := credentials.Delivery{From: kept, Home: home, Shared: contract.Home, Passwd: passwd}.Deliver()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("git", "clone", "-q", c.url, filepath.Join(dir, "clone"))
			cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "LC_ALL=C"}, env...)
			out, err := cmd.CombinedOutput()
			if (err == nil) != (c.says == "") || !strings.Contains(string(out), c.says) {
				t.Errorf("git clone: %v\n%s\nwant %q", err, out, c.says)
			}
		})
	}
}

// TestSharedHomeOfAnother has ssh, which is particular about owners and modes, use the home that steps share, as a user who
// has not made it.
func TestSharedHomeOfAnother(t *testing.T) {
	const nobody = 65534 // Debian knows it; ssh takes none whom the system does not know
	if _, err := exec.LookPath("ssh"); err != nil || os.Geteuid() != 0 {
		t.Skip("this takes ssh, and root to become another")
	}
	r := serve(t, nil)
	server := gittest.ServeSSH(t, "127.0.0.1:0", r.root)
	dir := t.TempDir()
	kept, home, clone := filepath.Join(dir, "kept"), filepath.Join(dir, "home"), filepath.Join(dir, "clone")
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(os.Chmod(filepath.Dir(dir), 0o755))
	files, _ := credentials.Home{Dir: home, Git: []credentials.Credential{keyFor(t, "s", server.Address, server.PrivateKey, "")}}.Files()
	check(credentials.Keep(kept, files))
	for _, d := range []string{home, clone} {
		check(os.Mkdir(d, 0o777))
		check(os.Chmod(d, 0o777))
	}
	env, err := credentials.Delivery{From: kept, Home: home, Shared: home, Passwd: filepath.Join(dir, "none")}.Deliver()
	check(err)
	check(os.Chown(filepath.Join(home, ".ssh/id_s"), nobody, nobody)) // as Deliver does when it runs as that user
	cmd := exec.Command("git", "clone", "-q", "git@127.0.0.1:repo.git", clone)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "GIT_CONFIG_NOSYSTEM=1", "LC_ALL=C"}, env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("git clone: %v\n%s", err, out)
	}
	if data, err := os.ReadFile(filepath.Join(home, ".ssh/known_hosts")); err != nil || len(data) == 0 {
		t.Errorf("the host key that was accepted is not kept: %q, %v", data, err)
	}
}

// TestSubmodules: each gets the credentials for its own place, and those of another host are not shown to it.
func TestSubmodules(t *testing.T) {
	var shown []string
	other := serve(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if user, _, ok := req.BasicAuth(); ok {
				shown = append(shown, user)
			}
			next.ServeHTTP(w, req)
		})
	})
	r := serve(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if user, _, _ := req.BasicAuth(); user != "ann" {
				w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
				http.Error(w, "no", http.StatusUnauthorized)
				return
			}
			next.ServeHTTP(w, req)
		})
	})
	// repo.git has middle.git by a relative URL, which has one on the other host.
	add := func(name, url string) {
		work := filepath.Join(r.root, "work-"+name)
		gitIn(t, r.root, "init", "-q", "-b", "main", work)
		gitIn(t, work, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "--name", "sub", map[bool]string{true: filepath.Join(r.root, "middle.git"), false: url}[name == "top"], "sub")
		gitIn(t, work, "config", "-f", ".gitmodules", "submodule.sub.url", url)
		gitIn(t, work, "add", ".")
		gitIn(t, work, "commit", "-q", "-m", name)
		gitIn(t, r.root, "clone", "-q", "--bare", work, filepath.Join(r.root, name+".git"))
	}
	add("middle", other.url)
	add("top", "../middle.git")
	host, port, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(r.url, "http://"), "/repo.git"), ":")
	ann := credentials.Credential{
		Offer:    credentials.Offer{Secret: "ann", Kind: credentials.Password, Place: credentials.Place{Scheme: credentials.HTTP, Host: host, Port: port}},
		Username: "ann", Password: "secret",
	}
	dir, _, err := fetch(t, git.Source{URL: strings.Replace(r.url, "repo.git", "top.git", 1), Revision: "main", Credentials: []credentials.Credential{ann}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "sub/sub/README")); err != nil {
		t.Error(err)
	}
	if len(shown) > 0 {
		t.Errorf("the other host was shown the credentials of %v", shown)
	}
}
