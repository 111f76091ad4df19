// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package clients runs the examples of the generated clients, and looks at web pages in Chromium.
package clients

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// patience is how long any one program may take.
const patience = 2 * time.Minute

// Server is where an example finds a server, and who it is there.
type Server struct {
	// Address is the host:port of gRPC.
	Address string
	// CA is the file of the authority that the server's certificate is from; empty means that there is no TLS.
	CA string
	// Token is the caller's.
	Token string
	// Namespace is where the example makes its Service.
	Namespace string
}

// Example is an example of a generated client that runs as a program.
type Example struct {
	// Language is the language of the client.
	Language string
	// Service is the name of the Service that the example makes.
	Service string

	prepare [][]string
	command []string
}

// Examples are all there are.
func Examples() []Example {
	return []Example{
		{Language: "go", Service: "hello-go", command: []string{"go", "run", "./gen/go/examples/service"}},
		// Debian's Python: others do not have its python3-grpcio.
		{Language: "python", Service: "hello-python", command: []string{"/usr/bin/python3", "gen/python/examples/service.py"}},
		{
			Language: "typescript", Service: "hello-typescript", prepare: [][]string{{"npm", "--prefix", "gen/typescript", "run", "-s", "examples"}},
			command: []string{"node", "gen/typescript/node_modules/.examples/node.mjs"},
		},
	}
}

// Run runs the example, and returns what it prints.
func (e Example) Run(ctx context.Context, s Server) (string, error) {
	for _, p := range e.prepare {
		if _, err := run(ctx, nil, p...); err != nil {
			return "", err
		}
	}
	return run(ctx, []string{
		"FAIRLEAD_ADDRESS=" + s.Address, "FAIRLEAD_CA=" + s.CA, "FAIRLEAD_TOKEN=" + s.Token, "FAIRLEAD_NAMESPACE=" + s.Namespace,
		"PYTHONPATH=" + filepath.Join(Root(), "gen/python"), "PYTHONDONTWRITEBYTECODE=1",
	}, e.command...)
}

// Look opens a page in Chromium by a script of testdata, which gets arguments, and returns what the script prints.
func Look(ctx context.Context, script string, args ...string) (string, error) {
	return run(ctx, []string{"NODE_PATH=" + filepath.Join(Root(), "gen/typescript/node_modules")},
		append([]string{"node", filepath.Join(Root(), "services/e2e/clients/testdata", script)}, args...)...)
}

// Build makes the script of the example page, and returns the folders that the page's files are in.
func Build(ctx context.Context) (folders []string, err error) {
	if _, err := run(ctx, nil, "npm", "--prefix", "gen/typescript", "run", "-s", "examples"); err != nil {
		return nil, err
	}
	return []string{filepath.Join(Root(), "gen/typescript/examples"), filepath.Join(Root(), "gen/typescript/node_modules/.examples")}, nil
}

// Root is the repository.
func Root() string {
	_, file, _, _ := runtime.Caller(0) //nolint:dogsled // the file alone says where we are
	return filepath.Join(filepath.Dir(file), "../../..")
}

func run(ctx context.Context, env []string, command ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var stdout, stderr strings.Builder
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir, cmd.Env = Root(), append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = 10 * time.Second // children of a killed program may hold its output open
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s: %w\n%s%s\n('deploy/packages.sh development' and services/tools/npm.sh install what it needs)",
			strings.Join(command, " "), err, stdout.String(), stderr.String())
	}
	return stdout.String(), nil
}

// Screenshot is the file for a picture of a page: in the folder that FAIRLEAD_SCREENSHOTS names, else in another.
func Screenshot(otherwise, name string) string {
	return filepath.Join(cmp.Or(os.Getenv("FAIRLEAD_SCREENSHOTS"), otherwise), name+".png")
}
