// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package credentials_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fairlead.dev/services/build/step/credentials"
)

func TestParsePlace(t *testing.T) {
	type place = credentials.Place
	for _, c := range []struct {
		reason, text string
		want         place
	}{
		{"a host", "git.test", place{Host: "git.test"}},
		{"in capitals, with the root's dot", "Git.Test.", place{Host: "git.test"}},
		{"a host and a port", "git.test:2222", place{Host: "git.test", Port: "2222"}},
		{"a host and a path", "git.test/team", place{Host: "git.test", Path: "team"}},
		{"all of them", "git.test:2222/team/a.git", place{Host: "git.test", Port: "2222", Path: "team/a"}},
		{"a URL", "https://git.test", place{Scheme: "https", Host: "git.test"}},
		{"a URL with a slash", "https://git.test/", place{Scheme: "https", Host: "git.test"}},
		{"a user's name is passed over", "https://ann@git.test/team", place{Scheme: "https", Host: "git.test", Path: "team"}},
		{"capitals in the scheme", "HTTPS://git.test", place{Scheme: "https", Host: "git.test"}},
		{"ssh", "ssh://git@git.test:2222/team/a.git", place{Scheme: "ssh", Host: "git.test", Port: "2222", Path: "team/a"}},
		{"ssh's other name", "git+ssh://git.test/a", place{Scheme: "ssh", Host: "git.test", Path: "a"}},
		{"git's own form", "git@git.test:team/a.git", place{Scheme: "ssh", Host: "git.test", Path: "team/a"}},
		{"git's own form with a slash", "git@git.test:/team/a.git", place{Scheme: "ssh", Host: "git.test", Path: "team/a"}},
		{"git's own form without a user", "git.test:team/a.git", place{Scheme: "ssh", Host: "git.test", Path: "team/a"}},
		{"git's own form with a port", "git@git.test:2222:team/a.git", place{Scheme: "ssh", Host: "git.test", Port: "2222", Path: "team/a"}},
		{"a user and a port, without path", "git@git.test:2222", place{Scheme: "ssh", Host: "git.test", Port: "2222"}},
		{"a path that begins with a number", "git@git.test:2222/a.git", place{Scheme: "ssh", Host: "git.test", Path: "2222/a"}},
		{"a user alone", "git@git.test", place{Host: "git.test"}},
		{"an address", "http://10.0.0.1:3000", place{Scheme: "http", Host: "10.0.0.1", Port: "3000"}},
		{"an address of version 6", "https://[FD00::1]:3000/a", place{Scheme: "https", Host: "fd00::1", Port: "3000", Path: "a"}},
		{"one in git's own form", "git@[fd00::1]:a/b", place{Scheme: "ssh", Host: "fd00::1", Path: "a/b"}},
		{"Docker Hub as docker writes it", "https://index.docker.io/v1/", place{Scheme: "https", Host: "index.docker.io", Path: "v1"}},
		{"a path that goes up and down", "https://git.test/team/../other//a", place{Scheme: "https", Host: "git.test", Path: "other/a"}},
	} {
		t.Run(c.reason, func(t *testing.T) {
			got, err := credentials.ParsePlace(c.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%q (-want +got):\n%s", c.text, diff)
			}
			if again, err := credentials.ParsePlace(got.String()); err != nil || again != got && got.Scheme+got.Port != "" {
				t.Errorf("%q is written %q, which is %v, %v", c.text, got, again, err)
			}
		})
	}
}

