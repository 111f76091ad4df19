// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package credentials holds what a build may show to git servers and registries: Secrets that are mounted into its pod.
package credentials

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// Credential is what one Secret holds, and the place for which it is.
type Credential struct {
	// Name is the name of the Secret.
	Name string
	// Scheme, Host and Path say what the credential is for. Scheme may be empty; Host has a port where the place has one.
	Scheme, Host, Path string
	// Username and Password are those of a Secret of type kubernetes.io/basic-auth.
	Username, Password string
	// Key is the private key of a Secret of type kubernetes.io/ssh-auth.
	Key []byte
	// KnownHosts are the host keys to accept; empty accepts any.
	KnownHosts []byte
}

// Load reads credentials from mounts, each written as `FOLDER=PLACE`, where PLACE is what the Secret's annotation says:
// a URL or a host.
func Load(mounts []string) ([]Credential, error) {
	out := make([]Credential, 0, len(mounts))
	for _, m := range mounts {
		dir, where, ok := strings.Cut(m, "=")
		if !ok {
			return nil, fmt.Errorf("credential %q: want FOLDER=PLACE", m)
		}
		c, err := read(dir, where)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

func read(dir, where string) (Credential, error) {
	c := Credential{Name: filepath.Base(dir)}
	c.Scheme, c.Host, c.Path = place(where)
	if c.Host == "" {
		return c, fmt.Errorf("secret %q: the annotation %q names no host", c.Name, where)
	}
	files := map[string][]byte{}
	for _, key := range []string{"username", "password", "ssh-privatekey", "known_hosts"} {
		data, err := os.ReadFile(filepath.Join(dir, key))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return c, fmt.Errorf("secret %q: %w", c.Name, err)
		}
		files[key] = data
	}
	c.Username, c.Password = string(files["username"]), strings.TrimRight(string(files["password"]), "\r\n")
	c.Key, c.KnownHosts = files["ssh-privatekey"], files["known_hosts"]
	if len(c.Key) == 0 && c.Password == "" && c.Username == "" {
		return c, fmt.Errorf("secret %q holds neither `username` and `password` nor `ssh-privatekey`", c.Name)
	}
	return c, nil
}

// For returns the credential for a repository, the one with the longest path if there are several. A password that is
// meant for https is not sent over http; a key is for its host, whatever scheme the annotation says.
func For(all []Credential, repository string) (Credential, bool) {
	scheme, host, path := place(repository)
	best, found := Credential{}, false
	for _, c := range all {
		if scheme == "ssh" {
			if len(c.Key) == 0 || !sameHost(c.Host, host) {
				continue
			}
		} else if c.Password == "" && c.Username == "" || c.Host != host || scheme == "http" && c.Scheme != "http" {
			continue
		}
		if c.Path != "" && path != c.Path && !strings.HasPrefix(path, c.Path+"/") {
			continue
		}
		if !found || len(c.Path) > len(best.Path) {
			best, found = c, true
		}
	}
	return best, found
}

func sameHost(a, b string) bool { return a == b || hostOnly(a) == hostOnly(b) }

func hostOnly(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		return h
	}
	return host
}

// place takes apart a URL, a host with or without path, or git's `user@host:path`.
func place(where string) (scheme, host, path string) {
	if !strings.Contains(where, "://") {
		before, after, colon := strings.Cut(where, ":")
		if user, h, at := strings.Cut(before, "@"); at && colon && user != "" {
			return "ssh", h, strings.Trim(after, "/")
		}
		where = "//" + where
	}
	u, err := url.Parse(where)
	if err != nil {
		return "", "", ""
	}
	return u.Scheme, u.Host, strings.TrimSuffix(strings.Trim(u.Path, "/"), ".git")
}
