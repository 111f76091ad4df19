// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// protoRoot makes a directory with our options, the protos of others, and the given file as example/v1/widget.proto.
func protoRoot(t *testing.T, widget string) string {
	t.Helper()
	root := t.TempDir()
	for _, dir := range []string{"fairlead/meta/v1", thirdParty} {
		if err := os.CopyFS(filepath.Join(root, dir), os.DirFS(filepath.Join("../../../proto", dir))); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(root, "example/v1/widget.proto"), widget)
	return root
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestGolden(t *testing.T) {
	root, goDir, restDir := protoRoot(t, read(t, "testdata/widget.proto")), t.TempDir(), t.TempDir()
	// A second run must find its own files and come to the same.
	for range 2 {
		if err := run(context.Background(), root, goDir, restDir); err != nil {
			t.Fatal(err)
		}
	}
	for made, golden := range map[string]string{
		filepath.Join(root, "example/v1/widget_service.proto"):         "testdata/widget_service.proto.golden",
		filepath.Join(root, "example/v1/cluster_widget_service.proto"): "testdata/cluster_widget_service.proto.golden",
		filepath.Join(goDir, "kinds.go"):                               "testdata/kinds.go.golden",
		filepath.Join(restDir, "rest.go"):                              "testdata/rest.go.golden",
	} {
		got := read(t, made)
		if *update {
			write(t, golden, got)
		}
		if want := read(t, golden); got != want {
			t.Errorf("%s differs from %s; see with -update what changed", made, golden)
		}
	}
}

// TestGeneratedServicesCompile compiles what was made together with what it was made from.
func TestGeneratedServicesCompile(t *testing.T) {
	root := protoRoot(t, read(t, "testdata/widget.proto"))
	if err := run(context.Background(), root, "", ""); err != nil {
		t.Fatal(err)
	}
	_, generated, err := protoFiles(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(generated) != 3 {
		t.Fatalf("generated %v, want three files", generated)
	}
	if _, err := compile(context.Background(), root, generated); err != nil {
		t.Error(err)
	}
}

func TestServiceOfAKindThatIsGoneGoes(t *testing.T) {
	root := protoRoot(t, read(t, "testdata/widget.proto"))
	stale := filepath.Join(root, "example/v1/gadget_service.proto")
	write(t, stale, "// "+marker+"\n")
	if err := run(context.Background(), root, "", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(stale); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("stat of a stale file: got %v, want that it is gone", err)
	}
}

func TestFilesOfPeopleStay(t *testing.T) {
	root := protoRoot(t, read(t, "testdata/widget.proto"))
	const mine = "syntax = \"proto3\";\npackage example.v1;\n"
	path := filepath.Join(root, "example/v1/widget_service.proto")
	write(t, path, mine)
	if err := run(context.Background(), root, "", ""); err == nil || !strings.Contains(err.Error(), "is not kindgen's") {
		t.Errorf("got %v, want a refusal", err)
	}
	if read(t, path) != mine {
		t.Error("a file that a person wrote was overwritten")
	}
}

func TestBadKindsAreRefused(t *testing.T) {
	widget := read(t, "testdata/widget.proto")
	cases := []struct {
		reason, old, new, want string
	}{
		{"paths need a plural", `plural: "widgets"`, ``, "needs group, version and plural"},
		{"paths need a group", `group: "example.fairlead.dev"`, ``, "needs group, version and plural"},
		{"objects need metadata", "ObjectMeta metadata = 1", "ListMeta metadata = 1", "a kind needs the field"},
		{"metadata has number 1", "ObjectMeta metadata = 1", "ObjectMeta metadata = 9", "a kind needs the field"},
		{"a path leads to one kind", `"clusterwidgets"`, `"widgets"`, "are both plural widgets"},
		{"a name means one kind", `scope: SCOPE_CLUSTER`, `kind: "Widget"`, "are both kind Widget"},
		{"one version is stored", `stored_version: "v1"`, ``, "are both stored: give the older one stored_version"},
		{"the stored version exists", `stored_version: "v1"`, `stored_version: "v2"`, "there is no such kind"},
		{"the stored version is stored", `stored_version: "v1"`, `stored_version: "v1beta1"`, "is itself an older form"},
		{"versions share their paths", `short_names: ["wg"]`, `scope: SCOPE_CLUSTER`, "differs from its stored form in plural or scope"},
		{"versions share having a status", `Part status = 3;`, ``, "has to have a status where its stored form has one"},
		{"the stored form says what is encrypted", `stored_version: "v1"`, "stored_version: \"v1\"\n    encrypted: true", "the stored form's to say"},
	}
	for _, c := range cases {
		root := protoRoot(t, strings.Replace(widget, c.old, c.new, 1))
		err := run(context.Background(), root, "", "")
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.reason, err, c.want)
		}
	}
}
