// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package nodepower finds the fields of pods that give power over the node they run on. The rules are those of Kubernetes'
// baseline Pod Security Standard, and what else reaches past a pod: a chosen node, raw devices, mounts that spread to the
// node, and profiles that the node keeps.
package nodepower

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corepb "fairlead.dev/gen/go/fairlead/core/v1"
	"fairlead.dev/services/internal/apierror"
)

// Message is what every cause says.
const Message = "it gives power over the node; leave it out, or have the server run with --allow-node-power"

// capabilities are those that container runtimes give by themselves.
var capabilities = []string{
	"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP", "SETGID",
	"SETPCAP", "SETUID", "SYS_CHROOT",
}

// sysctls are those that change a pod's own namespaces only.
var sysctls = []string{
	"kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_local_reserved_ports",
	"net.ipv4.ip_unprivileged_port_start", "net.ipv4.ping_group_range", "net.ipv4.tcp_fin_timeout",
	"net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_rmem",
	"net.ipv4.tcp_syncookies", "net.ipv4.tcp_wmem",
}

// seLinuxTypes are those that confine a container.
var seLinuxTypes = []string{"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}

// Pod returns a cause for each field of a pod that gives power over its node. at is the path of the pod's spec.
func Pod(at string, pod *corepb.PodSpec) []apierror.Cause {
	f := &finder{}
	f.whenf(pod.GetHostNetwork(), "%s.hostNetwork", at)
	f.whenf(pod.GetHostPid(), "%s.hostPID", at)
	f.whenf(pod.GetHostIpc(), "%s.hostIPC", at)
	f.whenf(pod.GetNodeName() != "", "%s.nodeName", at)
	context := at + ".securityContext"
	for i, s := range pod.GetSecurityContext().GetSysctls() {
		f.whenf(!slices.Contains(sysctls, s.GetName()), "%s.sysctls[%d]", context, i)
	}
	f.confinement(context, pod.GetSecurityContext())
	f.volumes(at+".volumes", pod.GetVolumes())
	containers(f, at+".containers", pod.GetContainers())
	containers(f, at+".initContainers", pod.GetInitContainers())
	containers(f, at+".ephemeralContainers", pod.GetEphemeralContainers())
	return f.causes
}

// Containers does for a list of containers what Pod does for a whole pod. at is the path of the list.
func Containers(at string, list []*corepb.Container) []apierror.Cause {
	f := &finder{}
	containers(f, at, list)
	return f.causes
}

// Volumes does for a list of volumes what Pod does for a whole pod. at is the path of the list.
func Volumes(at string, list []*corepb.Volume) []apierror.Cause {
	f := &finder{}
	f.volumes(at, list)
	return f.causes
}

// annotationAppArmor is the older way to choose a container's AppArmor profile, and goes before the container's name.
const annotationAppArmor = "container.apparmor.security.beta.kubernetes.io/"

// Annotations returns a cause for each annotation of a pod that gives power over its node. at is the path of the annotations.
func Annotations(at string, annotations map[string]string) []apierror.Cause {
	f := &finder{}
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		profile := annotations[key]
		f.whenf(strings.HasPrefix(key, annotationAppArmor) && profile != "" && profile != "runtime/default", "%s[%s]", at, key)
	}
	return f.causes
}

// container is what containers of every sort have.
type container interface {
	GetSecurityContext() *corepb.SecurityContext
	GetPorts() []*corepb.ContainerPort
	GetVolumeMounts() []*corepb.VolumeMount
	GetVolumeDevices() []*corepb.VolumeDevice
	probed
}

// probed is what the node itself calls.
type probed interface {
	GetLivenessProbe() *corepb.Probe
	GetReadinessProbe() *corepb.Probe
	GetStartupProbe() *corepb.Probe
	GetLifecycle() *corepb.Lifecycle
}

