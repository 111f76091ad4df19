// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

var appOnce = sync.OnceValues(func() (string, error) { //nolint:gochecknoglobals // pushed once a run
	dir, err := os.MkdirTemp("", "fairlead-app-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "app")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", binary, "./testdata/app")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		os.Stderr.Write(out)
		return "", err
	}
	return pushProgram("test/app:latest", binary, "bin/tar")
})

// app is the reference of an image of testdata/app.
func app(t *testing.T) string {
	t.Helper()
	ref, err := appOnce()
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// pushProgram pushes an image with one program as its entrypoint, which is there under other names too.
func pushProgram(repository, binary string, links ...string) (string, error) {
	data, err := os.ReadFile(binary)
	if err != nil {
		return "", err
	}
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	if err := w.WriteHeader(&tar.Header{Name: "app", Mode: 0o755, Size: int64(len(data))}); err != nil {
		return "", err
	}
	if _, err := w.Write(data); err != nil {
		return "", err
	}
	for _, link := range links {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: link, Linkname: "/app", Mode: 0o777}); err != nil {
			return "", err
		}
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer.Bytes())), nil })
	if err != nil {
		return "", err
	}
	img, err := mutate.AppendLayers(empty.Image, l)
	if err != nil {
		return "", err
	}
	img, err = mutate.ConfigFile(img, configFor(img))
	if err != nil {
		return "", err
	}
	ref, err := name.ParseReference(s.cluster.Registry+"/"+repository, name.Insecure)
	if err != nil {
		return "", err
	}
	return ref.String(), remote.Write(ref, img)
}

func configFor(img v1.Image) *v1.ConfigFile {
	cfg, err := img.ConfigFile()
	if err != nil {
		return &v1.ConfigFile{}
	}
	cfg = cfg.DeepCopy()
	cfg.Architecture, cfg.OS = "amd64", "linux"
	cfg.Config.Entrypoint = []string{"/app"}
	cfg.Config.User = "65532:65532"
	return cfg
}
