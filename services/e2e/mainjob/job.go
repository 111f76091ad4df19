// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package mainjob

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// stepTimeout bounds one step.
const stepTimeout = 6 * time.Minute

// job is the state of one run.
type job struct {
	env     Env
	dir     string
	repo    *repository
	commits []string
	rest    *http.Client
	note    string
	cancels []context.CancelFunc
}

func newJob(env Env) (*job, error) {
	if env.Verbose == nil {
		env.Verbose = io.Discard
	}
	if env.At == nil {
		env.At = func(context.Context, string) error { return nil }
	}
	dir, err := os.MkdirTemp("", "fairlead-mainjob-")
	if err != nil {
		return nil, fmt.Errorf("work folder: %w", err)
	}
	ca, err := os.ReadFile(env.CA)
	if err != nil {
		return nil, fmt.Errorf("authority of the front door: %w", err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	return &job{
		env: env, dir: dir,
		rest: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}}},
	}, nil
}

func (j *job) close() {
	if j.repo != nil {
		j.repo.close()
	}
	for _, c := range j.cancels {
		c()
	}
	_ = os.RemoveAll(j.dir)
}

func (j *job) context(ctx context.Context) context.Context {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	j.cancels = append(j.cancels, cancel)
	return ctx
}

// sayf adds a remark to the line of the step.
func (j *job) sayf(format string, args ...any) { j.note += "  " + fmt.Sprintf(format, args...) }

func (j *job) takeNote() string {
	n := j.note
	j.note = ""
	return n
}

// run runs a command with a standard input, and returns what it printed.
func (j *job) run(ctx context.Context, stdin, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, both bytes.Buffer
	cmd.Stdout = io.MultiWriter(&out, &both, j.env.Verbose)
	cmd.Stderr = io.MultiWriter(&both, j.env.Verbose)
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w\n%s", filepath.Base(name), strings.Join(args, " "), err, both.String())
	}
	return out.String(), nil
}

func (j *job) kubectl(ctx context.Context, stdin string, args ...string) (string, error) {
	return j.run(ctx, stdin, j.env.Kubectl, append([]string{"--kubeconfig", j.env.Kubeconfig, "--namespace", j.env.Namespace}, args...)...)
}

// fairlead runs the command line against the server.
func (j *job) fairlead(ctx context.Context, args ...string) (string, error) {
	return j.run(ctx, "", filepath.Join(j.env.Bin, "fairlead"), append(args,
		"--server", j.env.GRPC, "--token-file", j.env.Token, "--namespace", j.env.Namespace)...)
}

// curl posts documents with curl. The token goes in by a file, so that no list of processes shows it.
func (j *job) curl(ctx context.Context, url, body string) (string, error) {
	token, err := os.ReadFile(j.env.Token)
	if err != nil {
		return "", fmt.Errorf("token: %w", err)
	}
	header := filepath.Join(j.dir, "header")
	if err := os.WriteFile(header, []byte("Authorization: Bearer "+strings.TrimSpace(string(token))+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("header file: %w", err)
	}
	return j.run(ctx, body, "curl", "--silent", "--show-error", "--fail-with-body", "--cacert", j.env.CA,
		"--header", "@"+header, "--header", "Content-Type: application/yaml", "--data-binary", "@-", url)
}

// grpcurl calls a method.
func (j *job) grpcurl(ctx context.Context, method, request string) (string, error) {
	token, err := os.ReadFile(j.env.Token)
	if err != nil {
		return "", fmt.Errorf("token: %w", err)
	}
	cmd := exec.CommandContext(ctx, filepath.Join(j.env.Bin, "grpcurl"), "-plaintext", "-expand-headers",
		"-H", "authorization: Bearer ${FAIRLEAD_TOKEN}", "-d", "@", j.env.GRPC, method)
	cmd.Env = append(os.Environ(), "FAIRLEAD_TOKEN="+strings.TrimSpace(string(token)))
	cmd.Stdin = strings.NewReader(request)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("grpcurl %s: %w\n%s", method, err, out)
	}
	return string(out), nil
}

// get asks the service through the router.
func (j *job) get(ctx context.Context, path string) (code int, text string, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+j.env.Router+path, nil)
	if err != nil {
		return 0, "", fmt.Errorf("request: %w", err)
	}
	req.Host = "hello." + j.env.Namespace + ".localhost"
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", fmt.Errorf("router: %w", err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, "", fmt.Errorf("router: %w", err)
	}
	return res.StatusCode, string(data), nil
}

// eventually tries until try says it is done, ctx ends, or it fails for good.
func eventually(ctx context.Context, every time.Duration, try func() (done bool, err error)) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		done, err := try()
		if done {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("it took too long: %w", ctx.Err()), err)
		case <-tick.C:
		}
	}
}
