// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"fairlead.dev/services/build/step/contract"
)

// The binary is copied into every pod, and runs beside the user's code.
func TestDependencies(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for dep := range strings.FieldsSeq(string(out)) {
		for _, no := range []string{"go.etcd.io/", "k8s.io/", "google.golang.org/grpc", "fairlead.dev/gen", "fairlead.dev/services/internal"} {
			if strings.HasPrefix(dep, no) {
				t.Errorf("the step binary imports %s", dep)
			}
		}
	}
}

func TestBinary(t *testing.T) {
	dir := t.TempDir()
	binary := filepath.Join(dir, "built")
	build := exec.Command("go", "build", "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	home, run, message := filepath.Join(dir, "home"), filepath.Join(dir, "run"), filepath.Join(dir, "message")
	for _, d := range []string{home, run} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	installed := filepath.Join(dir, "step")
	if out, err := exec.Command(binary, "install", "--to", installed, "--home", home).CombinedOutput(); err != nil {
		t.Fatalf("install: %v\n%s", err, out)
	}
	work := t.TempDir()
	out, err := exec.Command(installed, "run", "--dir", run, "--index", "0", "--working-dir", work, "--", "pwd").Output()
	if err != nil || strings.TrimSpace(string(out)) != work {
		t.Errorf("run printed %q, %v; want %s", out, err, work)
	}
	err = exec.Command(installed, "git", "--url", "http://127.0.0.1:1/a.git", "--revision", "a", "--dir", work, "--git", filepath.Join(dir, "none")+"=https://a.example", "--termination-log", message).Run()
	data, readErr := os.ReadFile(message)
	if m, ok := contract.ParseMessage(string(data)); err == nil || readErr != nil || !ok || m.Reason != contract.ReasonCredentials {
		t.Errorf("git with an empty Secret: %v, %v, message %q", err, readErr, data)
	}
}
