// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cgroup keeps all processes of a devcluster, its pods' too, in cgroups
// of one name, so that none is missed when the cluster ends. It knows cgroup
// v1 (and hybrid) as well as v2.
package cgroup

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// DefaultRoot is where cgroups are mounted.
const DefaultRoot = "/sys/fs/cgroup"

const (
	pollInterval = 20 * time.Millisecond
	killLimit    = 20 * time.Second
	// daemons is the leaf for the cluster's own programs: with cgroup v2 a
	// group that has children holds no processes itself.
	daemons = "daemons"
)

// Group is the cgroup of one name in every hierarchy.
type Group struct {
	root string
	name string
}

// New names the group; it is made by Create.
func New(root, name string) Group { return Group{root: root, name: name} }

// hierarchies are the folders in which the group lives: one with cgroup v2,
// one a controller with v1, and in hybrid mode `unified`, which runc uses too.
func (g Group) hierarchies() ([]string, error) {
	if _, err := os.Stat(filepath.Join(g.root, "cgroup.controllers")); err == nil {
		return []string{g.root}, nil
	}
	entries, err := os.ReadDir(g.root)
	if err != nil {
		return nil, fmt.Errorf("read %s, where cgroups should be mounted: %w", g.root, err)
	}
	var out []string
	for _, entry := range entries {
		dir := filepath.Join(g.root, entry.Name())
		// Joined controllers (cpu,cpuacct) are reachable by links as well.
		if !entry.IsDir() {
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, "cgroup.procs")); err == nil {
			out = append(out, dir)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no cgroup hierarchy below %s: mount one", g.root)
	}
	return out, nil
}

// Create makes the group.
func (g Group) Create() error {
	hierarchies, err := g.hierarchies()
	if err != nil {
		return err
	}
	for _, hierarchy := range hierarchies {
		for _, dir := range []string{filepath.Join(hierarchy, g.name), filepath.Join(hierarchy, g.name, daemons)} {
			if err := os.MkdirAll(dir, 0o750); err != nil {
				return fmt.Errorf("make the cgroup %s: %w", dir, err)
			}
			if err := inheritCPUSet(dir); err != nil {
				return err
			}
		}
	}
	return nil
}

// inheritCPUSet fills the two files without which a v1 cpuset takes no process.
func inheritCPUSet(dir string) error {
	for _, name := range []string{"cpuset.cpus", "cpuset.mems"} {
		own := filepath.Join(dir, name)
		have, err := os.ReadFile(own)
		if errors.Is(err, fs.ErrNotExist) || strings.TrimSpace(string(have)) != "" {
			continue
		}
		parent, err := os.ReadFile(filepath.Join(filepath.Dir(dir), name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if strings.TrimSpace(string(parent)) == "" {
			continue
		}
		if err := os.WriteFile(own, parent, 0o600); err != nil {
			return fmt.Errorf("set %s: %w", own, err)
		}
	}
	return nil
}

// tracking is the hierarchy in which the daemons are kept: only to find them,
// so with v1 just one, and their limits in all others stay the caller's.
func (g Group) tracking() (string, error) {
	hierarchies, err := g.hierarchies()
	if err != nil {
		return "", err
	}
	for _, hierarchy := range hierarchies {
		if filepath.Base(hierarchy) == "pids" {
			return hierarchy, nil
		}
	}
	return hierarchies[0], nil
}

// Add puts a process among the daemons. Its children follow it.
func (g Group) Add(pid int) error {
	hierarchy, err := g.tracking()
	if err != nil {
		return err
	}
	file := filepath.Join(hierarchy, g.name, daemons, "cgroup.procs")
	if err := os.WriteFile(file, []byte(strconv.Itoa(pid)), 0o600); err != nil {
		return fmt.Errorf("put process %d into its cgroup: %w", pid, err)
	}
	return nil
}

// Processes lists the group's processes, children's groups included.
func (g Group) Processes() ([]int, error) {
	hierarchies, err := g.hierarchies()
	if err != nil {
		return nil, err
	}
	seen := map[int]bool{}
	var out []int
	for _, hierarchy := range hierarchies {
		err := walk(filepath.Join(hierarchy, g.name), func(dir string) error {
			pids, err := readProcs(filepath.Join(dir, "cgroup.procs"))
			for _, pid := range pids {
				// Zero is a process of another pid namespace.
				if pid > 0 && !seen[pid] {
					seen[pid] = true
					out = append(out, pid)
				}
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Kill ends the group's processes: SIGTERM, and SIGKILL once grace has passed.
func (g Group) Kill(ctx context.Context, grace time.Duration) error {
	if grace > 0 {
		if gone, err := g.signalUntilGone(ctx, syscall.SIGTERM, grace, false); gone || err != nil {
			return err
		}
	}
	gone, err := g.signalUntilGone(ctx, syscall.SIGKILL, killLimit, true)
	if err == nil && !gone {
		pids, _ := g.Processes()
		return fmt.Errorf("processes %v do not end: see what holds them in /proc/PID/stack", pids)
	}
	return err
}

func (g Group) signalUntilGone(ctx context.Context, sig syscall.Signal, limit time.Duration, again bool) (bool, error) {
	first := true
	err := wait.PollUntilContextTimeout(ctx, pollInterval, limit, true, func(context.Context) (bool, error) {
		pids, err := g.Processes()
		if err != nil || len(pids) == 0 {
			return err == nil, err
		}
		if first || again {
			for _, pid := range pids {
				if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
					return false, fmt.Errorf("signal pid %d: %w", pid, err)
				}
			}
		}
		first = false
		return false, nil
	})
	if wait.Interrupted(err) {
		return false, ctx.Err()
	}
	return err == nil, err
}

// Remove deletes the group, which must have no processes left.
func (g Group) Remove(ctx context.Context) error {
	hierarchies, err := g.hierarchies()
	if err != nil {
		return err
	}
	var errs []error
	for _, hierarchy := range hierarchies {
		var dirs []string
		if err := walk(filepath.Join(hierarchy, g.name), func(dir string) error {
			dirs = append(dirs, dir)
			return nil
		}); err != nil {
			errs = append(errs, err)
			continue
		}
		for _, dir := range slices.Backward(dirs) {
			errs = append(errs, removeDir(ctx, dir))
		}
	}
	return errors.Join(errs...)
}

// removeDir polls, since a group is busy for a moment after its last process.
func removeDir(ctx context.Context, dir string) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, pollInterval, 2*time.Second, true, func(context.Context) (bool, error) {
		last = syscall.Rmdir(dir)
		return last == nil || errors.Is(last, syscall.ENOENT), nil
	})
	if err != nil {
		return fmt.Errorf("remove the cgroup %s: %w", dir, last)
	}
	return nil
}

// walk calls visit for dir and all below it, parents first. Folders that go
// away meanwhile are passed over.
func walk(dir string, visit func(dir string) error) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !entry.IsDir() {
			return err
		}
		return visit(path)
	})
}

func readProcs(path string) ([]int, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var out []int
	scanner := bufio.NewScanner(file)
	for scanner.Scan() {
		pid, err := strconv.Atoi(strings.TrimSpace(scanner.Text()))
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		out = append(out, pid)
	}
	if err := scanner.Err(); err != nil && !errors.Is(err, syscall.ENODEV) {
		return nil, err
	}
	return out, nil
}
