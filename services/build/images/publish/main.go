// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Publish makes the images that builds need, and pushes them to a registry.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"fairlead.dev/services/build/images"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	cfg := images.Config{Out: os.Stderr}
	flag.StringVar(&cfg.Registry, "registry", "", "registry to push to, as host and port")
	flag.BoolVar(&cfg.Insecure, "insecure", false, "the registry may speak plain HTTP")
	flag.StringVar(&cfg.Version, "version", "dev", "tag of the step image")
	flag.StringVar(&cfg.Module, "module", "", "folder of the module fairlead.dev/services/build")
	flag.StringVar(&cfg.Cache, "cache", "", "folder that keeps what takes long to make")
	names := flag.String("images", "", "which, separated by commas; all by default")
	flag.Parse()
	if *names != "" {
		cfg.Names = strings.Split(*names, ",")
	}
	pushed, err := images.Push(ctx, cfg)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for name, ref := range pushed {
		fmt.Println(name, ref)
	}
	return 0
}
