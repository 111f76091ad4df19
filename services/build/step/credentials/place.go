// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"strconv"
	"strings"
)

// The schemes of places.
const (
	HTTP  = "http"
	HTTPS = "https"
	SSH   = "ssh"
)

// Place is what a credential is for, or where a repository is.
type Place struct {
	// Scheme is http, https or ssh; empty where it is not said.
	Scheme string
	// Host is a name in lower case or an address, without port and brackets.
	Host string
	// Port is empty where it is not said.
	Port string
	// Path has no slash at its ends, and no `.git`.
	Path string
}

// dockerHub is the name of Docker Hub in docker's config.
const dockerHub = "https://index.docker.io/v1/"

// ErrPassword tells that a place holds a password, which belongs into a Secret.
var ErrPassword = errors.New("it holds a password, which does not belong there; put it into the Secret's `password`")

var errUnfit = errors.New("it holds spaces, quotes or control characters")

// ParsePlace takes apart what people write for a place: a URL, a host with or without port and path, or git's
// `user@host:path`. A user's name is passed over. No error repeats the text, which may hold what it should not.
func ParsePlace(text string) (Place, error) {
	if text == "" {
		return Place{}, errors.New("it is empty; write a host, such as git.example, or a URL")
	}
	unfit := func(r rune) bool { return r <= ' ' || r == 0x7f || r == '"' || r == '\\' }
	if strings.ContainsFunc(text, unfit) {
		return Place{}, errUnfit
	}
	if !strings.Contains(text, "://") {
		if p, ok, err := parseSCP(text); ok || err != nil {
			return p, err
		}
		text = "//" + text
	}
	u, err := url.Parse(text)
	if err != nil {
		return Place{}, errors.New("it is neither a host nor a URL")
	}
	if strings.ContainsFunc(u.Path, unfit) {
		return Place{}, errUnfit
	}
	if _, has := u.User.Password(); has {
		return Place{}, ErrPassword
	}
	p := Place{Scheme: strings.ToLower(u.Scheme), Port: u.Port(), Path: cleanPath(u.Path)}
	switch p.Scheme {
	case "git+ssh", "ssh+git":
		p.Scheme = SSH
	case "", HTTP, HTTPS, SSH:
	default:
		return Place{}, fmt.Errorf("the scheme %q is not one of http, https and ssh", p.Scheme)
	}
	if p.Port != "" && !isPort(p.Port) {
		return Place{}, errors.New("its port is not a number from 1 to 65535")
	}
	p.Host, err = cleanHost(u.Hostname())
	return p, err
}

// parseSCP takes apart `[user@]host:path` and `[user@]host:port:path`. ok is false for what is not of this form, such as
// `host:port/path`.
func parseSCP(text string) (p Place, ok bool, err error) {
	user, rest, at := cutUser(text)
	host, tail := rest, ""
	if strings.HasPrefix(rest, "[") {
		end := strings.Index(rest, "]")
		if end < 0 {
			return Place{}, false, errors.New("a bracket is not closed")
		}
		host, tail = rest[1:end], rest[end+1:]
	} else if i := strings.IndexAny(rest, ":/"); i >= 0 {
		host, tail = rest[:i], rest[i:]
	}
	if !strings.HasPrefix(tail, ":") {
		return Place{}, false, nil
	}
	first, more, found := strings.Cut(tail[1:], ":")
	number, _, _ := strings.Cut(tail[1:], "/")
	switch {
	case found && isPort(first):
		p.Port, p.Path = first, more
	case isPort(tail[1:]) && at:
		p.Port = tail[1:]
	case isPort(number) && !at:
		return Place{}, false, nil
	default:
		p.Path = tail[1:]
	}
	if strings.Contains(user, ":") {
		return Place{}, false, ErrPassword
	}
	p.Scheme, p.Path = SSH, cleanPath(p.Path)
	p.Host, err = cleanHost(host)
	return p, true, err
}

// cutUser cuts at the last @ before the first slash.
func cutUser(text string) (user, rest string, found bool) {
	end := strings.Index(text, "/")
	if end < 0 {
		end = len(text)
	}
	i := strings.LastIndex(text[:end], "@")
	if i < 0 {
		return "", text, false
	}
	return text[:i], text[i+1:], true
}

func cleanHost(host string) (string, error) {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "" {
		return "", errors.New("it names no host")
	}
	if a, err := netip.ParseAddr(host); err == nil && a.Zone() == "" {
		return a.String(), nil
	}
	for _, r := range host {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune(".-_", r) {
			return "", errors.New("its host is no DNS name; write international names in their ASCII form (xn--…), and no wildcards")
		}
	}
	if strings.HasPrefix(host, "-") || strings.HasPrefix(host, ".") || strings.HasSuffix(host, ".") || strings.Contains(host, "..") {
		return "", errors.New("its host is no DNS name")
	}
	return host, nil
}

