// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"archive/tar"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

const ref = "fairlead.dev/test/pause:1"

func TestEnsurePause(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("no Go toolchain")
	}
	dir := filepath.Join(t.TempDir(), "images")
	source := []byte("package main\n\nfunc main() {}\n")
	archive, err := EnsurePause(t.Context(), dir, ref, source)
	if err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag(ref)
	if err != nil {
		t.Fatal(err)
	}
	img, err := tarball.ImageFromPath(archive, &tag)
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"/pause"}, config.Config.Entrypoint); diff != "" || config.OS != "linux" {
		t.Errorf("OS %q, entry point (-want +got):\n%s", config.OS, diff)
	}
	before, err := os.Stat(archive)
	if err != nil {
		t.Fatal(err)
	}
	again, err := EnsurePause(t.Context(), dir, ref, source)
	if err != nil || again != archive {
		t.Fatalf("EnsurePause again = %q, %v", again, err)
	}
	if after, err := os.Stat(archive); err != nil || !os.SameFile(before, after) {
		t.Errorf("the same source was compiled again: %v", err)
	}
	if other, err := EnsurePause(t.Context(), dir, ref, append(source, "// changed\n"...)); err != nil || other == archive {
		t.Errorf("another source gave the same archive: %q, %v", other, err)
	}
}

func TestFromLayout(t *testing.T) {
	t.Parallel()
	img, err := single([]byte("binary"))
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		reason      string
		annotations map[string]string
		images      int
		want        string
		fails       bool
	}{
		"Unnamed":   {"the name is then asked for", nil, 1, "", false},
		"Short":     {"OCI's annotation is taken", map[string]string{refAnnotation: "a:1"}, 1, "a:1", false},
		"Full":      {"containerd's comes first", map[string]string{refAnnotation: "1", fullAnnotation: "x.test/a:1"}, 1, "x.test/a:1", false},
		"TwoImages": {"one name cannot be two images", nil, 2, "", true},
		"NoImage":   {"an empty layout", nil, 0, "", true},
	}
	for title, tc := range cases {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path, err := layout.Write(dir, empty.Index)
			if err != nil {
				t.Fatal(err)
			}
			for range tc.images {
				if err := path.AppendImage(img, layout.WithAnnotations(tc.annotations)); err != nil {
					t.Fatal(err)
				}
			}
			_, got, err := fromLayout(dir)
			if (err != nil) != tc.fails || got != tc.want {
				t.Errorf("fromLayout = %q, %v, want %q: %s", got, err, tc.want, tc.reason)
			}
		})
	}
}

func TestUntarStaysInItsFolder(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		name   string
		fails  bool
	}{
		"Plain":    {"files land below the folder", "blobs/sha256/a", false},
		"Dotted":   {"as tar writes them", "./index.json", false},
		"Outside":  {"an archive must not write elsewhere", "../evil", true},
		"Absolute": {"nor at the root", "/evil", true},
	}
	for title, tc := range cases {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			var buffer bytes.Buffer
			archive := tar.NewWriter(&buffer)
			if err := archive.WriteHeader(&tar.Header{Name: tc.name, Typeflag: tar.TypeReg, Mode: 0o644, Size: 1}); err != nil {
				t.Fatal(err)
			}
			if _, err := archive.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			if err := archive.Close(); err != nil {
				t.Fatal(err)
			}
			parent := t.TempDir()
			path, dir := filepath.Join(parent, "a.tar"), filepath.Join(parent, "out")
			if err := os.WriteFile(path, buffer.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			err := untar(path, dir)
			if (err != nil) != tc.fails {
				t.Errorf("untar(%q) = %v: %s", tc.name, err, tc.reason)
			}
			if _, err := os.Stat(filepath.Join(dir, tc.name)); !tc.fails && err != nil {
				t.Errorf("%s: %v", tc.reason, err)
			}
		})
	}
}