func TestParsePlaceFails(t *testing.T) {
	for _, c := range []struct{ reason, text, says string }{
		{"nothing", "", "it is empty"},
		{"spaces", "git.test ", "spaces"},
		{"a line break, which would be a line of its own in a config", "git.test\nHost *", "control characters"},
		{"a scheme of its own", "ftp://git.test", `scheme "ftp"`},
		{"no host", "https://", "names no host"},
		{"no host but a path", "https:///team", "names no host"},
		{"a port that is no number", "git.test:port/x/../:y", ""},
		{"port 0", "https://git.test:0", "port"},
		{"a port too large", "https://git.test:65536", "port"},
		{"a wildcard", "*.git.test", "wildcards"},
		{"an international name", "https://gít.test", "xn--"},
		{"an option", "-oProxyCommand=x", "DNS name"},
		{"a password", "https://ann:hunter2@git.test", "does not belong there"},
		{"a password in git's own form", "ann:hunter2@git.test:team", "does not belong there"},
		{"an open bracket", "git@[fd00::1:a", "bracket"},
		{"an address with a zone", "https://[fe80::1%25eth0]/", "DNS name"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			got, err := credentials.ParsePlace(c.text)
			if c.says == "" {
				return // it must not panic
			}
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%q is %+v, %v; want %q", c.text, got, err, c.says)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error holds the password: %v", err)
			}
		})
	}
}

func TestRegistry(t *testing.T) {
	const hub = "https://index.docker.io/v1/"
	for text, want := range map[string]string{
		"registry.test": "registry.test", "https://registry.test/": "registry.test", "https://registry.test/v2/": "registry.test",
		"http://registry.test:5000": "registry.test:5000", "https://registry.test:443": "registry.test", "registry.test/team": "registry.test/team",
		"https://index.docker.io/v1/": hub, "docker.io": hub, "https://docker.io": hub, "registry-1.docker.io/v2/": hub, "https://registry.hub.docker.com": hub,
		"docker.io/team": "index.docker.io/team",
	} {
		p, err := credentials.ParsePlace(text)
		if err != nil || p.Registry() != want {
			t.Errorf("%q is the registry %q, %v; want %q", text, p.Registry(), err, want)
		}
	}
}

