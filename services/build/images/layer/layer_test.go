// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package layer_test

import (
	"archive/tar"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"fairlead.dev/services/build/images/layer"
)

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	source := filepath.Join(dir, "source")
	if err := os.WriteFile(source, []byte("from a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	entries := []layer.Entry{
		{Path: "usr/bin/tool", Mode: 0o755, Source: source},
		{Path: "link", Mode: fs.ModeSymlink | 0o777, Data: []byte("usr/bin/tool")},
		{Path: "tmp", Mode: fs.ModeDir | fs.ModeSticky | 0o777, Owner: 5},
		{Path: "empty", Mode: 0o644},
	}
	first, err := layer.Write(filepath.Join(dir, "a"), entries)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := layer.Open(filepath.Join(dir, "a"))
	if err != nil {
		t.Fatal(err)
	}
	img, err := mutate.AppendLayers(empty.Image, first, opened)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(img); err != nil {
		t.Error(err)
	}
	slicesReversed := []layer.Entry{entries[3], entries[2], entries[1], entries[0]}
	second, err := layer.Write(filepath.Join(dir, "b"), slicesReversed)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := first.Digest()
	if b, _ := second.Digest(); a != b {
		t.Errorf("the same files give %s and %s", a, b)
	}
	if b, _ := opened.Digest(); a != b {
		t.Errorf("opened again it is %s, not %s", b, a)
	}
	in, err := first.Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	var got []string
	for archive := tar.NewReader(in); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, h.FileInfo().Mode().String()+" "+h.Name)
	}
	want := []string{"-rw-r--r-- empty", "Lrwxrwxrwx link", "dtrwxrwxrwx tmp/", "drwxr-xr-x usr/", "drwxr-xr-x usr/bin/", "-rwxr-xr-x usr/bin/tool"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}
