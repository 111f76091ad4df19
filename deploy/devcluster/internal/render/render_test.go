// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package render_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	kubeproxyv1alpha1 "k8s.io/kube-proxy/config/v1alpha1"
	kubeschedulerv1 "k8s.io/kube-scheduler/config/v1"
	kubeletv1beta1 "k8s.io/kubelet/config/v1beta1"
	"sigs.k8s.io/yaml"

	"fairlead.dev/deploy/devcluster/internal/render"
	"fairlead.dev/deploy/devcluster/internal/topology"
)

var paths = topology.Paths{State: "/state"}

func files(t *testing.T, machine render.Machine) map[string]string {
	t.Helper()
	rendered, err := render.Files(paths, machine)
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]string, len(rendered))
	for path, content := range rendered {
		out[path] = string(content)
	}
	return out
}

func TestKubernetesFilesHaveNoUnknownFields(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		into   any
	}{
		"kubelet.yaml":   {"a field the kubelet does not know keeps it from starting", &kubeletv1beta1.KubeletConfiguration{}},
		"proxy.yaml":     {"the proxy is strict too", &kubeproxyv1alpha1.KubeProxyConfiguration{}},
		"scheduler.yaml": {"and so is the scheduler", &kubeschedulerv1.KubeSchedulerConfiguration{}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			content := files(t, render.Machine{})[paths.Config(name)]
			if err := yaml.UnmarshalStrict([]byte(content), tc.into); err != nil {
				t.Errorf("%s: %v\n%s", tc.reason, err, content)
			}
		})
	}
}

func TestMachineChangesFiles(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason  string
		machine render.Machine
		file    string
		want    []string
		not     []string
	}{
		"RestrictedOOM": {
			"runc fails where root may not lower an OOM score",
			render.Machine{RestrictOOMScore: true}, "containerd.toml",
			[]string{"restrict_oom_score_adj = true"}, nil,
		},
		"FreeOOM": {
			"pods keep their classes' scores where that is possible",
			render.Machine{}, "containerd.toml",
			[]string{"restrict_oom_score_adj = false"}, nil,
		},
		"Upstream": {
			"names outside go to the host's resolvers",
			render.Machine{Upstream: "/etc/resolv.conf"}, "Corefile",
			[]string{"forward . /etc/resolv.conf"}, []string{"NXDOMAIN"},
		},
		"NoUpstream": {
			"without resolvers the answer comes at once",
			render.Machine{}, "Corefile",
			[]string{"rcode NXDOMAIN"}, []string{"forward"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			content := files(t, tc.machine)[paths.Config(tc.file)]
			for _, want := range tc.want {
				if !strings.Contains(content, want) {
					t.Errorf("%q is not in %s: %s", want, tc.file, tc.reason)
				}
			}
			for _, not := range tc.not {
				if strings.Contains(content, not) {
					t.Errorf("%q is in %s: %s", not, tc.file, tc.reason)
				}
			}
		})
	}
}

func TestCNINetworkIsOurs(t *testing.T) {
	t.Parallel()
	var got struct {
		Name    string `json:"name"`
		Plugins []struct {
			Bridge string `json:"bridge"`
			IPMasq bool   `json:"ipMasq"`
		} `json:"plugins"`
	}
	content := files(t, render.Machine{})[paths.Config("cni", "10-fairlead.conflist")]
	if err := json.Unmarshal([]byte(content), &got); err != nil {
		t.Fatal(err)
	}
	if got.Name != topology.Marker || got.Plugins[0].Bridge != topology.Bridge || got.Plugins[0].IPMasq {
		t.Errorf("cleaning up relies on the name %q, the bridge and our own masquerading: %+v", topology.Marker, got)
	}
}

func TestRegistryIsKnownToContainerdByName(t *testing.T) {
	t.Parallel()
	got := files(t, render.Machine{})
	hosts, found := got["/state/config/certs.d/registry.fairlead.local:24500/hosts.toml"]
	if !found || !strings.Contains(hosts, `server = "http://registry.fairlead.local:24500"`) {
		t.Errorf("hosts.toml = %q", hosts)
	}
	if diff := cmp.Diff("registry.fairlead.local:24500\n", got["/state/registry"]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestArgsNameExistingFiles(t *testing.T) {
	t.Parallel()
	rendered := files(t, render.Machine{})
	for _, component := range render.Components() {
		args := render.Args(paths, component)
		if len(args) == 0 {
			t.Errorf("%s has no arguments", component)
		}
		for _, arg := range args {
			path := arg[strings.IndexByte(arg, '=')+1:]
			if !strings.HasPrefix(path, "/state/config/") || strings.HasSuffix(path, ".kubeconfig") {
				continue
			}
			if _, found := rendered[path]; !found {
				t.Errorf("%s reads %s, which is not rendered", component, path)
			}
		}
	}
	if slices.Index(render.Components(), render.Etcd) > slices.Index(render.Components(), render.APIServer) {
		t.Error("down stops in reverse order: the API server would lose etcd first")
	}
}

func TestUpstream(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "resolv.conf")
	cases := []struct {
		reason  string
		content string
		want    string
	}{
		{"a server is named", "search x\nnameserver 192.0.2.1\n", path},
		{"none is named", "search x\n# nameserver 192.0.2.1\n", ""},
		{"a line is cut", "nameserver\n", ""},
	}
	if got := render.Upstream(path); got != "" {
		t.Errorf("Upstream of no file = %q", got)
	}
	for _, tc := range cases {
		if err := os.WriteFile(path, []byte(tc.content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := render.Upstream(path); got != tc.want {
			t.Errorf("Upstream(%q) = %q, want %q: %s", tc.content, got, tc.want, tc.reason)
		}
	}
}
