// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package images makes the images that builds need, from nothing but this source and the local Go toolchain, and pushes
// them to a registry. What is there already is neither made nor pushed again.
package images

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// The images, as repositories within the registry.
const (
	// Step holds the step binary; its tag is Config.Version.
	Step = "fairlead/step"
	// GoBuilder turns Go source in /workspace into an image; its tag is `latest`.
	GoBuilder = "builders/go"
)

// Config says where images go, and how they are made.
type Config struct {
	// Registry is host and port, with a path in front of all repositories if wanted.
	Registry string
	// Insecure tells that the registry may speak plain HTTP.
	Insecure bool
	// Version is the tag of the step image; `dev` by default.
	Version string
	// Names are the images to push, of the constants above; all by default.
	Names []string
	// Module is the folder of the module fairlead.dev/services/build; by default the one that the working directory's
	// module or workspace means by that name.
	Module string
	// Cache is a folder that keeps what takes long to make; in the user's cache folder by default.
	Cache string
	// Keychain finds credentials for the registry; docker's config by default.
	Keychain authn.Keychain
	// Transport reaches the registry; remote.DefaultTransport by default.
	Transport http.RoundTripper
	// Out gets progress; nothing is said by default.
	Out io.Writer
}

type pusher struct {
	Config

	work    string
	names   []name.Option
	remotes []remote.Option
}

// Push makes and pushes the images that the registry does not have. The result holds for each name the reference by
// digest, such as `registry.example/fairlead/step@sha256:…`.
func Push(ctx context.Context, cfg Config) (map[string]string, error) {
	p, err := newPusher(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(p.work) }()
	makers := map[string]func(context.Context) (name.Tag, v1.Image, error){Step: p.step, GoBuilder: p.goBuilder}
	out := make(map[string]string, len(p.Names))
	for _, n := range p.Names {
		if makers[n] == nil {
			return nil, fmt.Errorf("images: %q is none; there are %s and %s", n, Step, GoBuilder)
		}
		began := time.Now()
		tag, img, err := makers[n](ctx)
		if err != nil {
			return nil, fmt.Errorf("images: make %s: %w", n, err)
		}
		pushed, err := p.push(tag, img)
		if err != nil {
			return nil, fmt.Errorf("images: push %s: %w", n, err)
		}
		digest, err := img.Digest()
		if err != nil {
			return nil, fmt.Errorf("images: %s: %w", n, err)
		}
		out[n] = tag.Digest(digest.String()).String()
		what := "is there"
		if pushed {
			what = "pushed"
		}
		fmt.Fprintf(p.Out, "%s %s (%s) in %s\n", tag, what, digest, time.Since(began).Round(time.Millisecond))
	}
	return out, nil
}

func newPusher(ctx context.Context, cfg Config) (*pusher, error) {
	if cfg.Registry == "" {
		return nil, errors.New("images: which registry?")
	}
	if cfg.Version == "" {
		cfg.Version = "dev"
	}
	if len(cfg.Names) == 0 {
		cfg.Names = []string{Step, GoBuilder}
	}
	if cfg.Out == nil {
		cfg.Out = io.Discard
	}
	if cfg.Keychain == nil {
		cfg.Keychain = authn.DefaultKeychain
	}
	if cfg.Transport == nil {
		cfg.Transport = remote.DefaultTransport
	}
	if cfg.Module == "" {
		out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "fairlead.dev/services/build").Output()
		if err != nil {
			return nil, fmt.Errorf("images: find the source of fairlead.dev/services/build, from which images are made: %w", err)
		}
		cfg.Module = strings.TrimSpace(string(out))
	}
	if cfg.Cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("images: %w", err)
		}
		cfg.Cache = filepath.Join(dir, "fairlead", "images")
	}
	if err := os.MkdirAll(cfg.Cache, 0o755); err != nil {
		return nil, fmt.Errorf("images: %w", err)
	}
	work, err := os.MkdirTemp("", "images-")
	if err != nil {
		return nil, fmt.Errorf("images: %w", err)
	}
	p := &pusher{Config: cfg, work: work}
	if cfg.Insecure {
		p.names = append(p.names, name.Insecure)
	}
	p.remotes = []remote.Option{remote.WithContext(ctx), remote.WithAuthFromKeychain(cfg.Keychain), remote.WithTransport(cfg.Transport)}
	return p, nil
}

func (p *pusher) tag(repository, tag string) (name.Tag, error) {
	t, err := name.NewTag(strings.TrimSuffix(p.Registry, "/")+"/"+repository+":"+tag, p.names...)
	if err != nil {
		return name.Tag{}, fmt.Errorf("reference: %w", err)
	}
	return t, nil
}

// push pushes the image unless the tag is it already.
func (p *pusher) push(tag name.Tag, img v1.Image) (bool, error) {
	digest, err := img.Digest()
	if err != nil {
		return false, fmt.Errorf("digest: %w", err)
	}
	there, err := p.find(tag)
	if err != nil {
		return false, err
	}
	if there != nil && there.Digest == digest {
		return false, nil
	}
	if err := remote.Write(tag, img, p.remotes...); err != nil {
		return false, err //nolint:wrapcheck // wrapped by the callers
	}
	return true, nil
}

// find asks the registry for a tag; nil means that it has none.
func (p *pusher) find(tag name.Tag) (*v1.Descriptor, error) {
	there, err := remote.Head(tag, p.remotes...)
	var answered *transport.Error
	if errors.As(err, &answered) && answered.StatusCode == http.StatusNotFound {
		return nil, nil //nolint:nilnil // documented
	}
	if err != nil {
		return nil, fmt.Errorf("ask for %s: %w", tag, err)
	}
	return there, nil
}

// compile builds a static binary of a package of the module.
func (p *pusher) compile(ctx context.Context, pkg string) (string, error) {
	to := filepath.Join(p.work, filepath.Base(pkg))
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o", to, pkg)
	cmd.Dir = p.Module
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("compile %s: %w\n%s", pkg, err, out)
	}
	return to, nil
}

// assemble puts layers on a base, and a config on both.
func assemble(base v1.Image, config v1.Config, layers ...v1.Layer) (v1.Image, error) {
	if base == nil {
		base = mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	}
	img, err := mutate.AppendLayers(base, layers...)
	if err != nil {
		return nil, fmt.Errorf("image: %w", err)
	}
	file, err := img.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("image: %w", err)
	}
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Config = "linux", goEnv("GOARCH"), config
	file.History = slices.Repeat([]v1.History{{}}, len(file.RootFS.DiffIDs))
	img, err = mutate.ConfigFile(img, file)
	if err != nil {
		return nil, fmt.Errorf("image: %w", err)
	}
	return img, nil
}

func goEnv(key string) string {
	out, err := exec.Command("go", "env", key).Output() //nolint:noctx // answers at once
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}
