// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package e2e

import (
	"net"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// serveGit serves a repository of some files over HTTP, where pods reach it, until the test ends.
func serveGit(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	work := filepath.Join(dir, "work")
	for name, content := range files {
		file := filepath.Join(work, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	git := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "git", args...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("init", "--quiet", "--initial-branch=main", work)
	git("-C", work, "add", "--all")
	git("-C", work, "-c", "user.name=e2e", "-c", "user.email=e2e@fairlead.invalid", "commit", "--quiet", "--message", "files")
	git("clone", "--quiet", "--bare", work, filepath.Join(dir, "repo.git"))
	listener, err := net.Listen("tcp", net.JoinHostPort(s.cluster.BridgeIP, "0"))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: &cgi.Handler{
		Path: filepath.Join(git("--exec-path"), "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + dir, "GIT_HTTP_EXPORT_ALL=1"},
	}}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return "http://" + listener.Addr().String() + "/repo.git"
}
