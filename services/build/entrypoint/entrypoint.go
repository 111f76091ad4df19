// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package entrypoint finds out what an image runs by itself, by asking its registry.
package entrypoint

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"fairlead.dev/services/build/pod"
)

// Options configures a Resolver.
type Options struct {
	// InsecureRegistries are hosts, with port, that may speak plain HTTP.
	InsecureRegistries []string
	// Timeout bounds one lookup; 20 seconds by default.
	Timeout time.Duration
	// Transport reaches registries; remote.DefaultTransport by default.
	Transport http.RoundTripper
	// Remember is how many images are remembered, by digest; 256 by default.
	Remember int
}

// Resolver looks images up.
type Resolver struct {
	opts Options

	mu    sync.Mutex
	known map[string]pod.Entrypoint
	order []string
}

// New makes a Resolver.
func New(opts Options) *Resolver {
	if opts.Timeout == 0 {
		opts.Timeout = 20 * time.Second
	}
	if opts.Transport == nil {
		opts.Transport = remote.DefaultTransport
	}
	if opts.Remember == 0 {
		opts.Remember = 256
	}
	return &Resolver{opts: opts, known: map[string]pod.Entrypoint{}}
}

// Error says why an image could not be looked up.
type Error struct {
	// Message is a sentence with what to do.
	Message string
	// Temporary tells that another try may succeed.
	Temporary bool

	cause error
}

func (e *Error) Error() string { return e.Message }

// Unwrap returns what the registry said.
func (e *Error) Unwrap() error { return e.cause }

// Resolve looks an image up, with the credentials of the keychain. A tag is always asked for anew; what a digest stands
// for is remembered. An error is an *Error.
func (r *Resolver) Resolve(ctx context.Context, image string, keychain authn.Keychain) (pod.Entrypoint, error) {
	ref, err := r.parse(image)
	if err != nil {
		return pod.Entrypoint{}, &Error{Message: fmt.Sprintf("image %q is not a reference: %s", image, err), cause: err}
	}
	ctx, cancel := context.WithTimeout(ctx, r.opts.Timeout)
	defer cancel()
	opts := []remote.Option{remote.WithContext(ctx), remote.WithAuthFromKeychain(keychain), remote.WithTransport(r.opts.Transport)}
	head, err := remote.Get(ref, opts...)
	if err != nil {
		return pod.Entrypoint{}, explain(image, ref, keychain, err)
	}
	pinned := ref.Context().Digest(head.Digest.String()).String()
	if known, ok := r.recall(pinned); ok {
		return known, nil
	}
	found, err := read(head)
	if err != nil {
		return pod.Entrypoint{}, explain(image, ref, keychain, err)
	}
	out := pod.Entrypoint{Image: pinned, Platforms: found}
	r.remember(pinned, out)
	return out, nil
}

func (r *Resolver) parse(image string) (name.Reference, error) {
	ref, err := name.ParseReference(image)
	if err == nil && slices.Contains(r.opts.InsecureRegistries, ref.Context().RegistryStr()) {
		ref, err = name.ParseReference(image, name.Insecure)
	}
	return ref, err //nolint:wrapcheck // wrapped by the caller
}

func (r *Resolver) recall(pinned string) (pod.Entrypoint, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.known[pinned]
	return e, ok
}

func (r *Resolver) remember(pinned string, e pod.Entrypoint) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.known[pinned]; ok {
		return
	}
	r.known[pinned] = e
	r.order = append(r.order, pinned)
	if len(r.order) > r.opts.Remember {
		delete(r.known, r.order[0])
		r.order = r.order[1:]
	}
}

var errNoLinux = errors.New("it is made for no version of Linux")

func read(d *remote.Descriptor) (map[string]pod.Command, error) {
	out := map[string]pod.Command{}
	add := func(img v1.Image) error {
		config, err := img.ConfigFile()
		if err != nil {
			return err //nolint:wrapcheck // wrapped by the caller
		}
		if config.OS == "linux" || config.OS == "" {
			out["linux/"+config.Architecture] = pod.Command{Entrypoint: config.Config.Entrypoint, Cmd: config.Config.Cmd}
		}
		return nil
	}
	if !d.MediaType.IsIndex() {
		img, err := d.Image()
		if err != nil {
			return nil, err //nolint:wrapcheck // wrapped by the caller
		}
		return out, add(img)
	}
	index, err := d.ImageIndex()
	if err != nil {
		return nil, err //nolint:wrapcheck // wrapped by the caller
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err //nolint:wrapcheck // wrapped by the caller
	}
	for _, m := range manifest.Manifests {
		if m.Platform == nil || m.Platform.OS != "linux" {
			continue
		}
		img, err := index.Image(m.Digest)
		if err != nil {
			return nil, err //nolint:wrapcheck // wrapped by the caller
		}
		if err := add(img); err != nil {
			return nil, err
		}
	}
	if len(out) == 0 {
		return nil, errNoLinux
	}
	return out, nil
}

func explain(image string, ref name.Reference, keychain authn.Keychain, err error) *Error {
	registry := ref.Context().RegistryStr()
	e := &Error{cause: err}
	var answered *transport.Error
	switch {
	case errors.Is(err, errNoLinux):
		e.Message = fmt.Sprintf("image %q cannot run: %s", image, err)
	case !errors.As(err, &answered):
		e.Temporary = true
		e.Message = fmt.Sprintf("registry %s does not answer for image %q: %s", registry, image, err)
	case answered.StatusCode == http.StatusNotFound:
		e.Message = fmt.Sprintf("image %q not found in its registry; correct the step's image, or push it", image)
	case answered.StatusCode == http.StatusUnauthorized, answered.StatusCode == http.StatusForbidden:
		what := "give the service account imagePullSecrets"
		if secret := used(keychain, ref.Context()); secret != "" {
			what = fmt.Sprintf("correct Secret %q, which was shown, or give it access", secret)
		}
		e.Message = fmt.Sprintf("registry %s refuses access to image %q; it is private, or does not exist: %s", registry, image, what)
	default:
		e.Temporary = answered.StatusCode >= http.StatusInternalServerError || answered.StatusCode == http.StatusTooManyRequests
		e.Message = fmt.Sprintf("registry %s answers %d for image %q", registry, answered.StatusCode, image)
	}
	return e
}
