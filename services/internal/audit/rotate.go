// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// asideFormat is the time in the names of files that were put aside: sorted by name they are sorted by time.
const asideFormat = "20060102T150405.000000000Z"

// rotating is a file that is put aside when it has a certain size. It is not for several goroutines.
type rotating struct {
	path     string
	maxBytes int64
	maxFiles int

	file *os.File
	size int64
}

func openRotating(path string, maxBytes int64, maxFiles int) (*rotating, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	r := &rotating{path: path, maxBytes: maxBytes, maxFiles: maxFiles}
	if err := r.open(); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *rotating) open() error {
	f, err := os.OpenFile(r.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return fmt.Errorf("audit: %w", err)
	}
	r.file, r.size = f, info.Size()
	return nil
}

// Write writes a line, to a new file where the old one would become too large. A line is never in two files.
func (r *rotating) Write(line []byte) (int, error) {
	if r.file == nil { // the last try to begin one failed
		if err := r.open(); err != nil {
			return 0, err
		}
	}
	if r.size > 0 && r.size+int64(len(line)) > r.maxBytes {
		if err := r.rotate(); err != nil {
			return 0, err
		}
	}
	n, err := r.file.Write(line)
	r.size += int64(n)
	if err != nil {
		return n, fmt.Errorf("audit: %w", err)
	}
	return n, nil
}

// Close closes the file.
func (r *rotating) Close() error {
	if r.file == nil {
		return nil
	}
	f := r.file
	r.file = nil
	if err := f.Close(); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	return nil
}

func (r *rotating) rotate() error {
	if err := r.Close(); err != nil {
		return err
	}
	prefix, ext := r.aside()
	if err := os.Rename(r.path, prefix+time.Now().UTC().Format(asideFormat)+ext); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	if err := r.open(); err != nil {
		return err
	}
	return r.prune()
}

// aside returns what the names of files that were put aside begin and end with.
func (r *rotating) aside() (prefix, ext string) {
	ext = filepath.Ext(r.path)
	return strings.TrimSuffix(r.path, ext) + "-", ext
}

// prune removes the oldest of the files that were put aside.
func (r *rotating) prune() error {
	prefix, ext := r.aside()
	entries, err := os.ReadDir(filepath.Dir(r.path))
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	var old []string
	for _, e := range entries {
		file := filepath.Join(filepath.Dir(r.path), e.Name())
		stamp, ok := strings.CutPrefix(file, prefix)
		if !ok || !strings.HasSuffix(stamp, ext) {
			continue
		}
		if _, err := time.Parse(asideFormat, strings.TrimSuffix(stamp, ext)); err == nil {
			old = append(old, file)
		}
	}
	slices.Sort(old)
	for len(old) > r.maxFiles {
		if err := os.Remove(old[0]); err != nil {
			return fmt.Errorf("audit: %w", err)
		}
		old = old[1:]
	}
	return nil
}
