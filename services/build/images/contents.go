// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package images

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"fairlead.dev/services/build/builder/goapp"
	"fairlead.dev/services/build/images/layer"
	"fairlead.dev/services/build/step/contract"
)

// toolchainForm changes whenever what toolchain puts into its layers does.
const toolchainForm = "1"

// Paths in the builder's image.
const (
	goRoot  = "usr/local/go"
	goCache = "cache/go-build"
	// goBuilder is no file `builder` at the top: the steps' home is /builder/home.
	goBuilder = "usr/local/bin/go-builder"
)

func (p *pusher) step(ctx context.Context) (name.Tag, v1.Image, error) {
	tag, err := p.tag(Step, p.Version)
	if err != nil {
		return tag, nil, err
	}
	binary, err := p.compile(ctx, "fairlead.dev/services/build/step")
	if err != nil {
		return tag, nil, err
	}
	l, err := layer.Write(filepath.Join(p.work, "step.tar.gz"), append(layer.Base(),
		layer.Entry{Path: strings.TrimPrefix(contract.ImageBinary, "/"), Mode: 0o755, Source: binary}))
	if err != nil {
		return tag, nil, err //nolint:wrapcheck // wrapped by Push
	}
	img, err := assemble(nil, v1.Config{Entrypoint: []string{contract.ImageBinary}, Env: []string{"PATH=/"}}, l)
	return tag, img, err
}

func (p *pusher) goBuilder(ctx context.Context) (name.Tag, v1.Image, error) {
	tag, err := p.tag(GoBuilder, "latest")
	if err != nil {
		return tag, nil, err
	}
	base, err := p.toolchain(ctx)
	if err != nil {
		return tag, nil, err
	}
	binary, err := p.compile(ctx, "fairlead.dev/services/build/builder")
	if err != nil {
		return tag, nil, err
	}
	l, err := layer.Write(filepath.Join(p.work, "builder.tar.gz"), []layer.Entry{{Path: goBuilder, Mode: 0o755, Source: binary}})
	if err != nil {
		return tag, nil, err //nolint:wrapcheck // wrapped by Push
	}
	user := strconv.Itoa(layer.Nobody)
	img, err := assemble(base, v1.Config{
		Entrypoint: []string{"/" + goBuilder}, User: user + ":" + user, WorkingDir: contract.Workspace,
		Env: []string{
			"PATH=/" + goRoot + "/bin", "HOME=" + contract.Home, "GOROOT=/" + goRoot, "GOCACHE=/" + goCache,
			"GOMODCACHE=/tmp/mod", "GOTOOLCHAIN=local", "CGO_ENABLED=0",
		},
	}, l)
	return tag, img, err
}

// toolchain is the image under the Go builder: compiler, standard library, and the library compiled. It takes a while to
// make, hence its layers are kept, in the registry and in Config.Cache.
func (p *pusher) toolchain(ctx context.Context) (v1.Image, error) {
	base := layer.Base()
	key := sha256.New()
	fmt.Fprintln(key, toolchainForm, goEnv("GOVERSION"), goEnv("GOARCH"), goapp.Flags())
	for _, e := range base {
		fmt.Fprintln(key, e.Path, string(e.Data))
	}
	id := goEnv("GOVERSION") + "-" + hex.EncodeToString(key.Sum(nil))[:12]
	tag, err := p.tag(GoBuilder+"-toolchain", id)
	if err != nil {
		return nil, err
	}
	there, err := p.find(tag)
	if err != nil {
		return nil, err
	}
	if there != nil {
		return remote.Image(tag, p.remotes...) //nolint:wrapcheck // wrapped by Push
	}
	dir := filepath.Join(p.Cache, id)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err //nolint:wrapcheck // wrapped by Push
	}
	var layers []v1.Layer
	for _, part := range []struct {
		name string
		make func(context.Context) ([]layer.Entry, error)
	}{
		{"base", func(context.Context) ([]layer.Entry, error) { return base, nil }},
		{"go", toolchainFiles},
		{"cache", p.warmCache},
	} {
		l, err := p.kept(ctx, filepath.Join(dir, part.name+".tar.gz"), part.make)
		if err != nil {
			return nil, fmt.Errorf("layer %s: %w", part.name, err)
		}
		layers = append(layers, l)
	}
	img, err := assemble(nil, v1.Config{}, layers...)
	if err != nil {
		return nil, err
	}
	_, err = p.push(tag, img)
	return img, err
}

