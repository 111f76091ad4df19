// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cleanup takes away what a devcluster leaves outside of its state
// folder, whether it was stopped or killed.
package cleanup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"fairlead.dev/deploy/devcluster/internal/topology"
)

// Files takes away mounts, sockets and links. The cluster's processes must be
// gone.
func Files(_ context.Context, paths topology.Paths) error {
	return errors.Join(
		shimSockets(filepath.Join(topology.RunDir, "containerd")),
		unmountBelow(topology.RunDir, paths.State),
		cniResults("/var/lib/cni/results"),
		logLinks("/var/log/containers", paths.PodLogs()),
		devicePlugins("/var/lib/kubelet"),
		os.RemoveAll(topology.RunDir),
	)
}

// unmountBelow detaches all mounts below the folders, the latest first.
func unmountBelow(dirs ...string) error {
	raw, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	var errs []error
	for _, target := range mountsBelow(string(raw), dirs...) {
		if err := syscall.Unmount(target, syscall.MNT_DETACH); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOENT) {
			errs = append(errs, fmt.Errorf("unmount %s: %w", target, err))
		}
	}
	return errors.Join(errs...)
}

// mountsBelow reads mountinfo and returns the mount points below the folders,
// in the reverse of the order in which they were mounted.
func mountsBelow(mountinfo string, dirs ...string) []string {
	const pointField = 4
	var out []string
	for line := range strings.Lines(mountinfo) {
		fields := strings.Fields(line)
		if len(fields) <= pointField {
			continue
		}
		point := unescape(fields[pointField])
		for _, dir := range dirs {
			if strings.HasPrefix(point, dir+"/") {
				out = append([]string{point}, out...)
				break
			}
		}
	}
	return out
}

// unescape undoes the kernel's octal escapes.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace

// shimSockets removes the sockets of shims, which containerd keeps in one
// folder for all its instances: each task's folder names its own.
func shimSockets(state string) error {
	addresses, err := filepath.Glob(filepath.Join(state, "io.containerd.runtime.v2.task", "*", "*", "address"))
	if err != nil {
		return err
	}
	var errs []error
	for _, file := range addresses {
		raw, err := os.ReadFile(file)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, removeFile(strings.TrimPrefix(strings.TrimSpace(string(raw)), "unix://")))
	}
	removeEmpty("/run/containerd/s", "/run/containerd")
	return errors.Join(errs...)
}

// cniResults removes what the CNI library cached for pods of this cluster, the
// loopback network's results for the same pods too.
func cniResults(dir string) error {
	results, err := filepath.Glob(filepath.Join(dir, topology.Marker+"-*"))
	if err != nil {
		return err
	}
	var errs []error
	for _, path := range results {
		id := strings.TrimPrefix(filepath.Base(path), topology.Marker+"-")
		if cut := strings.LastIndexByte(id, '-'); cut > 0 {
			id = id[:cut]
		}
		errs = append(errs, removeFile(path), removeFile(filepath.Join(dir, "cni-loopback-"+id+"-lo")))
	}
	removeEmpty(dir, filepath.Dir(dir))
	return errors.Join(errs...)
}

// logLinks removes the links that the kubelet makes to logs in podLogs.
func logLinks(dir, podLogs string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var errs []error
	for _, entry := range entries {
		link := filepath.Join(dir, entry.Name())
		if target, err := os.Readlink(link); err == nil && strings.HasPrefix(target, podLogs+"/") {
			errs = append(errs, removeFile(link))
		}
	}
	removeEmpty(dir)
	return errors.Join(errs...)
}

// devicePlugins removes the one folder that the kubelet makes at a fixed path,
// unless another kubelet uses it.
func devicePlugins(kubelet string) error {
	dir := filepath.Join(kubelet, "device-plugins")
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if name := entry.Name(); name != "kubelet.sock" && name != "kubelet_internal_checkpoint" {
			return nil
		}
	}
	if others, err := os.ReadDir(kubelet); err != nil || len(others) > 1 {
		return err
	}
	err = errors.Join(
		removeFile(filepath.Join(dir, "kubelet.sock")),
		removeFile(filepath.Join(dir, "kubelet_internal_checkpoint")),
	)
	removeEmpty(dir, kubelet)
	return err
}

func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// removeEmpty removes folders that hold nothing; one that holds something is
// in use by others.
func removeEmpty(dirs ...string) {
	for _, dir := range dirs {
		_ = syscall.Rmdir(dir)
	}
}
