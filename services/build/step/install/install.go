// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package install puts the step binary and the credentials where a build's steps find them.
package install

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Binary copies the running program to path. It appears there whole, executable for every user.
func Binary(path string) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("install: %w", err)
	}
	if err := copyFile(self, path); err != nil {
		return fmt.Errorf("install %s: %w", path, err)
	}
	return nil
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err //nolint:wrapcheck // wrapped by the caller
	}
	defer func() { _ = in.Close() }()
	out, err := os.CreateTemp(filepath.Dir(to), ".new-")
	if err != nil {
		return err //nolint:wrapcheck // wrapped by the caller
	}
	_, err = io.Copy(out, in)
	err = errors.Join(err, out.Chmod(0o755), out.Close())
	if err != nil {
		return err
	}
	return os.Rename(out.Name(), to) //nolint:wrapcheck // wrapped by the caller
}
