// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"
)

// killed is the result of a step that ended without a word.
const killed = 137

// place is a step's place in the order, held by a lock for as long as the process lives.
type place struct {
	path string
	file *os.File
}

// enter takes the step's place. Its file appears locked, so that nobody can see it unlocked before the step has ended.
func enter(dir string, index int) (*place, error) {
	path := filepath.Join(dir, strconv.Itoa(index))
	file, err := os.CreateTemp(dir, "new-")
	if err != nil {
		return nil, fmt.Errorf("take place %d in the order of steps: %w", index, err)
	}
	err = errors.Join(
		file.Chmod(0o644), // steps may run as different users
		flock(file, unix.LOCK_EX),
		os.Rename(file.Name(), path),
	)
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("take place %d in the order of steps: %w", index, err)
	}
	return &place{path: path, file: file}, nil
}

// exit tells the step after how this one ended.
func (p *place) exit(code int) error {
	next := p.path + ".new"
	if err := os.WriteFile(next, []byte(strconv.Itoa(code)), 0o644); err != nil {
		return fmt.Errorf("write the exit code: %w", err)
	}
	if err := os.Rename(next, p.path+".exit"); err != nil {
		return fmt.Errorf("write the exit code: %w", err)
	}
	return nil
}

func (p *place) leave() { _ = p.file.Close() }

type result struct {
	code int
	err  error
}

// await waits until the step at index has ended.
func await(dir string, index int) result {
	path := filepath.Join(dir, strconv.Itoa(index))
	if err := awaitFile(dir, path); err != nil {
		return result{err: fmt.Errorf("wait for the step before: %w", err)}
	}
	file, err := os.Open(path)
	if err != nil {
		return result{err: fmt.Errorf("wait for the step before: %w", err)}
	}
	defer func() { _ = file.Close() }()
	if err := flock(file, unix.LOCK_SH); err != nil {
		return result{err: fmt.Errorf("wait for the step before: %w", err)}
	}
	data, err := os.ReadFile(path + ".exit")
	if errors.Is(err, os.ErrNotExist) {
		return result{code: killed}
	}
	if err != nil {
		return result{err: fmt.Errorf("how the step before ended: %w", err)}
	}
	code, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		return result{err: fmt.Errorf("how the step before ended: %w", err)}
	}
	return result{code: code}
}

func awaitFile(dir, path string) error {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch %s: %w", dir, err)
	}
	defer func() { _ = watcher.Close() }()
	if err := watcher.Add(dir); err != nil {
		return fmt.Errorf("watch %s: %w", dir, err)
	}
	for {
		_, err := os.Stat(path)
		if err == nil {
			return nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("look for %s: %w", path, err)
		}
		select {
		case <-watcher.Events:
		case err := <-watcher.Errors:
			return fmt.Errorf("watch %s: %w", dir, err)
		}
	}
}

func flock(file *os.File, how int) error {
	for {
		err := unix.Flock(int(file.Fd()), how)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("lock %s: %w", file.Name(), err)
		}
		return nil
	}
}
