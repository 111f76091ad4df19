// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package credentials holds what a build may show to git servers and registries: Secrets that are mounted into its pod.
// What a Secret is for is said by a place. Of several that are for one repository, that with the longest path is taken;
// then one that names the port; then one that names the scheme; then the first.
package credentials

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// Kind is what a credential consists of.
type Kind string

// The kinds of credentials.
const (
	// Password is of Secrets of type kubernetes.io/basic-auth.
	Password Kind = "kubernetes.io/basic-auth"
	// Key is of Secrets of type kubernetes.io/ssh-auth.
	Key Kind = "kubernetes.io/ssh-auth"
)

// Offer is a credential without its values.
type Offer struct {
	// Secret is the name of the Secret.
	Secret string
	// Kind is what the credential consists of.
	Kind Kind
	// Place is what it is for.
	Place Place
}

// Credential is what one Secret holds, and the place for which it is.
type Credential struct {
	Offer

	// Username and Password are those of a Password.
	Username, Password string
	// Key is the private key of a Key.
	Key []byte
	// KnownHosts are the host keys to accept; where there are none, the first one that a host shows is accepted.
	KnownHosts []byte
}

// Fault is what keeps a Secret from being used.
type Fault struct {
	Offer

	// Err says what to do, and nothing of what the Secret holds.
	Err error
}

func (f Fault) String() string { return fmt.Sprintf("secret %q: %s", f.Secret, f.Err) }

// Load reads credentials from mounts, each written as `FOLDER=PLACE`. What cannot be used is told of and left out.
func Load(mounts []string) ([]Credential, []Fault) {
	out := make([]Credential, 0, len(mounts))
	var faults []Fault
	for _, m := range mounts {
		dir, where, ok := strings.Cut(m, "=")
		c := Credential{Offer: Offer{Secret: filepath.Base(dir)}}
		err := errors.New("want FOLDER=PLACE")
		if ok {
			c.Place, err = ParsePlace(where)
		}
		if err == nil {
			err = c.read(dir)
		}
		if err != nil {
			faults = append(faults, Fault{c.Offer, err})
			continue
		}
		out = append(out, c)
	}
	return out, faults
}

func (c *Credential) read(dir string) error {
	files := map[string][]byte{}
	for _, key := range []string{"username", "password", "ssh-privatekey", "known_hosts"} {
		data, err := os.ReadFile(filepath.Join(dir, key))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("its %s cannot be read: %w", key, err)
		}
		files[key] = data
	}
	if key, ok := files["ssh-privatekey"]; ok {
		c.Kind, c.Key, c.KnownHosts = Key, append(bytes.TrimRight(key, "\r\n"), '\n'), bytes.TrimSpace(files["known_hosts"])
		return c.checkKey()
	}
	if len(files) == 0 {
		return errors.New("it is not there, or empty; make it with `username` and `password`, or with `ssh-privatekey`")
	}
	c.Kind = Password
	c.Username, c.Password = trimEnd(files["username"]), trimEnd(files["password"])
	return c.checkPassword()
}

// trimEnd takes off the line break that `echo` leaves.
func trimEnd(b []byte) string { return strings.TrimRight(string(b), "\r\n") }

func (c *Credential) checkPassword() error {
	control := func(r rune) bool { return r < ' ' || r == 0x7f }
	switch {
	case c.Username == "":
		return errors.New("it has no `username`; add one: for tokens, most git servers take any name")
	case strings.ContainsFunc(c.Username, control):
		return errors.New("its `username` holds control characters or line breaks; is it encoded twice?")
	case strings.ContainsAny(c.Password, "\r\n\x00"):
		return errors.New("its `password` holds line breaks; is it encoded twice?")
	}
	return nil
}

func (c *Credential) checkKey() error {
	_, err := ssh.ParsePrivateKey(c.Key)
	if _, locked := errors.AsType[*ssh.PassphraseMissingError](err); locked {
		return errors.New("its `ssh-privatekey` needs a passphrase, which nobody can give; make a key without one")
	}
	if err != nil {
		return errors.New("its `ssh-privatekey` is not a private key in the form that ssh-keygen writes; is it the public one, or encoded twice?")
	}
	if len(c.KnownHosts) == 0 {
		return nil
	}
	return checkKnownHosts(c.KnownHosts)
}

