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
	// What is rendered reaches the step's home; what cannot be used is told of, and stops only what cannot do without.
	secret, kept := filepath.Join(dir, "secret"), filepath.Join(dir, "kept")
	if err := os.Mkdir(secret, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"username": "ann", "password": "hunter2"} {
		if err := os.WriteFile(filepath.Join(secret, name), []byte(value), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	none := filepath.Join(dir, "none") + "=git.test"
	for source, want := range map[string]string{"https://git.test/a": contract.ReasonCredentialsUnused, "git@git.test:a": contract.ReasonCredentials} {
		out, err := exec.Command(binary, "install", "--to", installed, "--home", home, "--credentials", kept, "--git", secret+"=https://git.test",
			"--docker", secret+"=registry.test", "--git", none, "--source", source, "--termination-log", message).CombinedOutput()
		data, readErr := os.ReadFile(message)
		m, ok := contract.ParseMessage(string(data))
		if (err == nil) != (want == contract.ReasonCredentialsUnused) || readErr != nil || !ok || m.Reason != want || !strings.Contains(m.Message, `secret "none": it is not there`) {
			t.Errorf("install for %s: %v, %v, message %q, want %s", source, err, readErr, data, want)
		}
		if strings.Contains(string(out)+string(data), "hunter2") {
			t.Errorf("a value is told: %s\n%s", out, data)
		}
	}
	own := t.TempDir()
	step := exec.Command(installed, "run", "--dir", filepath.Join(dir, "run"), "--index", "1", "--credentials", kept, "--", "git", "credential", "fill")
	step.Env = append(os.Environ(), "HOME="+own, "GIT_CONFIG_NOSYSTEM=1")
	step.Stdin = strings.NewReader("protocol=https\nhost=git.test\n\n")
	if out, err := step.CombinedOutput(); err != nil || !strings.Contains(string(out), "username=ann\npassword=hunter2\n") {
		t.Errorf("git finds %q, %v", out, err)
	}
}