func cleanPath(p string) string {
	p = strings.Trim(path.Clean("/"+p), "/")
	return strings.TrimSuffix(p, ".git")
}

func isPort(s string) bool {
	const highest = 65535
	n, err := strconv.Atoi(s)
	return err == nil && n > 0 && n <= highest && s[0] != '+' && s[0] != '0'
}

// String is the place as ParsePlace reads it.
func (p Place) String() string {
	out := p.authority()
	if p.Scheme != "" {
		out = p.Scheme + "://" + out
	}
	if p.Path != "" {
		out += "/" + (&url.URL{Path: p.Path}).EscapedPath()
	}
	return out
}

func (p Place) authority() string {
	host := p.Host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if p.Port != "" {
		host += ":" + p.Port
	}
	return host
}

// port is the port that is meant.
func (p Place) port() string {
	switch {
	case p.Port != "":
		return p.Port
	case p.Scheme == HTTP:
		return "80"
	case p.Scheme == SSH:
		return "22"
	}
	return "443"
}

// closeness says how well a credential's place fits a repository; a larger one fits better. The longer path counts first,
// then a port that is named, then a scheme that is.
type closeness struct{ path, port, scheme int }

func (c closeness) over(d closeness) bool {
	if c.path != d.path {
		return c.path > d.path
	}
	if c.port != d.port {
		return c.port > d.port
	}
	return c.scheme > d.scheme
}

// covers tells whether a credential for p is one for the repository r, and how well it fits.
func (p Place) covers(r Place, kind Kind) (closeness, bool) {
	var c closeness
	if p.Host != r.Host || !under(r.Path, p.Path) {
		return c, false
	}
	c.path = len(p.Path)
	if kind == Key {
		return c, r.Scheme == SSH && p.coversSSH(r, &c)
	}
	scheme := p.Scheme
	if scheme == "" {
		scheme = HTTPS
	} else {
		c.scheme = 1
	}
	meant := Place{Scheme: scheme, Port: p.Port}
	if r.Scheme != scheme || meant.port() != r.port() {
		return c, false
	}
	return c, true
}

// coversSSH leaves an annotation's port alone where its scheme is that of HTTP: it says nothing about ssh. A port that the
// annotation names and the repository does not is where to connect to, as a `Port` in ssh's own configuration is.
func (p Place) coversSSH(r Place, c *closeness) bool {
	named := p.Port != "" && p.Scheme != HTTP && p.Scheme != HTTPS
	switch {
	case !named:
	case r.Port == "" && p.Port != r.port():
		c.port = -1
	case p.Port == r.port():
		c.port = 1
	default:
		return false
	}
	if p.Scheme == SSH {
		c.scheme = 1
	}
	return true
}

// under tells whether a path is another, or below it.
func under(p, above string) bool {
	return above == "" || p == above || strings.HasPrefix(p, above+"/")
}

// Registry is the place as docker's config names it: `host[:port][/path]`, and Docker Hub under the one name that all
// programs look for.
func (p Place) Registry() string {
	repository := p.Path
	for _, api := range []string{"v1", "v2"} {
		if repository == api || strings.HasPrefix(repository, api+"/") {
			repository = strings.Trim(strings.TrimPrefix(repository, api), "/")
		}
	}
	switch p.Host {
	case "docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com":
		if repository == "" {
			return dockerHub
		}
		return "index.docker.io/" + repository
	}
	q := Place{Host: p.Host, Port: p.Port}
	if p.Scheme == HTTPS && p.Port == "443" || p.Scheme == HTTP && p.Port == "80" {
		q.Port = ""
	}
	if repository != "" {
		return q.authority() + "/" + repository
	}
	return q.authority()
}

// Dial is a repository's URL with the port that its credential names and it does not, as `Port` in ssh's configuration
// would have it.
func (c *Credential) Dial(repository string) string {
	r, err := ParsePlace(repository)
	p := c.Place
	if err != nil || c.Kind != Key || r.Port != "" || p.Port == "" || p.Scheme == HTTP || p.Scheme == HTTPS {
		return repository
	}
	if u, err := url.Parse(repository); err == nil && strings.Contains(repository, "://") {
		u.Host = Place{Host: r.Host, Port: p.Port}.authority()
		return u.String()
	}
	user, rest, at := cutUser(repository)
	if _, path, ok := strings.Cut(rest, ":"); ok && at && !strings.HasPrefix(rest, "[") {
		return user + "@" + r.Host + ":" + p.Port + ":" + path
	}
	return repository
}
