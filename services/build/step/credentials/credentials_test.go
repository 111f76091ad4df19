// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package credentials_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"fairlead.dev/services/build/step/credentials"
)

// secret makes the folder that a Secret's volume is.
func secret(t *testing.T, name string, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// newKey makes a private key as ssh-keygen writes it.
func newKey(t *testing.T, passphrase string) (private string, public ssh.PublicKey) {
	t.Helper()
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if passphrase != "" {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte(passphrase))
	}
	if err != nil {
		t.Fatal(err)
	}
	public, err = ssh.NewPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(block)), public
}

func load(t *testing.T, mounts ...string) []credentials.Credential {
	t.Helper()
	out, faults := credentials.Load(mounts)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	return out
}

func TestLoadFails(t *testing.T) {
	key, public := newKey(t, "")
	locked, _ := newKey(t, "hunter2")
	for _, c := range []struct {
		reason, place string
		files         map[string]string
		says          string
	}{
		{"nothing", "git.test", nil, "it is not there, or empty"},
		{"no username", "git.test", map[string]string{"password": "hunter2"}, "no `username`"},
		{"two lines of username", "git.test", map[string]string{"username": "ann\nhunter2", "password": "hunter2"}, "`username` holds control"},
		{"two lines of password", "git.test", map[string]string{"username": "ann", "password": "hunter2\nhunter2"}, "`password` holds line breaks"},
		{"no key", "git.test", map[string]string{"ssh-privatekey": "hunter2"}, "not a private key"},
		{"an empty key", "git.test", map[string]string{"ssh-privatekey": ""}, "not a private key"},
		{"the public key", "git.test", map[string]string{"ssh-privatekey": string(ssh.MarshalAuthorizedKey(public))}, "is it the public one"},
		{"a key with a passphrase", "git.test", map[string]string{"ssh-privatekey": locked}, "passphrase"},
		{"broken known_hosts", "git.test", map[string]string{"ssh-privatekey": key, "known_hosts": "# a comment\ngit.test hunter2 hunter2"}, "`known_hosts` cannot be read in line 2"},
		{"no place", "", map[string]string{"username": "ann", "password": "hunter2"}, "it is empty"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			got, faults := credentials.Load([]string{secret(t, "broken", c.files) + "=" + c.place})
			if len(got) > 0 || len(faults) != 1 {
				t.Fatalf("%d credentials, faults %v", len(got), faults)
			}
			text := faults[0].String()
			if !strings.Contains(text, c.says) || !strings.Contains(text, `"broken"`) || strings.Contains(text, "hunter2") {
				t.Errorf("fault %q, want the Secret's name, %q and no value", text, c.says)
			}
		})
	}
	if _, faults := credentials.Load([]string{"no-place"}); len(faults) != 1 {
		t.Errorf("faults %v", faults)
	}
	if got := load(t, secret(t, "token", map[string]string{"username": "token\n"})+"=git.test"); got[0].Username != "token" {
		t.Errorf("a username without password is %q", got[0].Username)
	}
}

func TestMissing(t *testing.T) {
	key, _ := newKey(t, "")
	good := load(t, secret(t, "good", map[string]string{"ssh-privatekey": key})+"=https://git.test")
	_, broken := credentials.Load([]string{secret(t, "broken", map[string]string{"ssh-privatekey": "x"}) + "=git.test"})
	for _, c := range []struct {
		reason, repository string
		all                []credentials.Credential
		faults             []credentials.Fault
		says               string
	}{
		{"no source", "", nil, broken, ""},
		{"one that may be public", "https://git.test/a", nil, broken, ""},
		{"a key", "git@git.test:a", good, broken, ""},
		{"a key for another host", "git@other.test:a", good, nil, "annotated build.knative.dev/git-0: ssh://other.test"},
		{"a broken key", "git@git.test:a", nil, broken, `secret "broken": its ` + "`ssh-privatekey` is not"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			err := credentials.Missing(c.all, c.faults, c.repository)
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want %q", err, c.says)
			}
		})
	}
}