// checkKnownHosts tells which line cannot be read. Each is tried by itself, since the error of all would repeat it.
func checkKnownHosts(data []byte) error {
	dir, err := os.MkdirTemp("", "known_hosts-")
	if err != nil {
		return fmt.Errorf("known_hosts: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, "known_hosts")
	number := 0
	for line := range bytes.Lines(data) {
		number++
		if err := os.WriteFile(file, line, 0o600); err != nil {
			return fmt.Errorf("known_hosts: %w", err)
		}
		if _, err := knownhosts.New(file); err != nil {
			return fmt.Errorf("its `known_hosts` cannot be read in line %d; take what `ssh-keyscan` gives, and check its fingerprint", number)
		}
	}
	return nil
}

// Match returns which of the offers is the one for a repository; ok is false for none.
func Match(offers []Offer, repository Place) (index int, ok bool) {
	var best closeness
	for i, o := range offers {
		c, covers := o.Place.covers(repository, o.Kind)
		if covers && (!ok || c.over(best)) {
			best, index, ok = c, i, true
		}
	}
	return index, ok
}

// For returns the credential for a repository.
func For(all []Credential, repository string) (Credential, bool) {
	r, err := ParsePlace(repository)
	if err != nil && !errors.Is(err, ErrPassword) {
		return Credential{}, false
	}
	i, ok := Match(Offers(all), r)
	if !ok {
		return Credential{}, false
	}
	return all[i], true
}

// Missing tells what keeps a repository from being fetched: one over ssh cannot do without a key. Other repositories may
// be public.
func Missing(all []Credential, faults []Fault, repository string) error {
	r, err := ParsePlace(repository)
	if err != nil || r.Scheme != SSH {
		return nil //nolint:nilerr // what is no place is told of when it is fetched
	}
	if _, ok := Match(Offers(all), r); ok {
		return nil
	}
	var hints []string
	for _, f := range faults {
		if f.Place.Host == r.Host {
			hints = append(hints, f.String())
		}
	}
	return NoKey(r, append(hints, NearMisses(Offers(all), r)...))
}

// NoKey is the error of a repository that is reached over ssh, without a key for it. The hints are about Secrets that
// might have been it.
func NoKey(r Place, hints []string) error {
	text := ""
	if len(hints) > 0 {
		text = " (" + strings.Join(hints, "; ") + ")"
	}
	r.Path = ""
	return fmt.Errorf("the source is fetched over ssh, and no Secret has a key for it: give the service account one of type %s, annotated build.knative.dev/git-0: %s%s", Key, r, text)
}

// Offers are credentials without their values.
func Offers(all []Credential) []Offer {
	out := make([]Offer, len(all))
	for i, c := range all {
		out[i] = c.Offer
	}
	return out
}

// NearMisses says of offers that are for the repository's host why they are not for the repository.
func NearMisses(offers []Offer, r Place) []string {
	var out []string
	for _, o := range offers {
		if o.Place.Host != r.Host {
			continue
		}
		if _, ok := o.Place.covers(r, o.Kind); ok {
			continue
		}
		out = append(out, fmt.Sprintf("secret %q, for %s, %s", o.Secret, o.Place, nearMiss(o, r)))
	}
	return out
}

func nearMiss(o Offer, r Place) string {
	switch {
	case o.Kind == Password && r.Scheme == SSH:
		return fmt.Sprintf("is of type %s, and ssh takes %s: fetch over https, or give it a key", Password, Key)
	case o.Kind == Key && r.Scheme != SSH:
		return fmt.Sprintf("is of type %s, and %s takes %s: fetch over ssh, or give it a password", Key, r.Scheme, Password)
	case !under(r.Path, o.Place.Path):
		return "is for another path"
	case o.Kind == Password && r.Scheme == HTTP && o.Place.Scheme != HTTP:
		return "is not shown over plain http: fetch over https, or annotate it with http:// if the line is safe"
	case o.Kind == Password && o.Place.Scheme == HTTP && r.Scheme != HTTP:
		return "is for http only: annotate it without a scheme, or with https://"
	}
	return "is for another port"
}
