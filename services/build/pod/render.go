// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package pod makes the pods that run steps, and reads from a pod how its steps are doing. It knows Kubernetes' types
// only.
package pod

import (
	"encoding/json"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"fairlead.dev/services/build/step/contract"
)

// Names of what Fairlead adds to a pod.
const (
	// SourceStep is the name of the step that fetches the source, and of its container.
	SourceStep = "git-source"
	// ReservedVolumes is the beginning of the names of volumes that users' may not have.
	ReservedVolumes = "fairlead-"
	// EnvInsecureRegistries tells steps which registries speak plain HTTP, separated by commas.
	EnvInsecureRegistries = "FAIRLEAD_INSECURE_REGISTRIES"

	installContainer = "install"
	stepPrefix       = "step-"
	graceSeconds     = 10
)

// MaxStepName is the length of the longest step name: containers' names are DNS labels.
const MaxStepName = 63 - len(stepPrefix)

// Git is a revision of a repository to be put into /workspace.
type Git struct {
	// URL and Revision are as in the Build.
	URL, Revision string
	// SubPath is the folder that steps see as /workspace; empty is all.
	SubPath string
}

// Entrypoint is what an image runs by itself.
type Entrypoint struct {
	// Image is the image by digest, so that what was looked at is what runs.
	Image string
	// Platforms holds entrypoint and default arguments by platform, such as `linux/amd64`.
	Platforms map[string]Command
}

// Command is an image's ENTRYPOINT and CMD.
type Command struct {
	// Entrypoint is run, and Cmd are its arguments where a step has none of its own.
	Entrypoint, Cmd []string
}

// CredentialUse tells for what a Secret is.
type CredentialUse string

// What credentials are for.
const (
	// ForGit and ForDocker are for one place, ForDockerConfig and ForDockerCfg hold places in a Secret's .dockerconfigjson
	// or .dockercfg.
	ForGit          CredentialUse = "git"
	ForDocker       CredentialUse = "docker"
	ForDockerConfig CredentialUse = "dockerconfigjson"
	ForDockerCfg    CredentialUse = "dockercfg"
)

// Credential is a Secret that the pod may show to others.
type Credential struct {
	// Secret is the Secret's name.
	Secret string
	// Use tells for what it is.
	Use CredentialUse
	// Place is the URL or host for which it is, without what the annotation may hold beside that. None for
	// ForDockerConfig and ForDockerCfg.
	Place string
}

// Spec says what a pod is to run.
type Spec struct {
	// Namespace and Name are the pod's.
	Namespace, Name string
	// Labels and Annotations are the pod's.
	Labels, Annotations map[string]string
	// StepImage is the image of the step binary.
	StepImage string
	// Git is the source; nil for none.
	Git *Git
	// Steps run in order. Each has a name.
	Steps []corev1.Container
	// Entrypoints has, for a step without command, by its name, what its image runs.
	Entrypoints map[string]Entrypoint
	// Volumes are those that steps mount.
	Volumes []corev1.Volume
	// ServiceAccount is the pod's; empty is `default`.
	ServiceAccount string
	// Credentials are those of the service account.
	Credentials []Credential
	// ImagePullSecrets are those with which nodes pull; nil means those of the service account.
	ImagePullSecrets []corev1.LocalObjectReference
	// NodeSelector and Affinity place the pod.
	NodeSelector map[string]string
	Affinity     *corev1.Affinity
	// Deadline ends the pod even when nobody watches it.
	Deadline time.Duration
	// InsecureRegistries are told to steps.
	InsecureRegistries []string
}

// Render makes the pod. The same spec gives the same pod.
func Render(s Spec) *corev1.Pod {
	no := false
	deadline := int64(s.Deadline.Round(time.Second) / time.Second)
	grace := int64(graceSeconds)
	p := &corev1.Pod{
		TypeMeta: kmetav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: kmetav1.ObjectMeta{
			Namespace: s.Namespace, Name: s.Name, Labels: maps.Clone(s.Labels), Annotations: maps.Clone(s.Annotations),
		},
		Spec: corev1.PodSpec{
			RestartPolicy:                 corev1.RestartPolicyNever,
			ServiceAccountName:            s.ServiceAccount,
			ImagePullSecrets:              s.ImagePullSecrets,
			NodeSelector:                  s.NodeSelector,
			Affinity:                      s.Affinity,
			EnableServiceLinks:            &no,
			ActiveDeadlineSeconds:         &deadline,
			TerminationGracePeriodSeconds: &grace,
			Volumes:                       append(ownVolumes(s.Credentials), s.Volumes...),
			InitContainers:                []corev1.Container{s.install()},
		},
	}
	if s.Git != nil {
		p.Spec.Containers = append(p.Spec.Containers, s.source())
	}
	steps := make([]corev1.Container, len(s.Steps))
	for i := range s.Steps {
		steps[i] = s.step(len(p.Spec.Containers)+i, s.Steps[i])
	}
	share(steps)
	p.Spec.Containers = append(p.Spec.Containers, steps...)
	return p
}