func TestFiles(t *testing.T) {
	key, public := newKey(t, "")
	line := string(ssh.MarshalAuthorizedKey(public))
	password := func(user string) map[string]string {
		return map[string]string{"username": user, "password": `p@s:"\s` + "\n"}
	}
	both := secret(t, "both", password("ann"))
	strict := secret(t, "strict", map[string]string{"ssh-privatekey": key, "known_hosts": "git.test " + line})
	config := filepath.Join(secret(t, "config", map[string]string{
		".dockerconfigjson": `{"auths":{"one.test":{"auth":"YTpi"},"two.test":{"auth":"eDp5"},"docker.io":{"auth":"aDpi"}},"credsStore":"desktop"}`,
	}), ".dockerconfigjson")
	old := filepath.Join(secret(t, "old", map[string]string{".dockercfg": `{"one.test":{"auth":"bm86bm8="},"three.test":{"auth":"Yzpk","email":"a@b.test"}}`}), ".dockercfg")
	broken := filepath.Join(secret(t, "broken", map[string]string{".dockerconfigjson": `{"auths":["hunter2"]}`}), ".dockerconfigjson")
	h := credentials.Home{
		Dir: "/builder/home",
		Git: load(t, both+"=https://git.test", both+"=http://plain.test:8080",
			secret(t, "team", password(`b"o\b`))+"=git.test/team", secret(t, "again", password("eve"))+"=https://git.test",
			strict+"=https://git.test", strict+"=git.test", secret(t, "new", map[string]string{"ssh-privatekey": key})+"=other.test:2222"),
		Docker:        load(t, both+"=https://two.test", both+"=index.docker.io"),
		DockerConfigs: []string{config, old, broken},
	}
	got, faults := h.Files()
	if len(faults) != 1 || faults[0].Secret != "broken" || strings.Contains(faults[0].String(), "hunter2") {
		t.Errorf("faults %v", faults)
	}
	want := credentials.Files{
		".gitconfig": `[credential]
	helper = store
[credential "http://plain.test:8080"]
	username = "ann"
[credential "https://git.test"]
	username = "ann"
[credential "https://git.test/team"]
	username = "b\"o\\b"
[credential "https://git.test/team.git"]
	username = "b\"o\\b"
`,
		".git-credentials": `https://b%22o%5Cb:p%40s%3A%22%5Cs@git.test
https://ann:p%40s%3A%22%5Cs@git.test
http://ann:p%40s%3A%22%5Cs@plain.test:8080
`,
		".ssh/config": `Host git.test
	IdentityFile "/builder/home/.ssh/id_strict"
	StrictHostKeyChecking yes
	UserKnownHostsFile "/builder/home/.ssh/known_hosts"
Host other.test
	Port 2222
	IdentityFile "/builder/home/.ssh/id_new"
	StrictHostKeyChecking accept-new
	UserKnownHostsFile "/builder/home/.ssh/known_hosts"
`,
		".ssh/known_hosts":    "git.test " + line,
		".ssh/id_strict":      key,
		".ssh/id_new":         key,
		".docker/config.json": `{"auths":{"https://index.docker.io/v1/":{"auth":"YW5uOnBAczoiXHM="},"one.test":{"auth":"YTpi"},"three.test":{"auth":"Yzpk","email":"a@b.test"},"two.test":{"auth":"YW5uOnBAczoiXHM="}}}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if got, faults := (credentials.Home{Dir: "/builder/home"}).Files(); len(got)+len(faults) > 0 {
		t.Errorf("without credentials there are %v, %v", got, faults)
	}
}

func TestDial(t *testing.T) {
	key := func(place string) *credentials.Credential {
		p, err := credentials.ParsePlace(place)
		if err != nil {
			t.Fatal(err)
		}
		return &credentials.Credential{Offer: credentials.Offer{Kind: credentials.Key, Place: p}}
	}
	for _, c := range []struct{ place, repository, want string }{
		{"git.test:2222", "git@git.test:a/b.git", "git@git.test:2222:a/b.git"},
		{"git.test:2222", "ssh://git@git.test/a/b.git", "ssh://git@git.test:2222/a/b.git"},
		{"git.test:2222", "ssh://git@git.test:22/a", "ssh://git@git.test:22/a"},
		{"git.test", "git@git.test:a/b.git", "git@git.test:a/b.git"},
		{"https://git.test:8443", "git@git.test:a/b.git", "git@git.test:a/b.git"},
	} {
		if got := key(c.place).Dial(c.repository); got != c.want {
			t.Errorf("%s with a key for %s is dialled as %s, want %s", c.repository, c.place, got, c.want)
		}
	}
}
