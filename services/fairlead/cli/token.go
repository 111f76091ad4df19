// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"fairlead.dev/services/fairlead/cli/session"
)

// maxTokenBytes is more than any token has; it bounds what is read from a file that holds something else.
const maxTokenBytes = 64 << 10

// token is what tells the server who calls. Only its source is ever shown.
type token struct {
	value, source string
	// renewed is where the token is kept that is renewed when it expires; empty for one that is as it is.
	renewed, address string
}

// fresh returns a token that holds, as far as that is for us to bring about. What is renewed is kept.
func (t *token) fresh(ctx context.Context) (string, error) {
	if t.renewed == "" {
		return t.value, nil
	}
	if expires := session.Expires(t.value); expires.IsZero() || time.Now().Add(renewBefore).Before(expires) {
		return t.value, nil
	}
	err := session.Locked(t.renewed, func(f *session.File) error {
		s := f.Session(t.address) // another command may have been faster
		if s == nil || s.Grant == nil {
			return fmt.Errorf("signed out of %s; %w", t.address, session.ErrSignIn)
		}
		g, err := s.Grant.Fresh(ctx)
		if err != nil {
			return err //nolint:wrapcheck // says it all
		}
		s.Grant, t.value = g, g.IDToken
		f.Renew(t.address, s)
		return nil
	})
	return t.value, err
}

// renewBefore is how long before its end a token is renewed.
const renewBefore = 30 * time.Second

// signedIn returns how one is signed in to a server, and where that is kept; nil where one is not.
func signedIn(address string) (*session.Session, string) {
	path, err := session.Path()
	if err != nil {
		return nil, ""
	}
	f, err := session.Open(path)
	if err != nil {
		return nil, ""
	}
	return f.Session(address), path
}

// signedInTo is the server that one signed in to last; empty where there is none.
func (*options) signedInTo() string {
	path, err := session.Path()
	if err != nil {
		return ""
	}
	f, err := session.Open(path)
	if err != nil {
		return ""
	}
	return f.Current()
}

// signedInCA is the PEM of the certificates by which a server is known that one is signed in to.
func (*options) signedInCA(address string) []byte {
	if s, _ := signedIn(address); s != nil {
		return s.CA
	}
	return nil
}

// token finds the caller's token.
func (o *options) token() (token, error) {
	if value := os.Getenv(envToken); value != "" && o.tokenFile == "" {
		return checkToken(value, "$"+envToken)
	}
	if file := cmp.Or(o.tokenFile, os.Getenv(envTokenFile)); file != "" {
		t, err := readToken(file)
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("the token file %s does not exist; %s", file, howToGetToken)
		}
		return t, err
	}
	address, err := o.address()
	if err != nil {
		return token{}, err
	}
	if s, path := signedIn(address); s != nil {
		source := "signing in; it is kept in the file " + path
		if s.Grant != nil {
			return token{value: s.Grant.IDToken, source: source, renewed: path, address: address}, nil
		}
		return checkToken(s.Token, source)
	}
	places := []string{filepath.Join(".fairlead", "token")}
	if home, err := os.UserHomeDir(); err == nil {
		places = append(places, filepath.Join(home, ".config", "fairlead", "token"))
	}
	for _, file := range places {
		t, err := readToken(file)
		if !errors.Is(err, fs.ErrNotExist) {
			return t, err
		}
	}
	return token{}, fmt.Errorf("there is no token to call the server with: neither $%s nor $%s is set, and %s are not there; %s",
		envToken, envTokenFile, strings.Join(places, " and "), howToGetToken)
}

const howToGetToken = "sign in with `fairlead login`, or give the file of the administrator's token, which the server names when it starts, with --token-file"

func readToken(file string) (token, error) {
	f, err := os.Open(file)
	if err != nil {
		return token{}, fmt.Errorf("token file: %w", err)
	}
	defer func() { _ = f.Close() }()
	return readTokenFrom(f, "the file "+file)
}

func readTokenFrom(r io.Reader, source string) (token, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxTokenBytes))
	if err != nil {
		return token{}, fmt.Errorf("read a token from %s: %w", source, err)
	}
	return checkToken(string(data), source)
}

// checkToken refuses what is no token before it is sent. No part of it is in the error.
func checkToken(value, source string) (token, error) {
	value = strings.TrimSpace(value)
	if value == "" {
		return token{}, fmt.Errorf("%s is empty; it should hold a token", source)
	}
	for _, c := range []byte(value) {
		if c <= ' ' || c > '~' {
			return token{}, fmt.Errorf("%s holds something other than a token: a token is one word of ASCII", source)
		}
	}
	return token{value: value, source: source}, nil
}
