// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package pod_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/yaml"

	"fairlead.dev/services/build/pod"
)

var update = flag.Bool("update", false, "write testdata anew") //nolint:gochecknoglobals // a flag

func list(cpu, memory string) corev1.ResourceList {
	out := corev1.ResourceList{}
	if cpu != "" {
		out[corev1.ResourceCPU] = resource.MustParse(cpu)
	}
	if memory != "" {
		out[corev1.ResourceMemory] = resource.MustParse(memory)
	}
	return out
}

func TestRender(t *testing.T) {
	base := pod.Spec{Namespace: "shop", Name: "app-pod-1a2b3c", StepImage: "registry.example/fairlead/step:v1", Deadline: 10*time.Minute + 30*time.Second}
	for _, c := range []struct {
		name, reason string
		spec         func(*pod.Spec)
	}{
		{"plain", "two steps that name their commands", func(s *pod.Spec) {
			s.Labels = map[string]string{"a": "b"}
			s.Steps = []corev1.Container{
				{Name: "one", Image: "alpine", Command: []string{"sh", "-c"}, Args: []string{"echo $(HOME)"}},
				{
					Name: "two", Image: "alpine", Command: []string{"./run"}, WorkingDir: "tools", TerminationMessagePath: "/tmp/end",
					Env:          []corev1.EnvVar{{Name: "HOME", Value: "/root"}},
					VolumeMounts: []corev1.VolumeMount{{Name: "cache", MountPath: "/cache"}},
				},
			}
			s.Volumes = []corev1.Volume{{Name: "cache", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
			s.InsecureRegistries = []string{"registry.local:5000"}
			s.NodeSelector = map[string]string{"disk": "ssd"}
		}},
		{"source", "a folder of a repository, with credentials", func(s *pod.Spec) {
			s.Git = &pod.Git{URL: "https://git.example/a.git", Revision: "main", SubPath: "./apps/shop/"}
			s.ServiceAccount = "builder"
			s.Credentials = []pod.Credential{
				{Secret: "github", Use: pod.ForGit, Place: "https://github.com"},
				{Secret: "both", Use: pod.ForDocker, Place: "https://registry.example"},
				{Secret: "both", Use: pod.ForGit, Place: "git.example"},
				{Secret: "config", Use: pod.ForDockerConfig},
			}
			s.Steps = []corev1.Container{{Name: "one", Image: "alpine", Command: []string{"true"}}}
		}},
		{"entrypoints", "images that say what they run, one of them differently by platform", func(s *pod.Spec) {
			s.Steps = []corev1.Container{
				{Name: "own", Image: "tool"},
				{Name: "args", Image: "tool", Args: []string{"--to", "$(TARGET)"}},
				{Name: "both", Image: "many", Args: []string{"x"}},
			}
			same := pod.Command{Entrypoint: []string{"/tool", "$(NOT_A_VARIABLE)"}, Cmd: []string{"--help"}}
			tool := pod.Entrypoint{Image: "tool@sha256:1", Platforms: map[string]pod.Command{"linux/amd64": same, "linux/arm64": same}}
			s.Entrypoints = map[string]pod.Entrypoint{
				"own": tool, "args": tool,
				"both": {Image: "many@sha256:2", Platforms: map[string]pod.Command{
					"linux/amd64": {Entrypoint: []string{"/amd64"}}, "linux/arm64": {Entrypoint: []string{"/arm64"}},
				}},
			}
		}},
		{"resources", "the largest request of each resource counts", func(s *pod.Spec) {
			s.Steps = []corev1.Container{
				{Name: "none", Image: "a", Command: []string{"a"}},
				{Name: "cpu", Image: "a", Command: []string{"a"}, Resources: corev1.ResourceRequirements{Requests: list("2", "64Mi")}},
				{Name: "memory", Image: "a", Command: []string{"a"}, Resources: corev1.ResourceRequirements{Limits: list("1", "1Gi")}},
				{Name: "small", Image: "a", Command: []string{"a"}, Resources: corev1.ResourceRequirements{Requests: list("100m", ""), Limits: list("", "128Mi")}},
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := base
			c.spec(&s)
			got, err := yaml.Marshal(pod.Render(s))
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", c.name+".yaml")
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
			if again, err := yaml.Marshal(pod.Render(s)); err != nil || string(again) != string(got) {
				t.Errorf("the same spec gives another pod: %v", err)
			}
		})
	}
}
