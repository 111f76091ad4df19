// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Step is the one program that Fairlead puts into the pods of builds: `step install` brings it and credentials there,
// `step run` runs one step in its turn, `step git` fetches a source.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if len(os.Args) < 2 {
		usage()
	}
	args := os.Args[2:]
	signals := make(chan os.Signal, 8)
	switch os.Args[1] {
	case "install":
		os.Exit(installCommand(args))
	case "run":
		signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP, syscall.SIGUSR1,
			syscall.SIGUSR2, syscall.SIGWINCH, syscall.SIGCONT)
		os.Exit(runCommand(args, signals))
	case "git":
		signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
		os.Exit(gitCommand(args, signals))
	default:
		usage()
	}
}

func usage() {
	fmt.Fprintln(os.Stderr, "usage: step install|run|git [flags]")
	os.Exit(2)
}
