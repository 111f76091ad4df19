// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"k8s.io/apimachinery/pkg/util/validation"

	corepb "fairlead.dev/gen/go/fairlead/core/v1"
	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/nodepower"
	"fairlead.dev/services/internal/podresources"
	"fairlead.dev/services/serving/names"
)

const maxPort = 65535

// revisionSpec tells what is wrong with a revision's spec.
func (r Rules) revisionSpec(f *faults, at string, spec *servingv1.RevisionSpec) {
	pod := spec.GetPodSpec()
	if len(pod.GetContainers()) == 0 {
		f.requiredf(at+".containers", "a revision needs a container")
	}
	if spec.GetResponseStartTimeoutSeconds() > spec.GetTimeoutSeconds() {
		f.invalidf(at+".responseStartTimeoutSeconds", "%d is more than timeoutSeconds (%d)", spec.GetResponseStartTimeoutSeconds(), spec.GetTimeoutSeconds())
	}
	if spec.GetIdleTimeoutSeconds() > spec.GetTimeoutSeconds() {
		f.invalidf(at+".idleTimeoutSeconds", "%d is more than timeoutSeconds (%d)", spec.GetIdleTimeoutSeconds(), spec.GetTimeoutSeconds())
	}
	if pod == nil {
		return
	}
	p := podFaults{faults: f, volumes: map[string]bool{}}
	p.podFields(at, pod)
	p.podVolumes(at+".volumes", pod.GetVolumes())
	p.podContainers(at, pod)
	if !r.AllowNodePower {
		f.add(nodepower.Pod(at, pod)...)
	}
}

// podFaults collects what is wrong with a pod.
type podFaults struct {
	*faults

	volumes map[string]bool
}

func (f *podFaults) podFields(at string, pod *corepb.PodSpec) {
	if p := pod.GetRestartPolicy(); p != "" && p != "Always" {
		f.unsupportedf(at+".restartPolicy", "%q: pods of a revision run always; leave it out", p)
	}
	if pod.TerminationGracePeriodSeconds != nil {
		f.forbiddenf(at+".terminationGracePeriodSeconds", "it follows from timeoutSeconds; leave it out")
	}
	if pod.ActiveDeadlineSeconds != nil {
		f.forbiddenf(at+".activeDeadlineSeconds", "pods of a revision have no end; leave it out")
	}
	if len(pod.GetEphemeralContainers()) > 0 {
		f.forbiddenf(at+".ephemeralContainers", "they can be added to running pods only")
	}
	f.add(podresources.Faults(at+".resources", pod.GetResources())...)
}

// allowedVolumes are the kinds of volumes that a revision may have.
func allowedVolumes() []string {
	return []string{"secret", "configMap", "projected", "emptyDir", "persistentVolumeClaim"}
}

func (f *podFaults) podVolumes(at string, volumes []*corepb.Volume) {
	for i, v := range volumes {
		field := fmt.Sprintf("%s[%d]", at, i)
		for _, problem := range validation.IsDNS1123Label(v.GetName()) {
			f.invalidf(field+".name", "%q: %s", v.GetName(), problem)
		}
		if f.volumes[v.GetName()] {
			f.duplicatef(field+".name", "%q is the name of another volume too", v.GetName())
		}
		f.volumes[v.GetName()] = true
		sources := 0
		v.ProtoReflect().Range(func(d protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
			if d.Kind() != protoreflect.MessageKind {
				return true
			}
			sources++
			name := d.JSONName()
			if !slices.Contains(allowedVolumes(), name) && name != "hostPath" { // hostPath is power over a node
				f.unsupportedf(field+"."+name, "volumes of a revision are one of %s", strings.Join(allowedVolumes(), ", "))
			}
			return true
		})
		if sources != 1 {
			f.requiredf(field, "a volume has one source, one of %s", strings.Join(allowedVolumes(), ", "))
		}
	}
}

