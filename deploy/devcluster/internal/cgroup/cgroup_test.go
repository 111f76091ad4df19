// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func hybrid(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for _, name := range []string{"cpuset", "memory", "pids", "unified"} {
		write(t, filepath.Join(root, name, "cgroup.procs"), "1\n")
	}
	write(t, filepath.Join(root, "cpuset", "cpuset.cpus"), "0-1\n")
	return root
}

func TestHierarchies(t *testing.T) {
	t.Parallel()
	root := hybrid(t)
	got, err := New(root, "x").hierarchies()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{filepath.Join(root, "cpuset"), filepath.Join(root, "memory"), filepath.Join(root, "pids"), filepath.Join(root, "unified")}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("v1 (-want +got):\n%s", diff)
	}

	unified := t.TempDir()
	write(t, filepath.Join(unified, "cgroup.controllers"), "cpu\n")
	got, err = New(unified, "x").hierarchies()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{unified}, got); diff != "" {
		t.Errorf("v2 (-want +got):\n%s", diff)
	}

	if _, err := New(t.TempDir(), "x").hierarchies(); err == nil {
		t.Error("no error without any hierarchy")
	}
}

func TestAddUsesOneHierarchyOnly(t *testing.T) {
	t.Parallel()
	root := hybrid(t)
	group := New(root, "x")
	if err := group.Create(); err != nil {
		t.Fatal(err)
	}
	if err := group.Add(4711); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "memory", "x", daemons, "cgroup.procs")); err == nil {
		t.Error("the daemon left its caller's memory limit")
	}
	got, err := group.Processes()
	if err != nil || !slices.Equal(got, []int{4711}) {
		t.Errorf("Processes() = %v, %v", got, err)
	}
}

func TestProcessesOfAllChildrenOnce(t *testing.T) {
	t.Parallel()
	root := hybrid(t)
	write(t, filepath.Join(root, "pids", "x", "kubepods", "pod1", "cgroup.procs"), "11\n0\n12\n")
	write(t, filepath.Join(root, "memory", "x", "kubepods", "pod1", "cgroup.procs"), "12\n13\n")
	write(t, filepath.Join(root, "memory", "y", "cgroup.procs"), "99\n")
	got, err := New(root, "x").Processes()
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	if diff := cmp.Diff([]int{11, 12, 13}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestInheritCPUSet(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	write(t, filepath.Join(root, "cpuset.cpus"), "0-1\n")
	write(t, filepath.Join(root, "x", "cpuset.cpus"), "\n")
	if err := inheritCPUSet(filepath.Join(root, "x")); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(root, "x", "cpuset.cpus"))
	if err != nil || string(got) != "0-1\n" {
		t.Errorf("cpuset.cpus = %q, %v", got, err)
	}
}
