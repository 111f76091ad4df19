// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package git_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"fairlead.dev/services/build/step/contract"
	"fairlead.dev/services/build/step/credentials"
	"fairlead.dev/services/build/step/git"
)

// repository is a bare repository behind git's own HTTP server, and what is in it.
type repository struct {
	url, root            string
	first, second, topic string
}

func gitIn(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com",
		"GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
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

func serve(t *testing.T, wrap func(http.Handler) http.Handler) repository {
	t.Helper()
	execPath, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		t.Skip("git is not installed")
	}
	backend := filepath.Join(strings.TrimSpace(string(execPath)), "git-http-backend")
	if _, err := os.Stat(backend); err != nil {
		t.Skip("git-http-backend is not installed")
	}
	root := t.TempDir()
	work := filepath.Join(root, "work")
	gitIn(t, root, "init", "-q", "-b", "main", work)
	write(t, filepath.Join(work, "README"), "first\n")
	gitIn(t, work, "add", ".")
	gitIn(t, work, "commit", "-q", "-m", "first")
	r := repository{first: gitIn(t, work, "rev-parse", "HEAD")}
	gitIn(t, work, "checkout", "-q", "-b", "topic/one")
	write(t, filepath.Join(work, "topic"), "topic\n")
	gitIn(t, work, "add", ".")
	gitIn(t, work, "commit", "-q", "-m", "topic")
	r.topic = gitIn(t, work, "rev-parse", "HEAD")
	gitIn(t, work, "checkout", "-q", "main")
	write(t, filepath.Join(work, "README"), "second\n")
	write(t, filepath.Join(work, "apps/shop/main.go"), "package main\n")
	write(t, filepath.Join(work, "run.sh"), "#!/bin/sh\n")
	gitIn(t, work, "add", ".")
	gitIn(t, work, "update-index", "--chmod=+x", "run.sh")
	gitIn(t, work, "commit", "-q", "-m", "second")
	gitIn(t, work, "tag", "-a", "v1", "-m", "one")
	r.second = gitIn(t, work, "rev-parse", "HEAD")
	gitIn(t, root, "clone", "-q", "--bare", work, filepath.Join(root, "repo.git"))
	gitIn(t, filepath.Join(root, "repo.git"), "update-ref", "refs/pull/7/head", r.topic)

	var handler http.Handler = &cgi.Handler{
		Path: backend, Dir: root, Stderr: io.Discard,
		Env: []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"},
	}
	if wrap != nil {
		handler = wrap(handler)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	r.url, r.root = server.URL+"/repo.git", root
	return r
}

func fetch(t *testing.T, s git.Source) (dir, commit string, err error) {
	t.Helper()
	s.Dir, s.Log = t.TempDir(), io.Discard
	commit, err = git.Fetch(context.Background(), s)
	return s.Dir, commit, err
}

func TestRevisions(t *testing.T) {
	r := serve(t, nil)
	for _, c := range []struct {
		reason, revision, want string
		depth                  string
		branch                 string
	}{
		{"a branch", "main", r.second, "1", "main"},
		{"a branch with a slash", "topic/one", r.topic, "2", "topic/one"},
		{"an annotated tag", "v1", r.second, "1", ""},
		{"a full reference", "refs/heads/main", r.second, "1", "main"},
		{"a reference without refs/", "pull/7/head", r.topic, "1", ""},
		{"HEAD", "HEAD", r.second, "1", ""},
		{"the commit of a branch", r.second, r.second, "1", ""},
		{"a commit that nothing points at", r.first, r.first, "1", ""},
		{"the beginning of a commit", r.first[:9], r.first, "1", ""},
	} {
		t.Run(c.reason, func(t *testing.T) {
			dir, commit, err := fetch(t, git.Source{URL: r.url, Revision: c.revision})
			if err != nil {
				t.Fatal(err)
			}
			if commit != c.want {
				t.Errorf("commit %s, want %s", commit, c.want)
			}
			if got := gitIn(t, dir, "-c", "safe.directory=*", "rev-parse", "HEAD"); got != c.want {
				t.Errorf("HEAD is %s, want %s", got, c.want)
			}
			if got := gitIn(t, dir, "-c", "core.fileMode=false", "status", "--porcelain"); got != "" {
				t.Errorf("the folder is not clean: %s", got)
			}
			if got := gitIn(t, dir, "branch", "--show-current"); got != c.branch {
				t.Errorf("branch %q, want %q", got, c.branch)
			}
		})
	}
}

func TestShallowAndOpen(t *testing.T) {
	r := serve(t, nil)
	dir, _, err := fetch(t, git.Source{URL: r.url, Revision: "main"})
	if err != nil {
		t.Fatal(err)
	}
	if got := gitIn(t, dir, "rev-list", "--count", "HEAD"); got != "1" {
		t.Errorf("%s commits were fetched, want 1", got)
	}
	for path, want := range map[string]os.FileMode{"README": 0o666, "run.sh": 0o777, "apps/shop": 0o777, "apps/shop/main.go": 0o666} {
		info, err := os.Stat(filepath.Join(dir, path))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("mode of %s is %o, want %o", path, got, want)
		}
	}
}

