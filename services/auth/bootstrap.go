// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"fairlead.dev/services/internal/apierror"
)

const (
	tokenFileMode = 0o600
	tokenDirMode  = 0o700
	// renewBefore is how long an administrator's token must still hold to be used again.
	renewBefore = 30 * 24 * time.Hour
)

// AdminToken makes a token of the first administrator: user `admin` in the group `admins`.
func (s *Server) AdminToken(ctx context.Context) (string, error) {
	if _, err := s.keys.get(ctx); err != nil {
		return "", err // whoever starts a server may know why its keys cannot be read
	}
	made, err := s.tokens.mint(ctx, tokenSpec{user: UserAdmin, groups: []string{GroupAdmins}, lifetime: s.cfg.AdminTokenLifetime})
	if err != nil {
		return "", err
	}
	return made.token, nil
}

// EnsureAdminToken returns the administrator's token that a file holds. If the file is absent, or its token is not of
// this installation, revoked, or about to expire, a new token is made and written, for its owner's eyes only. It waits
// for Run to have begun.
func (s *Server) EnsureAdminToken(ctx context.Context, file string) (token string, made bool, err error) {
	token, err = s.adminTokenIn(ctx, file)
	if token != "" || err != nil {
		return token, false, err
	}
	if token, err = s.AdminToken(ctx); err != nil {
		return "", false, err
	}
	if err := writeSecretFile(file, token+"\n"); err != nil {
		return "", false, fmt.Errorf("auth: write the administrator's token: %w", err)
	}
	return token, true, nil
}

// adminTokenIn returns the token in a file if it is good, and nothing if a new one is needed.
func (s *Server) adminTokenIn(ctx context.Context, file string) (string, error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("auth: read the administrator's token: %w", err)
	}
	token := strings.TrimSpace(string(data))
	id, err := s.tokens.Authenticate(ctx, token)
	if apierror.Is(err, apierror.ReasonUnauthorized) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	expires, ok := expiryOf(id.TokenID)
	if !ok || id.User != UserAdmin || !slices.Contains(id.Groups, GroupAdmins) {
		return "", nil
	}
	if left := expires.Sub(s.tokens.now()); left < min(renewBefore, s.cfg.AdminTokenLifetime/2) {
		return "", nil
	}
	if err := os.Chmod(file, tokenFileMode); err != nil {
		return "", fmt.Errorf("auth: keep the administrator's token from others: %w", err)
	}
	return token, nil
}

// writeSecretFile writes a file that only its owner can read, whole or not at all.
func writeSecretFile(file, content string) error {
	dir := filepath.Dir(file)
	if err := os.MkdirAll(dir, tokenDirMode); err != nil {
		return err
	}
	temp, err := os.CreateTemp(dir, "."+filepath.Base(file)+"-*") // made with mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temp.Name()) }() // gone already once renamed
	_, err = temp.WriteString(content)
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), file)
}
