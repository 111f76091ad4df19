// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package goapp makes an image of a Go program: a static binary, the authorities it trusts, and nothing else.
package goapp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"fairlead.dev/services/build/images/layer"
)

// Flags are the flags of `go build` that decide about the cache's keys; a cache is warmed with the same ones.
func Flags() []string { return []string{"-trimpath"} }

// Config says what to build, and where to put it.
type Config struct {
	// Image is the reference to push to.
	Image string
	// Insecure tells that the registry may speak plain HTTP.
	Insecure bool
	// Dir is the folder of the main package.
	Dir string
	// Go is the `go` command; the one in PATH by default.
	Go string
	// Env is the environment of `go build`; the process's by default.
	Env []string
	// Keychain finds credentials for the registry; docker's config by default.
	Keychain authn.Keychain
	// Out gets progress, and what `go build` says.
	Out io.Writer
}

// ErrBuild is for source that does not compile; the compiler has said why.
var ErrBuild = errors.New("the program does not build")

// Build builds the program, pushes its image, and returns the image's reference by digest.
func Build(ctx context.Context, cfg Config) (string, error) {
	var opts []name.Option
	if cfg.Insecure {
		opts = append(opts, name.Insecure)
	}
	ref, err := name.ParseReference(cfg.Image, opts...)
	if err != nil {
		return "", fmt.Errorf("image to push to: %w", err)
	}
	work, err := os.MkdirTemp("", "goapp-")
	if err != nil {
		return "", fmt.Errorf("build: %w", err)
	}
	defer func() { _ = os.RemoveAll(work) }()

	began := time.Now()
	binary := filepath.Join(work, "app")
	if err := compile(ctx, cfg, binary); err != nil {
		return "", err
	}
	info, err := os.Stat(binary)
	if err != nil {
		return "", fmt.Errorf("build: %w", err)
	}
	fmt.Fprintf(cfg.Out, "built %s in %s, %.1f MB\n", cfg.Dir, since(began), float64(info.Size())/1e6)

	began = time.Now()
	img, err := Image(work, binary)
	if err != nil {
		return "", err
	}
	digest, err := img.Digest()
	if err != nil {
		return "", fmt.Errorf("image: %w", err)
	}
	if cfg.Keychain == nil {
		cfg.Keychain = authn.DefaultKeychain
	}
	if err := remote.Write(ref, img, remote.WithContext(ctx), remote.WithAuthFromKeychain(cfg.Keychain)); err != nil {
		return "", fmt.Errorf("push %s: %w", ref, err)
	}
	pushed := ref.Context().Digest(digest.String()).String()
	fmt.Fprintf(cfg.Out, "pushed %s in %s\n", pushed, since(began))
	return pushed, nil
}

func since(t time.Time) time.Duration { return time.Since(t).Round(time.Millisecond) }

func compile(ctx context.Context, cfg Config, to string) error {
	if cfg.Go == "" {
		cfg.Go = "go"
	}
	if cfg.Env == nil {
		cfg.Env = os.Environ()
	}
	env := slices.Concat(cfg.Env, []string{"CGO_ENABLED=0", "GOTOOLCHAIN=local", "GO111MODULE=on"})
	list := exec.CommandContext(ctx, cfg.Go, "list", "-buildvcs=false", "-f", "{{.Name}}", ".")
	list.Dir, list.Env, list.Stderr = cfg.Dir, env, cfg.Out
	kind, err := list.Output()
	if err != nil {
		return fmt.Errorf("%w: %s holds no Go package that can be read: %w", ErrBuild, cfg.Dir, err)
	}
	if got := strings.TrimSpace(string(kind)); got != "main" {
		return fmt.Errorf("%w: %s holds package %s, not main; name the folder of the main package as second argument", ErrBuild, cfg.Dir, got)
	}
	args := append([]string{"build", "-buildvcs=false", "-ldflags=-s -w", "-o", to}, Flags()...)
	build := exec.CommandContext(ctx, cfg.Go, append(args, ".")...)
	build.Dir, build.Env, build.Stdout, build.Stderr = cfg.Dir, env, cfg.Out, cfg.Out
	if err := build.Run(); err != nil {
		return fmt.Errorf("%w: %w", ErrBuild, err)
	}
	return nil
}

// Image makes the image of a static binary. Layers are written to files in the folder work, which must outlive the image.
func Image(work, binary string) (v1.Image, error) {
	base, err := layer.Write(filepath.Join(work, "base.tar.gz"), layer.Base())
	if err != nil {
		return nil, fmt.Errorf("image: %w", err)
	}
	program, err := layer.Write(filepath.Join(work, "program.tar.gz"), []layer.Entry{{Path: "app", Mode: 0o755, Source: binary}})
	if err != nil {
		return nil, fmt.Errorf("image: %w", err)
	}
	img, err := mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1), base, program)
	if err != nil {
		return nil, fmt.Errorf("image: %w", err)
	}
	file, err := img.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("image: %w", err)
	}
	file = file.DeepCopy()
	file.OS, file.Architecture = "linux", architecture()
	user := strconv.Itoa(layer.Nobody)
	file.Config = v1.Config{
		Entrypoint: []string{"/app"}, User: user + ":" + user, WorkingDir: "/",
		Env: []string{"PATH=/", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"},
	}
	img, err = mutate.ConfigFile(mutate.ConfigMediaType(img, types.OCIConfigJSON), file)
	if err != nil {
		return nil, fmt.Errorf("image: %w", err)
	}
	return img, nil
}