// ContainerOf is the name of a step's container.
func ContainerOf(step string) string {
	if step == SourceStep {
		return SourceStep
	}
	return stepPrefix + step
}

const (
	volumeBin       = ReservedVolumes + "bin"
	volumeRun       = ReservedVolumes + "run"
	volumeWorkspace = ReservedVolumes + "workspace"
	volumeHome      = ReservedVolumes + "home"
	volumeSecret    = ReservedVolumes + "secret-"
	// volumeCredentials holds what is rendered of the Secrets, in memory.
	volumeCredentials = ReservedVolumes + "credentials"
)

func ownVolumes(credentials []Credential) []corev1.Volume {
	var out []corev1.Volume
	for _, name := range []string{volumeBin, volumeRun, volumeWorkspace, volumeHome} {
		out = append(out, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}})
	}
	if len(credentials) > 0 {
		out = append(out, corev1.Volume{
			Name:         volumeCredentials,
			VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory}},
		})
	}
	// A Secret that goes in the meantime must not keep the pod from starting: `step install` tells of it.
	optional := true
	for i, name := range secrets(credentials) {
		out = append(out, corev1.Volume{
			Name:         volumeSecret + strconv.Itoa(i),
			VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: name, Optional: &optional}},
		})
	}
	return out
}

// secrets are the names of the Secrets, each once.
func secrets(credentials []Credential) []string {
	names := make([]string, 0, len(credentials))
	for _, c := range credentials {
		if !slices.Contains(names, c.Secret) {
			names = append(names, c.Secret)
		}
	}
	return names
}

// secretMounts are what those containers of ours mount that read Secrets.
func secretMounts(credentials []Credential) []corev1.VolumeMount {
	var out []corev1.VolumeMount
	if len(credentials) > 0 {
		out = append(out, corev1.VolumeMount{Name: volumeCredentials, MountPath: contract.CredentialsDir})
	}
	for i, name := range secrets(credentials) {
		out = append(out, corev1.VolumeMount{Name: volumeSecret + strconv.Itoa(i), MountPath: path.Join(contract.SecretsDir, name), ReadOnly: true})
	}
	return out
}

func (s Spec) credentialArgs(uses ...CredentialUse) []string {
	var args []string
	for _, c := range s.Credentials {
		if !slices.Contains(uses, c.Use) {
			continue
		}
		dir := path.Join(contract.SecretsDir, c.Secret)
		switch c.Use {
		case ForDockerConfig:
			args = append(args, "--docker-config", path.Join(dir, corev1.DockerConfigJsonKey))
		case ForDockerCfg:
			args = append(args, "--docker-config", path.Join(dir, corev1.DockerConfigKey))
		case ForGit, ForDocker:
			args = append(args, "--"+string(c.Use), dir+"="+c.Place)
		}
	}
	return args
}

func (s Spec) install() corev1.Container {
	mounts := []corev1.VolumeMount{
		{Name: volumeBin, MountPath: contract.BinDir},
		{Name: volumeHome, MountPath: contract.Home},
	}
	args := s.credentialArgs(ForGit, ForDocker, ForDockerConfig, ForDockerCfg)
	if len(args) > 0 && s.Git != nil {
		args = append(args, "--source", s.Git.URL)
	}
	return corev1.Container{
		Name:         installContainer,
		Image:        s.StepImage,
		Command:      append([]string{contract.ImageBinary, "install"}, literal(args)...),
		VolumeMounts: append(mounts, secretMounts(s.Credentials)...),

		SecurityContext: modest(),
	}
}

