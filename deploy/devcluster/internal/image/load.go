// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package image makes the pause image and loads images into containerd.
package image

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// refAnnotation holds an image's name in an OCI layout; containerd's own
// annotation holds the full one.
const (
	refAnnotation  = "org.opencontainers.image.ref.name"
	fullAnnotation = "io.containerd.image.name"
)

// Load brings the image at path into containerd: a docker archive, an OCI
// archive or an OCI layout folder. A ref gives it a name, which is needed if
// it has none; with a ref the archive must hold one image. It returns what
// containerd says that it imported.
func Load(ctx context.Context, socket, path, ref string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.IsDir() && ref == "" {
		return Import(ctx, socket, path)
	}
	dir := path
	if !info.IsDir() {
		if img, err := tarball.ImageFromPath(path, nil); err == nil {
			return importAs(ctx, socket, img, ref)
		}
		if dir, err = os.MkdirTemp("", "devcluster-image-"); err != nil {
			return "", err
		}
		defer os.RemoveAll(dir)
		if err := untar(path, dir); err != nil {
			return "", fmt.Errorf("%s is neither a docker archive with one image nor an OCI archive: %w", path, err)
		}
	}
	img, found, err := fromLayout(dir)
	if err != nil {
		return "", fmt.Errorf("read the OCI layout %s: %w", path, err)
	}
	if ref == "" {
		ref = found
	}
	return importAs(ctx, socket, img, ref)
}

// Import hands an archive to containerd as it is.
func Import(ctx context.Context, socket, path string) (string, error) {
	return ctr(ctx, socket, nil, "images", "import", path)
}

// Has reports whether containerd has an image of that name.
func Has(ctx context.Context, socket, ref string) (bool, error) {
	out, err := ctr(ctx, socket, nil, "images", "list", "-q", "name=="+ref)
	return strings.TrimSpace(out) == ref, err
}

func importAs(ctx context.Context, socket string, img v1.Image, ref string) (string, error) {
	if ref == "" {
		return "", errors.New("the image has no name: give one with --name")
	}
	tag, err := name.NewTag(ref)
	if err != nil {
		return "", fmt.Errorf("--name: %w", err)
	}
	reader, writer := io.Pipe()
	go func() { writer.CloseWithError(tarball.Write(tag, img, writer)) }()
	defer reader.Close()
	return ctr(ctx, socket, reader, "images", "import", "-")
}

func fromLayout(dir string) (v1.Image, string, error) {
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return nil, "", err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, "", err
	}
	if len(manifest.Manifests) != 1 {
		return nil, "", fmt.Errorf("it holds %d images, want one", len(manifest.Manifests))
	}
	descriptor := manifest.Manifests[0]
	img, err := index.Image(descriptor.Digest)
	ref := descriptor.Annotations[fullAnnotation]
	if ref == "" {
		ref = descriptor.Annotations[refAnnotation]
	}
	return img, ref, err
}

func untar(path, dir string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	archive := tar.NewReader(file)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := extract(root, header, archive); err != nil {
			return err
		}
	}
}

func extract(root *os.Root, header *tar.Header, content io.Reader) error {
	target := filepath.Clean(header.Name)
	switch header.Typeflag {
	case tar.TypeDir:
		return root.MkdirAll(target, 0o755)
	case tar.TypeReg:
		if err := root.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		file, err := root.Create(target)
		if err != nil {
			return err
		}
		_, err = io.Copy(file, content)
		return errors.Join(err, file.Close())
	}
	return nil
}

func ctr(ctx context.Context, socket string, stdin io.Reader, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "ctr", append([]string{"-a", socket, "-n", "k8s.io"}, args...)...)
	cmd.Stdin = stdin
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("ctr %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}
