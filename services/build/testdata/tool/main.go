// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Tool is what steps of tests run: a few verbs of a shell, in an image of their own.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
)

func main() {
	args := os.Args[1:]
	if len(args) == 0 {
		args = []string{"echo", "default"}
	}
	switch verb, rest := args[0], args[1:]; verb {
	case "echo":
		fmt.Println(strings.Join(rest, " "))
	case "fail":
		code, _ := strconv.Atoi(rest[0])
		fmt.Println("failing with", code)
		os.Exit(code)
	case "write":
		check(os.WriteFile(rest[0], []byte(strings.Join(rest[1:], " ")+"\n"), 0o644))
	case "cat":
		data, err := os.ReadFile(rest[0])
		check(err)
		_, _ = os.Stdout.Write(data)
	case "modes":
		for _, path := range rest {
			info, err := os.Stat(path)
			check(err)
			_, err = os.ReadFile(path)
			check(err)
			fmt.Println(info.Mode(), info.Sys().(*syscall.Stat_t).Uid, path)
		}
	case "env":
		dir, _ := os.Getwd()
		fmt.Println(dir, os.Getenv(rest[0]))
	case "lines":
		n, _ := strconv.Atoi(rest[0])
		for i := range n {
			fmt.Println("line", i, strings.Repeat("x", i%200))
		}
	case "wait":
		fmt.Println("waiting")
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, syscall.SIGTERM)
		<-signals
		fmt.Println("told to stop")
		os.Exit(7)
	case "await":
		fmt.Println("awaiting", rest[0])
		for {
			if _, err := os.Stat(rest[0]); err == nil {
				return
			}
		}
	default:
		fmt.Println("what is", verb)
		os.Exit(2)
	}
}

func check(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}