func (s Spec) source() corev1.Container {
	git := []string{contract.ImageBinary, "git", "--url", s.Git.URL, "--revision", s.Git.Revision}
	if sub := cleanSubPath(s.Git.SubPath); sub != "" {
		git = append(git, "--sub-path", sub)
	}
	mounts := []corev1.VolumeMount{
		{Name: volumeRun, MountPath: contract.RunDir},
		{Name: volumeWorkspace, MountPath: contract.Workspace},
		{Name: volumeHome, MountPath: contract.Home},
	}
	return corev1.Container{
		Name:         SourceStep,
		Image:        s.StepImage,
		Command:      []string{contract.ImageBinary},
		Args:         slices.Concat([]string{"run", "--index", "0", "--"}, literal(append(git, s.credentialArgs(ForGit)...))),
		Env:          []corev1.EnvVar{{Name: "HOME", Value: contract.Home}},
		VolumeMounts: append(mounts, secretMounts(s.Credentials)...),

		SecurityContext: modest(),
	}
}

// modest is what containers of our own may do. They are root, since the kubelet makes folders that only root may write.
func modest() *corev1.SecurityContext {
	no := false
	return &corev1.SecurityContext{
		AllowPrivilegeEscalation: &no,
		Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		SeccompProfile:           &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
}

// literal keeps Kubernetes from taking `$(NAME)` in values of ours for variables.
func literal(args []string) []string {
	out := make([]string, len(args))
	for i, a := range args {
		out[i] = strings.ReplaceAll(a, "$(", "$$(")
	}
	return out
}

func (s Spec) step(index int, user corev1.Container) corev1.Container {
	c := *user.DeepCopy()
	command, args := s.command(&c, index)
	c.Name = ContainerOf(user.Name)
	c.Command, c.Args = command, args
	c.WorkingDir = "/" // the step binary goes to the right one, once the source is there and may be entered
	env := []corev1.EnvVar{{Name: "HOME", Value: contract.Home}}
	if len(s.InsecureRegistries) > 0 {
		env = append(env, corev1.EnvVar{Name: EnvInsecureRegistries, Value: strings.Join(s.InsecureRegistries, ",")})
	}
	c.Env = append(env, c.Env...) // the last of a name counts
	workspace := corev1.VolumeMount{Name: volumeWorkspace, MountPath: contract.Workspace}
	if s.Git != nil {
		workspace.SubPath = cleanSubPath(s.Git.SubPath)
	}
	c.VolumeMounts = append([]corev1.VolumeMount{
		{Name: volumeBin, MountPath: contract.BinDir, ReadOnly: true},
		{Name: volumeRun, MountPath: contract.RunDir},
		workspace,
		{Name: volumeHome, MountPath: contract.Home},
	}, c.VolumeMounts...)
	if len(s.Credentials) > 0 {
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: volumeCredentials, MountPath: contract.CredentialsDir, ReadOnly: true})
	}
	return c
}

// command puts the user's command behind the step binary. c gets the image by digest where its entrypoint was looked up.
func (s Spec) command(c *corev1.Container, index int) (command, args []string) {
	args = []string{"run", "--index", strconv.Itoa(index)}
	if len(s.Credentials) > 0 {
		args = append(args, "--credentials", contract.CredentialsDir)
	}
	dir := c.WorkingDir
	if !path.IsAbs(dir) {
		dir = path.Join(contract.Workspace, dir)
	}
	args = append(args, "--working-dir", literal([]string{dir})[0])
	if p := c.TerminationMessagePath; p != "" && p != contract.TerminationLog {
		args = append(args, "--termination-log", p)
	}
	user := slices.Concat(c.Command, c.Args)
	if found, ok := s.Entrypoints[c.Name]; ok && len(c.Command) == 0 {
		c.Image = found.Image
		byPlatform := make(map[string][]string, len(found.Platforms))
		var first []string
		same := true
		for _, platform := range slices.Sorted(maps.Keys(found.Platforms)) {
			run := slices.Clone(found.Platforms[platform].Entrypoint)
			if len(c.Args) == 0 {
				run = append(run, found.Platforms[platform].Cmd...)
			}
			if len(byPlatform) == 0 {
				first = run
			}
			same = same && slices.Equal(run, first)
			byPlatform[platform] = run
		}
		if same {
			user = append(literal(first), c.Args...)
		} else if data, err := json.Marshal(byPlatform); err == nil {
			args = append(args, "--platform-commands", literal([]string{string(data)})[0])
		}
	}
	return []string{contract.Binary}, slices.Concat(args, []string{"--"}, user)
}

func cleanSubPath(p string) string {
	p = path.Clean(p)
	if p == "." || p == "/" {
		return ""
	}
	return p
}
