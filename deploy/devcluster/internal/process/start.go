// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

const pollInterval = 20 * time.Millisecond

// maxLogBytes is the size past which a log is set aside when its program
// starts again. One older log is kept.
const maxLogBytes = 64 << 20

// Spec is a program to start.
type Spec struct {
	Name string
	Path string
	// Args are all arguments, the program's name (argv[0]) first.
	Args []string
	// Env is added to this process's own.
	Env     []string
	LogFile string
}

// Running is a started program.
type Running struct {
	Record Record
	// Exited is closed when the program ends, which this process sees only
	// while it lives itself.
	Exited <-chan struct{}
}

// Start runs a program in a session of its own, so that it outlives the
// caller and its terminal. Placed is called with the new process's id before
// the record is stored.
func (s Store) Start(spec Spec, placed func(pid int) error) (*Running, error) {
	logFile, err := openLog(spec.LogFile)
	if err != nil {
		return nil, err
	}
	defer logFile.Close()
	cmd := &exec.Cmd{
		Path:        spec.Path,
		Args:        spec.Args,
		Env:         append(os.Environ(), spec.Env...),
		Dir:         "/",
		Stdout:      logFile,
		Stderr:      logFile,
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Name, err)
	}
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_ = cmd.Wait() // How it ended is in its log.
	}()
	record, err := newRecord(cmd.Process.Pid)
	if err == nil {
		err = errors.Join(placed(record.PID), s.Put(spec.Name, record))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("record %s (what it said is in %s): %w", spec.Name, spec.LogFile, err), cmd.Process.Kill())
	}
	return &Running{Record: record, Exited: exited}, nil
}

func openLog(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, err
	}
	if info, err := os.Stat(path); err == nil && info.Size() > maxLogBytes {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, err
		}
	}
	return os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
}

// Stop ends the process recorded under name: SIGTERM, and SIGKILL once grace
// has passed. It forgets the record. A process that is gone is no error.
func (s Store) Stop(ctx context.Context, name string, grace time.Duration) error {
	record := s.Get(name)
	if record.Alive() {
		if err := signal(record, syscall.SIGTERM); err != nil {
			return err
		}
		if waitGone(ctx, record, grace) != nil {
			if err := signal(record, syscall.SIGKILL); err != nil {
				return err
			}
			if err := waitGone(ctx, record, grace); err != nil {
				return fmt.Errorf("%s (pid %d) does not end: %w", name, record.PID, err)
			}
		}
	}
	return s.Delete(name)
}

func waitGone(ctx context.Context, record Record, limit time.Duration) error {
	return wait.PollUntilContextTimeout(ctx, pollInterval, limit, true, func(context.Context) (bool, error) {
		return !record.Alive(), nil
	})
}

// signal uses a pidfd, taken before the record is checked again: from then on
// the id cannot come to mean another process.
func signal(record Record, sig syscall.Signal) error {
	proc, err := os.FindProcess(record.PID)
	if err != nil {
		return err
	}
	defer func() { _ = proc.Release() }()
	if !record.Alive() {
		return nil
	}
	if err := proc.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal pid %d: %w", record.PID, err)
	}
	return nil
}
