// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package git

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/plumbing/transport/http"
	"github.com/go-git/go-git/v5/plumbing/transport/ssh"
	cryptossh "golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"fairlead.dev/services/build/step/credentials"
)

const sshPort = "22"

// hostKeyError is a host key that is not accepted.
type hostKeyError struct {
	host, secret, shown string
	known, revoked      bool
}

func (e *hostKeyError) Error() string {
	says := "has no key of this host"
	switch {
	case e.revoked:
		says = "has it as revoked"
	case e.known:
		says = "has another one"
	}
	return fmt.Sprintf("%s shows the host key %s, and known_hosts of Secret %q %s: somebody may be in between; compare with the fingerprint that the server's owner gives, "+
		"and, if it is right, put what `ssh-keyscan` gives into known_hosts", e.host, e.shown, e.secret, says)
}

// wanted says what to do about a repository that refuses access.
func (s Source) wanted() string {
	r, err := credentials.ParsePlace(s.URL)
	if err != nil {
		return "correct spec.source.git.url"
	}
	if c, ok := credentials.For(s.Credentials, s.URL); ok {
		what := "username and password"
		if c.Kind == credentials.Key {
			what = "key"
		}
		return fmt.Sprintf("correct the %s of Secret %q, which was shown (it is for %s), or give it access", what, c.Secret, c.Place)
	}
	hints := credentials.NearMisses(credentials.Offers(s.Credentials), r)
	for _, f := range s.Faults {
		if f.Place.Host == r.Host {
			hints = append(hints, f.String())
		}
	}
	r.Path = ""
	kind := credentials.Password
	if r.Scheme == credentials.SSH {
		kind = credentials.Key
	}
	text := fmt.Sprintf("give the service account a Secret of type %s, annotated build.knative.dev/git-0: %s", kind, r)
	if len(hints) > 0 {
		text += " (" + strings.Join(hints, "; ") + ")"
	}
	return text
}

// dial is where to fetch a repository from.
func (s Source) dial(repository string) string {
	c, ok := credentials.For(s.Credentials, repository)
	if !ok {
		return repository
	}
	return c.Dial(repository)
}

func (s Source) authFor(repository string) (transport.AuthMethod, error) {
	c, ok := credentials.For(s.Credentials, repository)
	if !ok {
		return nil, nil //nolint:nilnil // no credentials is what go-git takes nil for
	}
	if c.Kind == credentials.Password {
		return &http.BasicAuth{Username: c.Username, Password: c.Password}, nil
	}
	endpoint, err := transport.NewEndpoint(c.Dial(repository))
	if err != nil {
		return nil, fmt.Errorf("repository: %w", err)
	}
	user := endpoint.User
	if user == "" {
		user = "git"
	}
	keys, err := ssh.NewPublicKeys(user, c.Key, "")
	if err != nil {
		return nil, fmt.Errorf("the ssh-privatekey of Secret %q cannot be read", c.Secret)
	}
	if len(c.KnownHosts) == 0 {
		keys.HostKeyCallback = s.acceptNew()
		return keys, nil
	}
	port := sshPort
	if endpoint.Port > 0 {
		port = strconv.Itoa(endpoint.Port)
	}
	return keys, s.acceptKnown(c, net.JoinHostPort(endpoint.Host, port), &keys.HostKeyCallbackHelper)
}

// acceptKnown accepts the host keys that a credential names, and asks the server for keys of those kinds.
func (s Source) acceptKnown(c credentials.Credential, address string, helper *ssh.HostKeyCallbackHelper) error {
	file, err := os.CreateTemp("", "known_hosts-")
	if err != nil {
		return fmt.Errorf("known_hosts of Secret %q: %w", c.Secret, err)
	}
	defer func() { _ = os.Remove(file.Name()) }()
	_, err = file.Write(c.KnownHosts)
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("known_hosts of Secret %q: %w", c.Secret, err)
	}
	known, err := ssh.NewKnownHostsDb(file.Name())
	if err != nil {
		return fmt.Errorf("the known_hosts of Secret %q cannot be read", c.Secret)
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("address: %w", err)
	}
	// As OpenSSH does, a line without port is taken for all ports where none has the port.
	lookUp := address
	helper.HostKeyAlgorithms = known.HostKeyAlgorithms(address)
	if len(helper.HostKeyAlgorithms) == 0 {
		lookUp = net.JoinHostPort(host, sshPort)
		helper.HostKeyAlgorithms = known.HostKeyAlgorithms(lookUp)
	}
	check := known.HostKeyCallback()
	helper.HostKeyCallback = func(_ string, remote net.Addr, key cryptossh.PublicKey) error {
		err := check(lookUp, remote, key)
		if err == nil {
			return nil
		}
		refused := &hostKeyError{host: host, secret: c.Secret, shown: key.Type() + " " + cryptossh.FingerprintSHA256(key)}
		if e, ok := errors.AsType[*knownhosts.KeyError](err); ok {
			refused.known = len(e.Want) > 0
		}
		_, refused.revoked = errors.AsType[*knownhosts.RevokedError](err)
		return refused
	}
	return nil
}

// accepted are the host keys that were accepted since no credential said which ones to accept, by address.
type accepted struct {
	mu   sync.Mutex
	keys map[string]cryptossh.PublicKey
}

// acceptNew accepts the first key that a host shows, notes it for the steps, and from then on accepts that one only.
func (s Source) acceptNew() cryptossh.HostKeyCallback {
	return func(address string, _ net.Addr, key cryptossh.PublicKey) error {
		s.accepted.mu.Lock()
		defer s.accepted.mu.Unlock()
		if first := s.accepted.keys[address]; first != nil {
			if bytes.Equal(first.Marshal(), key.Marshal()) {
				return nil
			}
			return fmt.Errorf("%s shows another host key than a moment ago; somebody may be in between", address)
		}
		s.accepted.keys[address] = key
		fmt.Fprintf(s.Log, "accepted the host key of %s, %s %s; known_hosts in the Secret would have it checked\n", address, key.Type(), cryptossh.FingerprintSHA256(key))
		for _, file := range s.KnownHosts {
			if err := appendLine(file, knownhosts.Line([]string{knownhosts.Normalize(address)}, key)); err != nil {
				fmt.Fprintf(s.Log, "the key is not kept for the steps: %s\n", err)
			}
		}
		return nil
	}
}

// appendLine adds a line to a file, if there is one.
func appendLine(file, line string) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err //nolint:wrapcheck // names the file
	}
	_, err = f.WriteString(line + "\n")
	return errors.Join(err, f.Close()) //nolint:wrapcheck // names the file
}