func TestSubPath(t *testing.T) {
	r := serve(t, nil)
	dir := t.TempDir()
	// The kubelet makes the folder of a volume's subPath before anything is fetched, and mounts that very folder.
	mounted := filepath.Join(dir, "apps/shop")
	if err := os.MkdirAll(mounted, 0o750); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(mounted)
	if err != nil {
		t.Fatal(err)
	}
	_, err = git.Fetch(context.Background(), git.Source{URL: r.url, Revision: "main", SubPath: "apps/shop/", Dir: dir, Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(mounted)
	if err != nil {
		t.Fatal(err)
	}
	if !os.SameFile(before, after) {
		t.Error("the folder was replaced; a step that has it mounted would see nothing")
	}
	if _, err := os.Stat(filepath.Join(mounted, "main.go")); err != nil {
		t.Error(err)
	}
}

func TestFailures(t *testing.T) {
	r := serve(t, nil)
	private := serve(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if user, password, _ := req.BasicAuth(); user != "ann" || password != "secret" {
				w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
				http.Error(w, "no", http.StatusUnauthorized)
				return
			}
			next.ServeHTTP(w, req)
		})
	})
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "down", http.StatusBadGateway)
	}))
	t.Cleanup(broken.Close)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	host := strings.TrimPrefix(strings.TrimSuffix(private.url, "/repo.git"), "http://")
	login := func(secret, host, user, password string) credentials.Credential {
		host, port, _ := strings.Cut(host, ":")
		return credentials.Credential{
			Offer:    credentials.Offer{Secret: secret, Kind: credentials.Password, Place: credentials.Place{Scheme: credentials.HTTP, Host: host, Port: port}},
			Username: user, Password: password,
		}
	}
	ann, bob, elsewhere := login("ann", host, "ann", "secret"), login("bob", host, "bob", "hunter2"), login("ann", "git.example", "ann", "secret")
	secure := bob
	secure.Place.Scheme = credentials.HTTPS
	broken1 := credentials.Fault{Offer: ann.Offer, Err: errors.New("it has no `username`")}

	for _, c := range []struct {
		reason string
		source git.Source
		want   string
		says   string
	}{
		{"no such branch", git.Source{URL: r.url, Revision: "nope"}, contract.ReasonRevisionNotFound, `revision "nope" not found in ` + r.url},
		{"no such commit", git.Source{URL: r.url, Revision: strings.Repeat("ab", 20)}, contract.ReasonRevisionNotFound, "not found in"},
		{"no such repository", git.Source{URL: strings.Replace(r.url, "repo.git", "none.git", 1), Revision: "main"}, contract.ReasonRepositoryNotFound, "none.git not found"},
		{"no such folder", git.Source{URL: r.url, Revision: "main", SubPath: "apps/none"}, contract.ReasonSubPathNotFound, `no folder "apps/none"`},
		{"a file as folder", git.Source{URL: r.url, Revision: "main", SubPath: "README"}, contract.ReasonSubPathNotFound, `no folder "README"`},
		{"no credentials", git.Source{URL: private.url, Revision: "main"}, contract.ReasonSourceUnauthorized, "give the service account a Secret of type kubernetes.io/basic-auth, annotated build.knative.dev/git-0: http://" + host},
		{"wrong credentials", git.Source{URL: private.url, Revision: "main", Credentials: []credentials.Credential{bob}}, contract.ReasonSourceUnauthorized, `refuses access; it is private, or does not exist: correct the username and password of Secret "bob", which was shown (it is for http://` + host},
		{"credentials for another host", git.Source{URL: private.url, Revision: "main", Credentials: []credentials.Credential{elsewhere}}, contract.ReasonSourceUnauthorized, "annotated build.knative.dev/git-0: http://" + host},
		{"credentials that would be, over https", git.Source{URL: private.url, Revision: "main", Credentials: []credentials.Credential{secure}}, contract.ReasonSourceUnauthorized, `(secret "bob", for https://` + host + `, is not shown over plain http`},
		{"credentials that cannot be used", git.Source{URL: private.url, Revision: "main", Faults: []credentials.Fault{broken1}}, contract.ReasonSourceUnauthorized, "(secret \"ann\": it has no `username`)"},
		{"right credentials", git.Source{URL: private.url, Revision: "main", Credentials: []credentials.Credential{elsewhere, ann}}, "", ""},
		{"a broken server", git.Source{URL: broken.URL + "/repo.git", Revision: "main", Tries: 2}, contract.ReasonSourceUnreachable, "answers 502"},
		{"no server", git.Source{URL: "http://" + closed.Addr().String() + "/repo.git", Revision: "main"}, contract.ReasonSourceUnreachable, "connection refused"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			_, _, err := fetch(t, c.source)
			if c.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			var e *git.Error
			if !errors.As(err, &e) {
				t.Fatalf("error %v, want a *git.Error", err)
			}
			if e.Reason != c.want || !strings.Contains(e.Message, c.says) {
				t.Errorf("%s: %s, want %s: … %s …", e.Reason, e.Message, c.want, c.says)
			}
			if strings.Contains(e.Message, "hunter2") {
				t.Errorf("the message holds a password: %s", e.Message)
			}
		})
	}
}

func TestTriesAgain(t *testing.T) {
	var asked atomic.Int32
	r := serve(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if asked.Add(1) == 1 {
				http.Error(w, "starting", http.StatusServiceUnavailable)
				return
			}
			next.ServeHTTP(w, req)
		})
	})
	_, commit, err := fetch(t, git.Source{URL: r.url, Revision: "main", Tries: 2})
	if err != nil || commit != r.second {
		t.Errorf("commit %s, error %v; want %s", commit, err, r.second)
	}
}
