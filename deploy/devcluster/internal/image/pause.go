// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// nobody owns the pause process, which needs no rights.
const nobody = "65535:65535"

// EnsurePause compiles source, a Go main without imports from outside the
// standard library, into an image of that one program, and returns the
// archive's path in dir. An archive of the same source is taken as it is.
func EnsurePause(ctx context.Context, dir, ref string, source []byte) (string, error) {
	sum := sha256.Sum256(append([]byte(ref+"\n"), source...))
	archive := filepath.Join(dir, "pause-"+hex.EncodeToString(sum[:6])+".tar")
	if _, err := os.Stat(archive); err == nil {
		return archive, nil
	}
	binary, err := compile(ctx, source)
	if err != nil {
		return "", err
	}
	img, err := single(binary)
	if err != nil {
		return "", err
	}
	tag, err := name.NewTag(ref)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return "", err
	}
	partial := archive + ".partial"
	if err := tarball.WriteToFile(partial, tag, img); err != nil {
		return "", err
	}
	return archive, os.Rename(partial, archive)
}

func compile(ctx context.Context, source []byte) ([]byte, error) {
	dir, err := os.MkdirTemp("", "devcluster-pause-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	for file, content := range map[string][]byte{"main.go": source, "go.mod": []byte("module pause\n\ngo 1.21\n")} {
		if err := os.WriteFile(filepath.Join(dir, file), content, 0o600); err != nil {
			return nil, err
		}
	}
	binary := filepath.Join(dir, "pause")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", binary, ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=", "GOTOOLCHAIN=local", "GOPROXY=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("compile the pause program (is the Go toolchain in PATH?): %w\n%s", err, out)
	}
	return os.ReadFile(binary)
}

func single(binary []byte) (v1.Image, error) {
	var buffer bytes.Buffer
	archive := tar.NewWriter(&buffer)
	header := &tar.Header{Name: "pause", Mode: 0o755, Size: int64(len(binary)), ModTime: time.Unix(0, 0)}
	if err := archive.WriteHeader(header); err != nil {
		return nil, err
	}
	if _, err := archive.Write(binary); err != nil {
		return nil, err
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(buffer.Bytes())), nil
	})
	if err != nil {
		return nil, err
	}
	img, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return nil, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Config.Entrypoint, config.Config.User = []string{"/pause"}, nobody
	return mutate.ConfigFile(img, config)
}
