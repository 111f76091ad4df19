// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"bytes"
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"fairlead.dev/services/build/images"
)

func newRegistry(t *testing.T) (host string, uploads *atomic.Int32) {
	t.Helper()
	uploads = new(atomic.Int32)
	handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut || r.Method == http.MethodPatch {
			uploads.Add(1)
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://"), uploads
}

func pull(t *testing.T, ref string) v1.Image {
	t.Helper()
	r, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	img, err := remote.Image(r)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func TestStepImage(t *testing.T) {
	host, uploads := newRegistry(t)
	cfg := images.Config{Registry: host, Insecure: true, Version: "v1.2.3", Names: []string{images.Step}, Cache: t.TempDir()}
	first, err := images.Push(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if tagged := pull(t, host+"/fairlead/step:v1.2.3"); digest(t, tagged) != digest(t, pull(t, first[images.Step])) {
		t.Errorf("the tag is not %s", first[images.Step])
	}
	uploads.Store(0)
	var out bytes.Buffer
	cfg.Out = &out
	second, err := images.Push(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if second[images.Step] != first[images.Step] || uploads.Load() > 0 {
		t.Errorf("pushed %s after %s with %d uploads, want the same and none", second[images.Step], first[images.Step], uploads.Load())
	}
	if !strings.Contains(out.String(), "is there") {
		t.Errorf("progress %q", out.String())
	}
	dir := t.TempDir()
	if err := exec.Command("tar", "-C", dir, "-xf", unpack(t, pull(t, first[images.Step]))).Run(); err != nil {
		t.Fatal(err)
	}
	if got, err := exec.Command(filepath.Join(dir, "step")).CombinedOutput(); err == nil || !strings.Contains(string(got), "usage: step") {
		t.Errorf("the step binary says %q, %v", got, err)
	}
}

func TestUnknownImage(t *testing.T) {
	host, _ := newRegistry(t)
	_, err := images.Push(context.Background(), images.Config{Registry: host, Names: []string{"builders/cobol"}, Cache: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "builders/cobol") {
		t.Errorf("error %v, want one that names the image", err)
	}
}

func digest(t *testing.T, img v1.Image) string {
	t.Helper()
	d, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d.String()
}

func unpack(t *testing.T, img v1.Image) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image.tar")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	in := mutate.Extract(img)
	if _, err := io.Copy(file, in); err != nil {
		t.Fatal(err)
	}
	_ = in.Close()
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}