func (f *podFaults) podContainers(at string, pod *corepb.PodSpec) {
	seen := map[string]bool{}
	var serving []string
	for i, c := range pod.GetContainers() {
		field := fmt.Sprintf("%s.containers[%d]", at, i)
		f.container(field, c, seen)
		f.containerPorts(field+".ports", c.GetPorts())
		if len(c.GetPorts()) > 0 {
			serving = append(serving, field)
		}
	}
	switch n := len(pod.GetContainers()); {
	case n > 1 && len(serving) == 0:
		f.requiredf(at+".containers", "one of several containers has to have ports: the one that gets the requests")
	case len(serving) > 1:
		f.invalidf(at+".containers", "only one container gets the requests, but %s have ports", strings.Join(serving, " and "))
	}
	for i, c := range pod.GetInitContainers() {
		field := fmt.Sprintf("%s.initContainers[%d]", at, i)
		f.container(field, c, seen)
		if len(c.GetPorts()) > 0 {
			f.forbiddenf(field+".ports", "init containers get no requests")
		}
	}
}

func (f *podFaults) container(at string, c *corepb.Container, seen map[string]bool) {
	for _, problem := range validation.IsDNS1123Label(c.GetName()) {
		f.invalidf(at+".name", "%q: %s", c.GetName(), problem)
	}
	if seen[c.GetName()] {
		f.duplicatef(at+".name", "%q is the name of another container too", c.GetName())
	}
	seen[c.GetName()] = true
	switch image := c.GetImage(); {
	case image == "":
		f.requiredf(at+".image", "name the image to run")
	case strings.TrimSpace(image) != image || strings.ContainsAny(image, " \t\n"):
		f.invalidf(at+".image", "%q: an image has no spaces in its name", image)
	}
	if p := c.GetImagePullPolicy(); p != "" && !slices.Contains([]string{"Always", "IfNotPresent", "Never"}, p) {
		f.unsupportedf(at+".imagePullPolicy", "%q: use Always, IfNotPresent or Never", p)
	}
	for i, e := range c.GetEnv() {
		field := fmt.Sprintf("%s.env[%d].name", at, i)
		if slices.Contains([]string{names.EnvPort, names.EnvService, names.EnvConfiguration, names.EnvRevision}, e.GetName()) {
			f.forbiddenf(field, "%s is set by the server", e.GetName())
		}
		for _, problem := range validation.IsEnvVarName(e.GetName()) {
			f.invalidf(field, "%q: %s", e.GetName(), problem)
		}
	}
	mounted := map[string]bool{}
	for i, m := range c.GetVolumeMounts() {
		field := fmt.Sprintf("%s.volumeMounts[%d]", at, i)
		if !f.volumes[m.GetName()] {
			f.invalidf(field+".name", "no volume has the name %q", m.GetName())
		}
		if !path.IsAbs(m.GetMountPath()) {
			f.invalidf(field+".mountPath", "%q is not an absolute path", m.GetMountPath())
		}
		if mounted[path.Clean(m.GetMountPath())] {
			f.duplicatef(field+".mountPath", "%q is mounted already", m.GetMountPath())
		}
		mounted[path.Clean(m.GetMountPath())] = true
	}
	f.add(podresources.Faults(at+".resources", c.GetResources())...)
	f.probe(at+".readinessProbe", c.GetReadinessProbe())
	f.probe(at+".livenessProbe", c.GetLivenessProbe())
	f.probe(at+".startupProbe", c.GetStartupProbe())
}

func (f *podFaults) probe(at string, p *corepb.Probe) {
	handlers := 0
	for _, set := range []bool{p.GetExec() != nil, p.GetHttpGet() != nil, p.GetTcpSocket() != nil, p.GetGrpc() != nil} {
		if set {
			handlers++
		}
	}
	if handlers > 1 {
		f.invalidf(at, "a probe is one of exec, httpGet, tcpSocket and grpc, not several")
	}
}

func (f *podFaults) containerPorts(at string, ports []*corepb.ContainerPort) {
	if len(ports) > 1 {
		f.invalidf(at, "a revision gets its requests at one port; %d are given", len(ports))
	}
	for i, p := range ports {
		field := fmt.Sprintf("%s[%d]", at, i)
		if n := p.GetContainerPort(); n < 0 || n > maxPort {
			f.invalidf(field+".containerPort", "%d is not between 1 and %d", n, maxPort)
		}
		if n := p.GetName(); n != "" && n != names.PortHTTP1 && n != names.PortH2C {
			f.unsupportedf(field+".name", "%q: use %q, or %q for HTTP/2 in the clear (gRPC)", n, names.PortHTTP1, names.PortH2C)
		}
		if n := p.GetProtocol(); n != "" && n != "TCP" {
			f.unsupportedf(field+".protocol", "%q: requests come over TCP; leave it out", n)
		}
	}
}
