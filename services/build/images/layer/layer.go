// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package layer makes image layers whose bytes depend on nothing but the files in them.
package layer

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Entry is one file, folder or symbolic link of a layer.
type Entry struct {
	// Path is the place in the image, without a slash in front.
	Path string
	// Mode holds the permissions; fs.ModeDir and fs.ModeSymlink tell what it is.
	Mode fs.FileMode
	// Owner is user and group.
	Owner int
	// Data is the content, or the target of a link.
	Data []byte
	// Source is a file to take the content from, where Data is nil.
	Source string
}

// Layer is a layer kept in a file. It is a v1.Layer.
type Layer struct {
	path           string
	digest, diffID v1.Hash
	size           int64
}

// Write makes a layer of the entries, in the file at path. Parent folders are added, readable for all.
func Write(path string, entries []Entry) (*Layer, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("layer: %w", err)
	}
	packed, plain := sha256.New(), sha256.New()
	zip, err := gzip.NewWriterLevel(io.MultiWriter(file, packed), gzip.BestSpeed)
	if err != nil {
		return nil, fmt.Errorf("layer: %w", err)
	}
	archive := tar.NewWriter(io.MultiWriter(zip, plain))
	err = writeAll(archive, withParents(entries))
	err = errors.Join(err, archive.Close(), zip.Close())
	info, statErr := file.Stat()
	if err := errors.Join(err, statErr, file.Close()); err != nil {
		return nil, fmt.Errorf("layer %s: %w", path, err)
	}
	return &Layer{path: path, digest: sum(packed), diffID: sum(plain), size: info.Size()}, nil
}

// Open takes up a layer that Write made earlier.
func Open(path string) (*Layer, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("layer: %w", err)
	}
	defer func() { _ = file.Close() }()
	packed, plain := sha256.New(), sha256.New()
	counted := io.TeeReader(file, packed)
	zip, err := gzip.NewReader(counted)
	if err != nil {
		return nil, fmt.Errorf("layer %s: %w", path, err)
	}
	if _, err := io.Copy(plain, zip); err != nil { //nolint:gosec // made by Write
		return nil, fmt.Errorf("layer %s: %w", path, err)
	}
	if _, err := io.Copy(io.Discard, counted); err != nil {
		return nil, fmt.Errorf("layer %s: %w", path, err)
	}
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("layer: %w", err)
	}
	return &Layer{path: path, digest: sum(packed), diffID: sum(plain), size: info.Size()}, nil
}

func sum(h hash.Hash) v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(h.Sum(nil))}
}

// Digest is the digest of the packed layer.
func (l *Layer) Digest() (v1.Hash, error) { return l.digest, nil }

// DiffID is the digest of the unpacked layer.
func (l *Layer) DiffID() (v1.Hash, error) { return l.diffID, nil }

// Size is the size of the packed layer.
func (l *Layer) Size() (int64, error) { return l.size, nil }

// MediaType is that of gzipped OCI layers.
func (l *Layer) MediaType() (types.MediaType, error) { return types.OCILayer, nil }

// Compressed reads the packed layer.
func (l *Layer) Compressed() (io.ReadCloser, error) {
	file, err := os.Open(l.path)
	if err != nil {
		return nil, fmt.Errorf("layer: %w", err)
	}
	return file, nil
}

type unpacked struct {
	*gzip.Reader

	file *os.File
}

func (u unpacked) Close() error { return errors.Join(u.Reader.Close(), u.file.Close()) }

// Uncompressed reads the unpacked layer.
func (l *Layer) Uncompressed() (io.ReadCloser, error) {
	file, err := os.Open(l.path)
	if err != nil {
		return nil, fmt.Errorf("layer: %w", err)
	}
	zip, err := gzip.NewReader(file)
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("layer %s: %w", l.path, err)
	}
	return unpacked{zip, file}, nil
}

func withParents(entries []Entry) []Entry {
	known := map[string]bool{".": true}
	out := slices.Clone(entries)
	for _, e := range entries {
		known[e.Path] = true
	}
	for _, e := range entries {
		for dir := filepath.Dir(e.Path); !known[dir]; dir = filepath.Dir(dir) {
			known[dir] = true
			out = append(out, Entry{Path: dir, Mode: fs.ModeDir | 0o755, Owner: e.Owner})
		}
	}
	slices.SortFunc(out, func(a, b Entry) int { return strings.Compare(a.Path, b.Path) })
	return out
}

func writeAll(archive *tar.Writer, entries []Entry) error {
	for _, e := range entries {
		if err := write(archive, e); err != nil {
			return fmt.Errorf("%s: %w", e.Path, err)
		}
	}
	return nil
}

func write(archive *tar.Writer, e Entry) error {
	header := &tar.Header{
		Name: e.Path, Mode: int64(e.Mode.Perm()), Uid: e.Owner, Gid: e.Owner,
		ModTime: time.Unix(0, 0), Format: tar.FormatPAX, Typeflag: tar.TypeReg, Size: int64(len(e.Data)),
	}
	if e.Mode&fs.ModeSticky != 0 {
		header.Mode |= 0o1000
	}
	switch {
	case e.Mode.IsDir():
		header.Name, header.Typeflag, header.Size = e.Path+"/", tar.TypeDir, 0
	case e.Mode&fs.ModeSymlink != 0:
		header.Typeflag, header.Linkname, header.Size = tar.TypeSymlink, string(e.Data), 0
	case e.Data == nil && e.Source != "":
		return writeSource(archive, header, e.Source)
	}
	if err := archive.WriteHeader(header); err != nil {
		return err //nolint:wrapcheck // wrapped by writeAll
	}
	if header.Typeflag != tar.TypeReg {
		return nil
	}
	_, err := archive.Write(e.Data)
	return err //nolint:wrapcheck // wrapped by writeAll
}

func writeSource(archive *tar.Writer, header *tar.Header, source string) error {
	file, err := os.Open(source)
	if err != nil {
		return err //nolint:wrapcheck // wrapped by writeAll
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return err //nolint:wrapcheck // wrapped by writeAll
	}
	header.Size = info.Size()
	if err := archive.WriteHeader(header); err != nil {
		return err //nolint:wrapcheck // wrapped by writeAll
	}
	_, err = io.Copy(archive, file)
	return err //nolint:wrapcheck // wrapped by writeAll
}