// kept opens the layer at path, or makes it there.
func (p *pusher) kept(ctx context.Context, path string, entries func(context.Context) ([]layer.Entry, error)) (v1.Layer, error) {
	if l, err := layer.Open(path); err == nil {
		return l, nil
	}
	began := time.Now()
	all, err := entries(ctx)
	if err != nil {
		return nil, err
	}
	unfinished := path + "." + strconv.Itoa(os.Getpid())
	defer func() { _ = os.Remove(unfinished) }()
	if _, err := layer.Write(unfinished, all); err != nil {
		return nil, err //nolint:wrapcheck // wrapped by the caller
	}
	if err := os.Rename(unfinished, path); err != nil {
		return nil, err //nolint:wrapcheck // wrapped by the caller
	}
	fmt.Fprintf(p.Out, "made layer %s, %d files, in %s\n", filepath.Base(path), len(all), time.Since(began).Round(time.Millisecond))
	return layer.Open(path) //nolint:wrapcheck // wrapped by the caller
}

// toolchainFiles are the files that `go build` needs: commands, compiler, and the library's source without its tests.
func toolchainFiles(context.Context) ([]layer.Entry, error) {
	root := goEnv("GOROOT")
	var out []layer.Entry
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil || rel == "." {
			return err //nolint:wrapcheck // wrapped below
		}
		if !wanted(rel, d) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err //nolint:wrapcheck // wrapped below
		}
		mode := fs.FileMode(0o644)
		if info.Mode()&0o111 != 0 {
			mode = 0o755
		}
		out = append(out, layer.Entry{Path: goRoot + "/" + filepath.ToSlash(rel), Mode: mode, Source: path})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the Go toolchain in %s: %w", root, err)
	}
	return out, nil
}

func wanted(rel string, d fs.DirEntry) bool {
	parts := strings.Split(filepath.ToSlash(rel), "/")
	tools := []string{"asm", "compile", "link", "preprofile"}
	switch {
	case d.IsDir() && d.Name() == "testdata", strings.HasSuffix(d.Name(), "_test.go"):
		return false
	case len(parts) == 1 && !d.IsDir():
		return d.Name() == "VERSION" || d.Name() == "go.env" || d.Name() == "LICENSE"
	case parts[0] == "bin":
		return len(parts) == 1 || parts[1] == "go"
	case parts[0] == "pkg" && len(parts) > 1 && parts[1] == "tool":
		return len(parts) < 4 || slices.Contains(tools, parts[3])
	case parts[0] == "pkg":
		return len(parts) == 1 || parts[1] == "include"
	case parts[0] == "src":
		return len(parts) == 1 || parts[1] != "cmd"
	case parts[0] == "lib":
		return len(parts) == 1 || parts[1] == "time"
	}
	return false
}

// warmCache compiles the library, so that no build has to.
func (p *pusher) warmCache(ctx context.Context) ([]layer.Entry, error) {
	packages, err := libraryPackages(ctx)
	if err != nil {
		return nil, err
	}
	cache := filepath.Join(p.work, "cache")
	args := append([]string{"build"}, goapp.Flags()...)
	cmd := exec.CommandContext(ctx, "go", append(args, packages...)...)
	cmd.Dir = p.work
	cmd.Env = append(os.Environ(), "GOCACHE="+cache, "CGO_ENABLED=0", "GOFLAGS=", "GOTOOLCHAIN=local", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("compile the library: %w\n%s", err, out)
	}
	out := []layer.Entry{{Path: goCache, Mode: fs.ModeDir | 0o777, Owner: layer.Nobody}}
	err = filepath.WalkDir(cache, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == cache {
			return err
		}
		rel, err := filepath.Rel(cache, path)
		if err != nil {
			return err //nolint:wrapcheck // wrapped below
		}
		e := layer.Entry{Path: goCache + "/" + filepath.ToSlash(rel), Owner: layer.Nobody, Mode: 0o666, Source: path}
		switch {
		case d.IsDir():
			e.Mode, e.Source = fs.ModeDir|0o777, ""
		case d.Name() == "trim.txt" || d.Name() == "README":
			return nil
		case strings.HasSuffix(path, "-a"):
			if e.Data, err = timeless(path); err != nil {
				return err
			}
		}
		out = append(out, e)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the compiled library: %w", err)
	}
	return out, nil
}

// timeless reads an entry of Go's build cache and evens out the time in it, its last field of 20 digits.
func timeless(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err //nolint:wrapcheck // wrapped by the caller
	}
	const digits = 20
	if n := len(data) - digits - 1; n > 0 && strings.HasPrefix(string(data), "v1 ") {
		copy(data[n:], fmt.Sprintf("%*d\n", digits, time.Hour.Nanoseconds()))
	}
	return data, nil
}

// libraryPackages are the packages of the standard library that programs are made of; tools that read Go and test support
// are compiled by those who want them.
func libraryPackages(ctx context.Context) ([]string, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-f", "{{if .GoFiles}}{{.ImportPath}}{{end}}", "std")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list the library: %w", err)
	}
	return slices.DeleteFunc(strings.Fields(string(out)), func(pkg string) bool {
		parts := strings.Split(pkg, "/")
		return slices.Contains([]string{"go", "debug", "testing", "image", "vendor"}, parts[0]) || slices.Contains(parts, "internal")
	}), nil
}
