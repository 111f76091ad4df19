// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package debian installs the programs that a devcluster takes from the
// distribution: containerd, runc, the CNI plugins and network tools.
package debian

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"sort"
	"strings"
)

// CNIPlugins is where Debian keeps the CNI plugins.
const CNIPlugins = "/usr/lib/cni"

// needed maps a file that must be there to the package that brings it.
var needed = map[string]string{
	"/usr/bin/containerd":              "containerd",
	"/usr/bin/ctr":                     "containerd",
	"/usr/bin/containerd-shim-runc-v2": "containerd",
	"/usr/sbin/runc":                   "runc",
	CNIPlugins + "/bridge":             "containernetworking-plugins",
	CNIPlugins + "/portmap":            "containernetworking-plugins",
	"/usr/sbin/iptables":               "iptables",
	"/usr/sbin/nft":                    "nftables",
	"/usr/sbin/conntrack":              "conntrack",
	"/usr/sbin/ethtool":                "ethtool",
	"/usr/bin/socat":                   "socat",
}

// Missing lists the packages whose files are not all there, sorted.
func Missing() []string {
	return missing(func(path string) bool {
		_, err := os.Stat(path)
		return !errors.Is(err, fs.ErrNotExist)
	})
}

func missing(exists func(path string) bool) []string {
	set := map[string]bool{}
	for path, pkg := range needed {
		if !exists(path) {
			set[pkg] = true
		}
	}
	out := make([]string, 0, len(set))
	for pkg := range set {
		out = append(out, pkg)
	}
	sort.Strings(out)
	return out
}

// Install fetches packages. The containerd that Debian would start is held
// back while they are unpacked: a devcluster runs its own.
func Install(ctx context.Context, packages []string) error {
	if _, err := exec.LookPath("apt-get"); err != nil || os.Geteuid() != 0 {
		return fmt.Errorf("missing packages; run as root: %s", Command(packages))
	}
	if _, err := os.Stat("/run/systemd/system"); err == nil {
		if err := run(ctx, "systemctl", "mask", "--runtime", "containerd.service"); err != nil {
			return err
		}
		defer func() { _ = run(context.WithoutCancel(ctx), "systemctl", "unmask", "--runtime", "containerd.service") }()
	}
	if err := run(ctx, "apt-get", "update"); err != nil {
		return err
	}
	return run(ctx, "apt-get", append([]string{"install", "-y", "--no-install-recommends"}, packages...)...)
}

// Command is what a person would type.
func Command(packages []string) string {
	return "apt-get update && apt-get install --no-install-recommends " + strings.Join(packages, " ")
}

func run(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return nil
}
