// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package newkind_test

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// repository is the root of the work tree.
const repository = "../../.."

// scratch copies the repository, the tools that are built already included, to a place that is the same from run to run,
// so that Go builds only what differs.
func scratch(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join(repository, ".fairlead", "newkind"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	list := exec.CommandContext(t.Context(), "git", "ls-files", "--cached", "--others", "--exclude-standard", "-z")
	list.Dir = repository
	out, err := list.Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	for name := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		copyFile(t, filepath.Join(repository, name), filepath.Join(dir, name))
	}
	for _, tool := range []string{"podgen", "kindgen", "buf", "protoc-gen-go", "protoc-gen-go-grpc", "protoc-gen-grpc-gateway"} {
		copyFile(t, filepath.Join(repository, ".fairlead/bin", tool), filepath.Join(dir, ".fairlead/bin", tool))
	}
	modules := filepath.FromSlash("gen/typescript/node_modules")
	installed, err := filepath.Abs(filepath.Join(repository, modules))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(installed); err == nil { // services/tools/npm.sh installs them otherwise
		if err := os.Symlink(installed, filepath.Join(dir, modules)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// copyFile leaves out what is not there: files that were deleted, and tools that were not built yet.
func copyFile(t *testing.T, from, to string) {
	t.Helper()
	info, err := os.Stat(from)
	if os.IsNotExist(err) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if info.IsDir() { // a repository of its own
		return
	}
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, info.Mode().Perm())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

// block is a code block, after a line that names its file if it is one.
var block = regexp.MustCompile("(?m)(?:^`([^`\n]+)`:\n\n)?^```(\\w+)\n((?s:.*?))^```$")

// addExample does what the example in CONTRIBUTING.md says: it adds the files and makes the edits.
func addExample(t *testing.T, dir string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "CONTRIBUTING.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, example, ok := strings.Cut(string(data), "\n### An example\n")
	if !ok {
		t.Fatal("CONTRIBUTING.md has no section `An example`")
	}
	example, _, _ = strings.Cut(example, "\n## ")
	files, edits := 0, 0
	for _, m := range block.FindAllStringSubmatch(example, -1) {
		name, language, text := m[1], m[2], m[3]
		switch {
		case language == "diff":
			edits++
			command(t, dir, text, "git", "apply", "--unidiff-zero", "--recount", "-")
		case name != "":
			files++
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		default:
			t.Errorf("a block of %s in the example says not what it is for", language)
		}
	}
	if files == 0 || edits == 0 {
		t.Fatalf("the example has %d files and %d edits", files, edits)
	}
}

// command runs a program in dir to its end, and fails with what it said.
func command(t *testing.T, dir, stdin string, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(stdin)
	cmd.Env = append(os.Environ(), "GOFLAGS=-buildvcs=false", "GOPROXY=off", "PWD="+dir)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out.String())
	}
	return out.String()
}
