// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cleanup

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fairlead.dev/deploy/devcluster/internal/topology"
)

func TestMountsBelow(t *testing.T) {
	t.Parallel()
	const mountinfo = `22 1 254:0 / / rw - ext4 /dev/vda rw
30 22 0:30 / /run/x/containerd/a/rootfs rw - overlay overlay rw
31 22 0:4 net:[1] /run/x/netns/cni-1 rw - nsfs nsfs rw
32 22 0:31 / /state/with\040blank/kubelet/pods/1 rw - tmpfs tmpfs rw
33 22 0:32 / /run/xy/other rw - tmpfs tmpfs rw
34 32 0:33 / /state/with\040blank/kubelet/pods/1/sub rw - tmpfs tmpfs rw
cut
`
	want := []string{
		"/state/with blank/kubelet/pods/1/sub",
		"/state/with blank/kubelet/pods/1",
		"/run/x/netns/cni-1",
		"/run/x/containerd/a/rootfs",
	}
	if diff := cmp.Diff(want, mountsBelow(mountinfo, "/run/x", "/state/with blank")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	out := make([]string, 0, len(entries))
	for _, entry := range entries {
		out = append(out, entry.Name())
	}
	return out
}

func TestCNIResultsKeepsThoseOfOthers(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "cni", "results")
	for _, name := range []string{
		topology.Marker + "-abc-eth0", "cni-loopback-abc-lo", "cni-loopback-def-lo", "other-def-eth0",
	} {
		write(t, filepath.Join(dir, name), "{}")
	}
	if err := cniResults(dir); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"cni-loopback-def-lo", "other-def-eth0"}, names(t, dir)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestShimSocketsRemovesNamedOnes(t *testing.T) {
	t.Parallel()
	state, sockets := t.TempDir(), t.TempDir()
	own, other := filepath.Join(sockets, "own"), filepath.Join(sockets, "other")
	write(t, own, "")
	write(t, other, "")
	write(t, filepath.Join(state, "io.containerd.runtime.v2.task", "k8s.io", "1", "address"), "unix://"+own+"\n")
	if err := shimSockets(state); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"other"}, names(t, sockets)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLogLinks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, target := range map[string]string{"own.log": "/state/pod-logs/a/0.log", "other.log": "/var/log/pods/a/0.log"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := logLinks(dir, "/state/pod-logs"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"other.log"}, names(t, dir)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDevicePlugins(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		files  []string
		kept   bool
	}{
		"Ours":          {"the kubelet's own files go", []string{"device-plugins/kubelet.sock", "device-plugins/kubelet_internal_checkpoint"}, false},
		"OtherKubelet":  {"a kubelet that lives there keeps all", []string{"device-plugins/kubelet.sock", "config.yaml"}, true},
		"DevicePlugin":  {"a plugin's socket is not ours", []string{"device-plugins/gpu.sock"}, true},
		"NeverWasThere": {"nothing to do", nil, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kubelet := filepath.Join(t.TempDir(), "kubelet")
			for _, file := range tc.files {
				write(t, filepath.Join(kubelet, file), "")
			}
			if err := devicePlugins(kubelet); err != nil {
				t.Fatal(err)
			}
			if got := len(names(t, kubelet)) > 0; got != tc.kept {
				t.Errorf("kept = %v, want %v: %s", got, tc.kept, tc.reason)
			}
		})
	}
}
