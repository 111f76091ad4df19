// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package mainjob

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// repository is a git repository served over HTTP by git's own back end.
type repository struct {
	work, bare string
	url        string
	server     *http.Server
}

// newRepository makes a repository of the files of a folder, and serves it at an address.
func newRepository(ctx context.Context, dir, files, host string) (*repository, error) {
	r := &repository{work: filepath.Join(dir, "work"), bare: filepath.Join(dir, "git", "hello.git")}
	if err := os.CopyFS(r.work, os.DirFS(files)); err != nil {
		return nil, fmt.Errorf("copy the sample: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(r.bare), 0o755); err != nil {
		return nil, fmt.Errorf("repository: %w", err)
	}
	for _, args := range [][]string{
		{"init", "--quiet", "--bare", "--initial-branch=main", r.bare},
		{"init", "--quiet", "--initial-branch=main", r.work},
		{"-C", r.work, "remote", "add", "origin", r.bare},
	} {
		if _, err := git(ctx, args...); err != nil {
			return nil, err
		}
	}
	backend, err := git(ctx, "--exec-path")
	if err != nil {
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return nil, fmt.Errorf("serve git at %s: %w", host, err)
	}
	r.url = "http://" + listener.Addr().String() + "/hello.git"
	r.server = &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		Handler: &cgi.Handler{
			Path: filepath.Join(backend, "git-http-backend"),
			Env:  []string{"GIT_PROJECT_ROOT=" + filepath.Dir(r.bare), "GIT_HTTP_EXPORT_ALL=1"},
		},
	}
	go func() { _ = r.server.Serve(listener) }()
	return r, nil
}

func (r *repository) close() { _ = r.server.Close() }

// commit commits what the work tree holds, and returns the commit.
func (r *repository) commit(ctx context.Context, message string) (string, error) {
	for _, args := range [][]string{
		{"add", "--all"},
		{"-c", "user.name=quickstart", "-c", "user.email=quickstart@fairlead.invalid", "commit", "--quiet", "--message", message},
		{"push", "--quiet", "origin", "main"},
	} {
		if _, err := git(ctx, append([]string{"-C", r.work}, args...)...); err != nil {
			return "", err
		}
	}
	return git(ctx, "-C", r.work, "rev-parse", "HEAD")
}

// write replaces a file of the work tree.
func (r *repository) write(name, content string) error {
	return os.WriteFile(filepath.Join(r.work, name), []byte(content), fs.FileMode(0o644)) //nolint:wrapcheck // says it all
}

func git(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("git %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out)), nil
}