func TestMatch(t *testing.T) {
	type offer struct {
		kind  credentials.Kind
		place string
	}
	const password, key = credentials.Password, credentials.Key
	for _, c := range []struct {
		reason, repository string
		offers             []offer
		want               int // -1 is none
	}{
		{"the host", "https://git.test/a/b.git", []offer{{password, "https://git.test"}}, 0},
		{"a host without scheme", "https://git.test/a", []offer{{password, "git.test"}}, 0},
		{"a port of its own", "https://git.test:8443/a", []offer{{password, "git.test"}}, -1},
		{"the scheme's own port", "https://git.test:443/a", []offer{{password, "git.test"}}, 0},
		{"the same the other way round", "https://git.test/a", []offer{{password, "git.test:443"}}, 0},
		{"the port", "https://git.test:8443/a", []offer{{password, "git.test"}, {password, "git.test:8443"}}, 1},
		{"no password over http", "http://git.test/a", []offer{{password, "git.test"}, {password, "https://git.test"}}, -1},
		{"but where it was meant", "http://git.test/a", []offer{{password, "http://git.test"}}, 0},
		{"and then there only, as with git", "https://git.test/a", []offer{{password, "http://git.test"}}, -1},
		{"the longest path", "https://git.test/team/a/b.git", []offer{{password, "git.test"}, {password, "git.test/team/a"}, {password, "git.test/team"}}, 1},
		{"no half names", "https://git.test/teams/a.git", []offer{{password, "git.test/team"}}, -1},
		{"a path that climbs out", "https://git.test/team/../other/a", []offer{{password, "git.test/team"}}, -1},
		{"a repository itself", "https://git.test/team/a.git", []offer{{password, "https://git.test/team/a"}}, 0},
		{"the first of two", "https://git.test/a", []offer{{password, "git.test"}, {password, "git.test"}}, 0},
		{"one that names the scheme", "https://git.test/a", []offer{{password, "git.test"}, {password, "https://git.test"}}, 1},
		{"another host that ends the same", "https://evilgit.test/a", []offer{{password, "git.test"}}, -1},
		{"another host that begins the same", "https://git.test.evil/a", []offer{{password, "git.test"}}, -1},
		{"a user's name that looks like the host", "https://git.test@evil.test/a", []offer{{password, "git.test"}}, -1},

		{"a key", "git@git.test:a/b.git", []offer{{key, "git.test"}}, 0},
		{"a key annotated as for https, which must not hurt", "git@git.test:a/b.git", []offer{{key, "https://git.test"}}, 0},
		{"whose port is not ssh's", "ssh://git@git.test:2222/a", []offer{{key, "https://git.test:8443"}}, 0},
		{"a key for any port", "ssh://git@git.test:2222/a", []offer{{key, "git.test"}}, 0},
		{"a key for one port", "ssh://git@git.test:2222/a", []offer{{key, "git.test"}, {key, "git.test:2222"}}, 1},
		{"another port", "ssh://git@git.test:2222/a", []offer{{key, "git.test:2200"}}, -1},
		{"where to connect to, for git's own form has no port", "git@git.test:a/b", []offer{{key, "git.test:2222"}}, 0},
		{"but rather one for the usual port", "git@git.test:a/b", []offer{{key, "git.test:2222"}, {key, "git.test"}}, 1},
		{"a key for a path", "git@git.test:team/a.git", []offer{{key, "git.test"}, {key, "ssh://git@git.test/team"}}, 1},
		{"written in git's own form", "ssh://git@git.test/team/a.git", []offer{{key, "git@git.test:team"}}, 0},
		{"no key for https", "https://git.test/a", []offer{{key, "git.test"}}, -1},
		{"no password for ssh", "git@git.test:a", []offer{{password, "git.test"}}, -1},
		{"in capitals", "https://GIT.test/a", []offer{{password, "Git.Test"}}, 0},
	} {
		t.Run(c.reason, func(t *testing.T) {
			r, err := credentials.ParsePlace(c.repository)
			if err != nil {
				t.Fatal(err)
			}
			var offers []credentials.Offer
			for _, o := range c.offers {
				p, err := credentials.ParsePlace(o.place)
				if err != nil {
					t.Fatal(err)
				}
				offers = append(offers, credentials.Offer{Secret: "s", Kind: o.kind, Place: p})
			}
			got, ok := credentials.Match(offers, r)
			if ok != (c.want >= 0) || ok && got != c.want {
				t.Errorf("%s gets %d, %t; want %d", c.repository, got, ok, c.want)
			}
			if misses := credentials.NearMisses(offers, r); len(offers) == 1 && (len(misses) == 0) != (ok || offers[0].Place.Host != r.Host) {
				t.Errorf("near misses %q", misses)
			}
		})
	}
}

func FuzzParsePlace(f *testing.F) {
	for _, seed := range []string{"git.test", "https://a:b@git.test:1/x", "git@git.test:2:x", "[::1]:22/x", "git@[::1]:x", "ssh://x/%2e%2e/%0a", "a:1:2:3", "https://index.docker.io/v1/"} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		p, err := credentials.ParsePlace(a)
		if err != nil {
			if len(a) > 8 && strings.Contains(err.Error(), a) {
				t.Errorf("the error repeats %q: %v", a, err)
			}
			return
		}
		if p.Host == "" || strings.ContainsAny(p.Host, " \t\n\"'*?!@/") || strings.HasPrefix(p.Host, "-") {
			t.Fatalf("%q has the host %q", a, p.Host)
		}
		if strings.ContainsAny(p.String()+p.Registry(), " \n\"\\") {
			t.Fatalf("%q is written %q, %q", a, p, p.Registry())
		}
		again, err := credentials.ParsePlace(p.String())
		if err != nil || again.Host != p.Host || again.Port != p.Port {
			t.Fatalf("%q is written %q, which is %+v, %v; want %+v", a, p, again, err, p)
		}
		q, err := credentials.ParsePlace(b)
		if err != nil {
			return
		}
		for _, kind := range []credentials.Kind{credentials.Password, credentials.Key} {
			if _, ok := credentials.Match([]credentials.Offer{{Kind: kind, Place: p}}, q); ok && p.Host != q.Host {
				t.Fatalf("what is for %q is shown to %q", a, b)
			}
		}
	})
}
