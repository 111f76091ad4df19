// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// maxTokenBytes is more than any token has; it bounds what is read from a file that holds something else.
const maxTokenBytes = 64 << 10

// token is what tells the server who calls. Only its source is ever shown.
type token struct {
	value, source string
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

const howToGetToken = "the server writes the administrator's token to a file when it starts and names it; give that with --token-file"

func readToken(file string) (token, error) {
	f, err := os.Open(file)
	if err != nil {
		return token{}, fmt.Errorf("token file: %w", err)
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxTokenBytes))
	if err != nil {
		return token{}, fmt.Errorf("token file: %w", err)
	}
	return checkToken(string(data), "the file "+file)
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
	return token{value, source}, nil
}
