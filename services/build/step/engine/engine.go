// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package engine runs one step of a build: it waits until the step before has ended well, runs the user's command, and
// tells the step after how it went.
//
// Steps tell each other through a folder that all of them mount. Step 3 makes the file `3` there as soon as it has
// started, and holds a lock on it for as long as it lives, whatever ends it; `3.exit` holds its exit code. The step after
// waits for the file, then for the lock, then reads the exit code: none there means that the step was killed.
package engine

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"fairlead.dev/services/build/step/contract"
)

// Config says what one step does.
type Config struct {
	// Dir is the folder that all steps share.
	Dir string
	// Index is the step's place in the order, from 0.
	Index int
	// WorkingDir is where the command runs; where the process does by default. It is entered when the step's turn has come,
	// since the source may bring it.
	WorkingDir string
	// Command is what to run, with its arguments.
	Command []string
	// PlatformCommands holds, for images whose entrypoint differs by platform, the entrypoint for each one, such as
	// `linux/amd64`. It goes before Command.
	PlatformCommands map[string][]string
	// TerminationLog is where to say why the command did not run.
	TerminationLog string
	// Prepare, where there is one, is called when the step's turn has come.
	Prepare func()
	// Signals are passed on to the command.
	Signals <-chan os.Signal
}

// Run runs the step, and returns the exit code with which the process is to end.
func Run(cfg Config) int {
	self, err := enter(cfg.Dir, cfg.Index)
	if err != nil {
		return fail(cfg, nil, contract.ExitCannotStart, contract.ReasonCannotStart, err.Error())
	}
	defer self.leave()
	if cfg.Index > 0 {
		ended := make(chan result, 1)
		go func() { ended <- await(cfg.Dir, cfg.Index-1) }()
		for waiting := true; waiting; {
			select {
			case r := <-ended:
				if r.err != nil {
					return fail(cfg, self, contract.ExitCannotStart, contract.ReasonCannotStart, r.err.Error())
				}
				if r.code != 0 {
					return fail(cfg, self, contract.ExitSkipped, contract.ReasonSkipped, "an earlier step failed")
				}
				waiting = false
			case s := <-cfg.Signals:
				if code, fatal := fatalSignal(s); fatal {
					return fail(cfg, self, code, contract.ReasonSkipped, "stopped before it began")
				}
			}
		}
	}
	if cfg.Prepare != nil {
		cfg.Prepare()
	}
	if cfg.WorkingDir != "" {
		if err := os.Chdir(cfg.WorkingDir); err != nil {
			return fail(cfg, self, contract.ExitCannotStart, contract.ReasonCannotStart, "working directory: "+err.Error())
		}
	}
	path, argv, err := command(cfg)
	if err != nil {
		return fail(cfg, self, contract.ExitNotFound, contract.ReasonCommandNotFound, err.Error())
	}
	code, err := execute(path, argv, cfg.Signals)
	if err != nil {
		return fail(cfg, self, contract.ExitCannotStart, contract.ReasonCannotStart, err.Error())
	}
	if err := self.exit(code); err != nil {
		fmt.Fprintln(os.Stderr, "fairlead:", err)
	}
	return code
}

// fail ends a step whose command has not run. Only what a person can act on is printed into the step's log.
func fail(cfg Config, self *place, code int, reason, message string) int {
	if reason != contract.ReasonSkipped {
		fmt.Fprintln(os.Stderr, "fairlead:", message)
	}
	if cfg.TerminationLog != "" {
		if err := (contract.Message{Reason: reason, Message: message}).Write(cfg.TerminationLog); err != nil {
			fmt.Fprintln(os.Stderr, "fairlead:", err)
		}
	}
	if self != nil {
		if err := self.exit(code); err != nil {
			fmt.Fprintln(os.Stderr, "fairlead:", err)
		}
	}
	return code
}

func command(cfg Config) (path string, argv []string, err error) {
	argv = cfg.Command
	if len(cfg.PlatformCommands) > 0 {
		platform := runtime.GOOS + "/" + runtime.GOARCH
		entrypoint, ok := cfg.PlatformCommands[platform]
		if !ok {
			return "", nil, fmt.Errorf("the image is not made for %s", platform)
		}
		argv = append(append([]string{}, entrypoint...), argv...)
	}
	if len(argv) == 0 || argv[0] == "" {
		return "", nil, errors.New("there is no command: give the step a `command`, or its image an ENTRYPOINT")
	}
	path, err = exec.LookPath(argv[0])
	if err != nil && !errors.Is(err, exec.ErrDot) {
		if strings.ContainsRune(argv[0], filepath.Separator) {
			return "", nil, fmt.Errorf("command %q is not in the image, or not executable", argv[0])
		}
		return "", nil, fmt.Errorf("command %q is in no folder of the image's PATH (%s)", argv[0], os.Getenv("PATH"))
	}
	return path, argv, nil
}

// execute runs the command in a process group of its own, and reaps whatever is orphaned meanwhile, since the step binary
// is the first process of its container.
func execute(path string, argv []string, signals <-chan os.Signal) (code int, err error) {
	pid, err := syscall.ForkExec(path, argv, &syscall.ProcAttr{
		Env:   os.Environ(),
		Files: []uintptr{0, 1, 2},
		Sys:   &syscall.SysProcAttr{Setpgid: true},
	})
	if err != nil {
		return 0, fmt.Errorf("command %q does not start: %w", argv[0], startError(err))
	}
	done := make(chan struct{})
	defer close(done)
	go func() {
		for {
			select {
			case s := <-signals:
				if n, ok := s.(unix.Signal); ok {
					_ = unix.Kill(-pid, n) // the group may be gone already
				}
			case <-done:
				return
			}
		}
	}()
	for {
		var status unix.WaitStatus
		got, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return 0, fmt.Errorf("wait for %q: %w", argv[0], err)
		case got != pid:
			continue
		case status.Exited():
			return status.ExitStatus(), nil
		case status.Signaled():
			return 128 + int(status.Signal()), nil
		}
	}
}

func startError(err error) error {
	switch {
	case errors.Is(err, unix.ENOEXEC):
		return fmt.Errorf("%w: it is made for another platform, or a script without `#!`", err)
	case errors.Is(err, unix.ENOENT):
		return fmt.Errorf("%w: the interpreter that it names is not in the image", err)
	}
	return err
}

func fatalSignal(s os.Signal) (code int, fatal bool) {
	switch s {
	case unix.SIGTERM, unix.SIGINT, unix.SIGQUIT, unix.SIGHUP:
		return 128 + int(s.(unix.Signal)), true //nolint:forcetypeassert // compared with a unix.Signal above
	}
	return 0, false
}
