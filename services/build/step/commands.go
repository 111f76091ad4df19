// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"fairlead.dev/services/build/step/contract"
	"fairlead.dev/services/build/step/credentials"
	"fairlead.dev/services/build/step/engine"
	"fairlead.dev/services/build/step/git"
	"fairlead.dev/services/build/step/install"
)

func list(flags *flag.FlagSet, name, usage string) *[]string {
	var values []string
	flags.Func(name, usage, func(v string) error {
		values = append(values, v)
		return nil
	})
	return &values
}

func installCommand(args []string) int {
	flags := flag.NewFlagSet("install", flag.ExitOnError)
	to := flags.String("to", contract.Binary, "where the binary goes")
	home := flags.String("home", contract.Home, "home of the steps")
	log := flags.String("termination-log", contract.TerminationLog, "where to say what went wrong")
	gits := list(flags, "git", "FOLDER=PLACE of credentials for git")
	registries := list(flags, "docker", "FOLDER=PLACE of credentials for a registry")
	configs := list(flags, "docker-config", "file in the form of docker's config.json or .dockercfg")
	keep := flags.String("credentials", contract.CredentialsDir, "where what is rendered of them goes")
	source := flags.String("source", "", "the repository that will be fetched")
	_ = flags.Parse(args)

	if err := os.Chmod(*home, 0o777); err != nil { //nolint:gosec // steps run as any user
		return report(*log, contract.ReasonCannotStart, err)
	}
	warning, err := prepareCredentials(*keep, *home, *source, *gits, *registries, *configs)
	if err != nil {
		return report(*log, contract.ReasonCredentials, err)
	}
	if err := install.Binary(*to); err != nil {
		return report(*log, contract.ReasonCannotStart, err)
	}
	if warning != "" {
		_ = report(*log, contract.ReasonCredentialsUnused, errors.New(warning)) // it stops nobody
	}
	return 0
}

// prepareCredentials renders the Secrets. What cannot be used is a fault only where the source cannot do without; else it
// is the warning.
func prepareCredentials(keep, home, source string, gits, registries, configs []string) (warning string, err error) {
	shared := credentials.Home{Dir: home, DockerConfigs: configs}
	var faults []credentials.Fault
	shared.Git, faults = credentials.Load(gits)
	docker, more := credentials.Load(registries)
	shared.Docker = docker
	files, unread := shared.Files()
	faults = slices.Concat(faults, more, unread)
	if err := credentials.Missing(shared.Git, faults, source); err != nil {
		return "", err //nolint:wrapcheck // a sentence for people
	}
	if len(files) > 0 {
		if err := credentials.Keep(keep, files); err != nil {
			return "", err //nolint:wrapcheck // names itself
		}
		if err := deliver(keep, home); err != nil {
			return "", err
		}
	}
	var texts []string
	for _, f := range faults {
		if !slices.Contains(texts, f.String()) {
			texts = append(texts, f.String())
		}
	}
	return strings.Join(texts, "; "), nil
}

// deliver brings the credentials into the home of whoever runs this.
func deliver(from, home string) error {
	env, err := credentials.Delivery{From: from, Home: home, Shared: contract.Home, Passwd: "/etc/passwd"}.Deliver()
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		err = errors.Join(err, os.Setenv(name, value))
	}
	return err //nolint:wrapcheck // names itself
}

func runCommand(args []string, signals <-chan os.Signal) int {
	flags := flag.NewFlagSet("run", flag.ExitOnError)
	dir := flags.String("dir", contract.RunDir, "folder that the steps share")
	index := flags.Int("index", 0, "place in the order of steps")
	log := flags.String("termination-log", contract.TerminationLog, "where to say why the command did not run")
	workingDir := flags.String("working-dir", "", "where the command runs")
	from := flags.String("credentials", "", "folder of the credentials for the step's home; none by default")
	platforms := flags.String("platform-commands", "", "entrypoint for each platform, as JSON")
	_ = flags.Parse(args)

	cfg := engine.Config{Dir: *dir, Index: *index, WorkingDir: *workingDir, Command: flags.Args(), TerminationLog: *log, Signals: signals}
	if *platforms != "" {
		if err := json.Unmarshal([]byte(*platforms), &cfg.PlatformCommands); err != nil {
			return report(*log, contract.ReasonCannotStart, fmt.Errorf("platform-commands: %w", err))
		}
	}
	if *from != "" {
		cfg.Prepare = func() {
			if err := deliver(*from, os.Getenv("HOME")); err != nil {
				fmt.Fprintln(os.Stderr, "fairlead:", err)
			}
		}
	}
	return engine.Run(cfg)
}

func gitCommand(args []string, signals <-chan os.Signal) int {
	flags := flag.NewFlagSet("git", flag.ExitOnError)
	source := git.Source{Log: os.Stderr, Tries: 4, RetryAfter: time.Second}
	flags.StringVar(&source.URL, "url", "", "the repository")
	flags.StringVar(&source.Revision, "revision", "", "branch, tag, reference or commit")
	flags.StringVar(&source.SubPath, "sub-path", "", "folder that must be there")
	flags.StringVar(&source.Dir, "dir", contract.Workspace, "where the files go")
	log := flags.String("termination-log", contract.TerminationLog, "where to say how it went")
	mounts := list(flags, "git", "FOLDER=PLACE of credentials")
	_ = flags.Parse(args)

	syscall.Umask(0) // steps run as any user
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		<-signals
		cancel()
	}()
	source.Credentials, source.Faults = credentials.Load(*mounts)
	source.KnownHosts = []string{filepath.Join(contract.CredentialsDir, credentials.KnownHosts), filepath.Join(contract.Home, credentials.KnownHosts)}
	began := time.Now()
	commit, err := git.Fetch(ctx, source)
	if err != nil {
		reason := contract.ReasonSourceFailed
		if e, ok := errors.AsType[*git.Error](err); ok {
			reason = e.Reason
		}
		return report(*log, reason, err)
	}
	fmt.Fprintf(os.Stderr, "fetched %s at %s in %s\n", source.Revision, commit, time.Since(began).Round(time.Millisecond))
	if err := (contract.Message{Reason: contract.ReasonSourceReady, Commit: commit}).Write(*log); err != nil {
		fmt.Fprintln(os.Stderr, "fairlead:", err)
	}
	return 0
}

// report says what went wrong to the log and to Kubernetes.
func report(log, reason string, err error) int {
	fmt.Fprintln(os.Stderr, "fairlead:", err)
	if err := (contract.Message{Reason: reason, Message: err.Error()}).Write(log); err != nil {
		fmt.Fprintln(os.Stderr, "fairlead:", err)
	}
	return 1
}
