// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package credentials_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fairlead.dev/services/build/step/credentials"
)

func secret(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFor(t *testing.T) {
	load := func(place string, files map[string]string) credentials.Credential {
		c, err := credentials.Load([]string{secret(t, files) + "=" + place})
		if err != nil {
			t.Fatal(err)
		}
		return c[0]
	}
	basic := func(user string) map[string]string { return map[string]string{"username": user, "password": "p\n"} }
	all := []credentials.Credential{
		load("https://github.com", basic("host")),
		load("https://github.com/team", basic("team")),
		load("http://plain.example:8080", basic("plain")),
		load("bare.example", basic("bare")),
		load("https://git.example", map[string]string{"ssh-privatekey": "key"}),
	}
	for _, c := range []struct{ reason, repository, user, key string }{
		{"the host", "https://github.com/other/a.git", "host", ""},
		{"the longer path", "https://github.com/team/a.git", "team", ""},
		{"not half a name of the path", "https://github.com/teams/a.git", "host", ""},
		{"the path alone", "https://github.com/team.git", "team", ""},
		{"no password over http", "http://github.com/team/a.git", "", ""},
		{"http where http was meant", "http://plain.example:8080/a.git", "plain", ""},
		{"another port", "http://plain.example/a.git", "", ""},
		{"a host without scheme", "https://bare.example/a", "bare", ""},
		{"a key whatever scheme the annotation has", "git@git.example:a/b.git", "", "key"},
		{"a key for an ssh URL with a port", "ssh://git@git.example:2222/a/b.git", "", "key"},
		{"no password for ssh", "git@github.com:team/a.git", "", ""},
		{"no key for https", "https://git.example/a.git", "", ""},
		{"elsewhere", "https://elsewhere.example/a.git", "", ""},
	} {
		t.Run(c.reason, func(t *testing.T) {
			got, ok := credentials.For(all, c.repository)
			if ok != (c.user != "" || c.key != "") || got.Username != c.user || string(got.Key) != c.key {
				t.Errorf("user %q, key %q, %t; want %q and %q", got.Username, got.Key, ok, c.user, c.key)
			}
		})
	}
}

func TestLoadFails(t *testing.T) {
	for _, mount := range []string{"no-place", secret(t, nil) + "=https://a.example", secret(t, map[string]string{"username": "a"}) + "="} {
		if _, err := credentials.Load([]string{mount}); err == nil {
			t.Errorf("%q was taken", mount)
		}
	}
}

func TestHome(t *testing.T) {
	dir := t.TempDir()
	load := func(place string, files map[string]string) []credentials.Credential {
		c, err := credentials.Load([]string{secret(t, files) + "=" + place})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	config := filepath.Join(secret(t, map[string]string{".dockerconfigjson": `{"auths":{"one.example":{"auth":"YTpi"}}}`}), ".dockerconfigjson")
	h := credentials.Home{
		Dir:           dir,
		Git:           append(load("https://github.com", map[string]string{"username": "ann", "password": "p@ss"}), load("git.example", map[string]string{"ssh-privatekey": "KEY", "known_hosts": "git.example ssh-ed25519 A\n"})...),
		Docker:        load("https://two.example", map[string]string{"username": "a", "password": "b"}),
		DockerConfigs: []string{config},
	}
	if err := h.Write(); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		".git-credentials":    "https://ann:p%40ss@github.com\n",
		".gitconfig":          "helper = store",
		".ssh/config":         "Host git.example\n\tIdentityFile " + dir + "/.ssh/id_",
		".ssh/known_hosts":    "git.example ssh-ed25519 A\n",
		".docker/config.json": `{"auths":{"one.example":{"auth":"YTpi"},"two.example":{"auth":"YTpi"}}}`,
	} {
		data, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Error(err)
		} else if !strings.Contains(string(data), want) {
			t.Errorf("%s is\n%s, want\n%s", file, data, want)
		}
	}
	keys, err := filepath.Glob(filepath.Join(dir, ".ssh/id_*"))
	if err != nil || len(keys) != 1 {
		t.Fatalf("keys %v, %v", keys, err)
	}
	if info, err := os.Stat(keys[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's mode is %v, %v; ssh takes none but 0600", info.Mode(), err)
	}
	empty := t.TempDir()
	if err := (credentials.Home{Dir: empty}).Write(); err != nil {
		t.Fatal(err)
	}
	if files, err := os.ReadDir(empty); err != nil || len(files) > 0 {
		t.Errorf("without credentials there are %v, %v", files, err)
	}
}
