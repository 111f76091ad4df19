// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Builder is the entrypoint of the image `builders/go`: it makes an image of the Go program in /workspace.
//
//	builder [--insecure REGISTRY]... IMAGE [FOLDER]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"fairlead.dev/services/build/builder/goapp"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	insecure := strings.Split(os.Getenv("FAIRLEAD_INSECURE_REGISTRIES"), ",")
	flag.Func("insecure", "registry that speaks plain HTTP", func(v string) error {
		insecure = append(insecure, v)
		return nil
	})
	flag.Usage = func() { fmt.Fprintln(os.Stderr, "usage: builder [--insecure REGISTRY]... IMAGE [FOLDER]") }
	flag.Parse()
	if flag.NArg() < 1 || flag.NArg() > 2 {
		flag.Usage()
		return 2
	}
	registry, _, _ := strings.Cut(flag.Arg(0), "/")
	goapp.KeepCache(os.Getenv("GOCACHE"))
	_, err := goapp.Build(ctx, goapp.Config{
		Image:    flag.Arg(0),
		Insecure: slices.Contains(insecure, registry),
		Dir:      filepath.Join(".", flag.Arg(1)),
		Out:      os.Stderr,
	})
	switch {
	case errors.Is(err, goapp.ErrBuild):
		fmt.Fprintln(os.Stderr, err)
		return 1
	case err != nil:
		fmt.Fprintln(os.Stderr, "builder:", err)
		return 3
	}
	return 0
}