// confined is what the security contexts of pods and containers share.
type confined interface {
	GetSeLinuxOptions() *corepb.SELinuxOptions
	GetSeccompProfile() *corepb.SeccompProfile
	GetAppArmorProfile() *corepb.AppArmorProfile
	GetWindowsOptions() *corepb.WindowsSecurityContextOptions
}

// finder collects causes.
type finder struct {
	causes []apierror.Cause
}

func (f *finder) whenf(power bool, format string, args ...any) {
	if power {
		f.causes = append(f.causes, apierror.ForbiddenField(fmt.Sprintf(format, args...), Message))
	}
}

func (f *finder) volumes(at string, list []*corepb.Volume) {
	for i, v := range list {
		f.whenf(v.GetHostPath() != nil, "%s[%d].hostPath", at, i)
	}
}

func containers[C container](f *finder, at string, list []C) {
	for i, c := range list {
		f.container(fmt.Sprintf("%s[%d]", at, i), c)
	}
}

func (f *finder) container(at string, c container) {
	f.securityContext(at+".securityContext", c.GetSecurityContext())
	for i, p := range c.GetPorts() {
		f.whenf(p.GetHostPort() != 0, "%s.ports[%d].hostPort", at, i)
		f.whenf(p.GetHostIp() != "", "%s.ports[%d].hostIP", at, i)
	}
	for i, m := range c.GetVolumeMounts() {
		f.whenf(m.GetMountPropagation() == "Bidirectional", "%s.volumeMounts[%d].mountPropagation", at, i)
	}
	for i := range c.GetVolumeDevices() {
		f.whenf(true, "%s.volumeDevices[%d]", at, i)
	}
	f.probes(at, c)
}

func (f *finder) securityContext(at string, c *corepb.SecurityContext) {
	f.whenf(c.GetPrivileged(), "%s.privileged", at)
	for i, capability := range c.GetCapabilities().GetAdd() {
		f.whenf(!slices.Contains(capabilities, capability), "%s.capabilities.add[%d]", at, i)
	}
	f.whenf(c.GetProcMount() != "" && c.GetProcMount() != "Default", "%s.procMount", at)
	f.confinement(at, c)
}

// confinement refuses profiles of the node besides Unconfined: a Localhost one may confine as little.
func (f *finder) confinement(at string, c confined) {
	known := func(profile string) bool { return profile == "" || profile == "RuntimeDefault" }
	f.whenf(!known(c.GetSeccompProfile().GetType()), "%s.seccompProfile.type", at)
	f.whenf(!known(c.GetAppArmorProfile().GetType()), "%s.appArmorProfile.type", at)
	selinux := c.GetSeLinuxOptions()
	f.whenf(!slices.Contains(seLinuxTypes, selinux.GetType()), "%s.seLinuxOptions.type", at)
	f.whenf(selinux.GetUser() != "", "%s.seLinuxOptions.user", at)
	f.whenf(selinux.GetRole() != "", "%s.seLinuxOptions.role", at)
	f.whenf(c.GetWindowsOptions().GetHostProcess(), "%s.windowsOptions.hostProcess", at)
}

// probes refuses hosts in what the node calls: it reaches more than the pod does, itself to begin with.
func (f *finder) probes(at string, c probed) {
	for _, p := range []struct {
		field string
		call  interface {
			GetHttpGet() *corepb.HTTPGetAction
			GetTcpSocket() *corepb.TCPSocketAction
		}
	}{
		{"livenessProbe", c.GetLivenessProbe()},
		{"readinessProbe", c.GetReadinessProbe()},
		{"startupProbe", c.GetStartupProbe()},
		{"lifecycle.postStart", c.GetLifecycle().GetPostStart()},
		{"lifecycle.preStop", c.GetLifecycle().GetPreStop()},
	} {
		f.whenf(p.call.GetHttpGet().GetHost() != "", "%s.%s.httpGet.host", at, p.field)
		f.whenf(p.call.GetTcpSocket().GetHost() != "", "%s.%s.tcpSocket.host", at, p.field)
	}
}
