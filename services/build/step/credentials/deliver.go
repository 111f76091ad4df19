// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Keep writes files to a folder from which every user of the pod can read them. It is the original from which each step's
// home gets its own.
func Keep(dir string, files Files) error {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return fmt.Errorf("credentials: %w", err)
		}
		if err := replace(file, []byte(files[name]), 0o644); err != nil {
			return fmt.Errorf("credentials: %w", err)
		}
	}
	return nil
}

// Delivery brings what Keep has kept into the home of whoever runs.
type Delivery struct {
	// From is the folder of Keep.
	From string
	// Home is $HOME.
	Home string
	// Shared is the home that all steps share; paths in the files lead there.
	Shared string
	// Passwd is /etc/passwd of the image: ssh takes the home from there and not from $HOME.
	Passwd string
}

// Deliver makes the files, with the owner and the modes that programs want. In the home that steps share, what a step
// before has changed stays, but for keys, which ssh wants to be the user's own; elsewhere files are made anew. It returns
// what the environment of the step needs beside them. A home that cannot be written is no fault of the step's, hence the
// errors are only to be told.
func (d Delivery) Deliver() (env []string, err error) {
	if d.Home == "" || !filepath.IsAbs(d.Home) {
		return nil, nil
	}
	var faults []error
	err = filepath.WalkDir(d.From, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, err := filepath.Rel(d.From, path)
		if err == nil {
			if err := d.file(name); err != nil {
				faults = append(faults, fmt.Errorf("%s: %w", filepath.Join(d.Home, name), cause(err)))
			}
		}
		return err //nolint:wrapcheck // wrapped below
	})
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		faults = append(faults, err)
	}
	if _, err := os.Stat(filepath.Join(d.Home, sshConfig)); err == nil {
		env = d.forSSH()
	}
	if err := errors.Join(faults...); err != nil {
		return env, fmt.Errorf("credentials are not in the step's home: %w", err)
	}
	return env, nil
}

// cause leaves out the path, which the caller has said.
func cause(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

func (d Delivery) file(name string) error {
	to := filepath.Join(d.Home, name)
	shared := filepath.Clean(d.Home) == filepath.Clean(d.Shared)
	isKey := strings.HasPrefix(name, sshKey)
	if shared {
		info, err := os.Stat(to)
		if err == nil && (!isKey || ownedBy(info, os.Geteuid())) {
			return nil
		}
	}
	data, err := os.ReadFile(filepath.Join(d.From, name))
	if err != nil {
		return err //nolint:wrapcheck // wrapped by the caller
	}
	dir, file := fs.FileMode(0o700), fs.FileMode(0o600)
	if shared && !isKey {
		file = 0o666
	}
	if shared {
		dir = 0o777
	}
	if name == sshConfig {
		// ssh refuses one that others may write, and takes one that is root's.
		file &= 0o644
		data = []byte(strings.ReplaceAll(string(data), `"`+d.Shared+"/", `"`+strings.ReplaceAll(d.Home, "%", "%%")+"/"))
	}
	if err := makeDir(filepath.Dir(to), d.Home, dir); err != nil {
		return err
	}
	return replace(to, data, file)
}

func makeDir(dir, home string, mode fs.FileMode) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if dir == filepath.Clean(home) {
		return os.MkdirAll(dir, 0o755) //nolint:wrapcheck // wrapped by the caller
	}
	if err := makeDir(filepath.Dir(dir), home, mode); err != nil {
		return err
	}
	if err := os.Mkdir(dir, mode); err != nil {
		return err //nolint:wrapcheck // wrapped by the caller
	}
	return os.Chmod(dir, mode) //nolint:wrapcheck // wrapped by the caller
}

// replace puts a file in place of another, whosever that is. It is there whole or not at all.
func replace(path string, data []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-")
	if err != nil {
		return err //nolint:wrapcheck // wrapped by the caller
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err //nolint:wrapcheck // wrapped by the caller
}

func ownedBy(info fs.FileInfo, uid int) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(s.Uid) == uid
}

// forSSH lets ssh find its configuration where the user's home is elsewhere than $HOME: by a link where there is none
// yet, or else by the command that git runs.
func (d Delivery) forSSH() []string {
	home := homeOf(d.Passwd, os.Geteuid())
	if filepath.Clean(home) == filepath.Clean(d.Home) {
		return nil
	}
	if home != "" && os.Symlink(filepath.Join(d.Home, ".ssh"), filepath.Join(home, ".ssh")) == nil {
		return nil
	}
	for _, set := range []string{"GIT_SSH", "GIT_SSH_COMMAND"} {
		if os.Getenv(set) != "" {
			return nil
		}
	}
	file := filepath.Join(d.Home, sshConfig)
	return []string{"GIT_SSH_COMMAND=ssh -F '" + strings.ReplaceAll(file, "'", `'\''`) + "'"}
}

// homeOf is a user's home by the system's list of users; empty where it does not say.
func homeOf(passwd string, uid int) string {
	const id, home = 2, 5
	f, err := os.Open(passwd)
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Split(lines.Text(), ":")
		if len(fields) > home && fields[id] == strconv.Itoa(uid) {
			return fields[home]
		}
	}
	return ""
}
