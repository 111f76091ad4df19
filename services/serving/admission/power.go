// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"fmt"

	corepb "fairlead.dev/gen/go/fairlead/core/v1"
)

// nodePower tells the fields of a pod that give power over the node it runs on, unless the installation allows them.
func (f *podFaults) nodePower(at string, pod *corepb.PodSpec) {
	if f.rules.AllowNodePower {
		return
	}
	refuse := func(power bool, field string) {
		if power {
			f.forbiddenf(at+"."+field, "it gives power over the node, which this server does not allow; its operator can, with allowNodePower")
		}
	}
	refuse(pod.GetHostNetwork(), "hostNetwork")
	refuse(pod.GetHostPid(), "hostPID")
	refuse(pod.GetHostIpc(), "hostIPC")
	refuse(pod.GetNodeName() != "", "nodeName")
	sc := pod.GetSecurityContext()
	refuse(len(sc.GetSysctls()) > 0, "securityContext.sysctls")
	refuse(sc.GetWindowsOptions().GetHostProcess(), "securityContext.windowsOptions.hostProcess")
	refuse(unconfined(sc.GetSeccompProfile().GetType()), "securityContext.seccompProfile")
	refuse(unconfined(sc.GetAppArmorProfile().GetType()), "securityContext.appArmorProfile")
	refuse(sc.GetSeLinuxOptions() != nil, "securityContext.seLinuxOptions")
	for i, v := range pod.GetVolumes() {
		refuse(v.GetHostPath() != nil, fmt.Sprintf("volumes[%d].hostPath", i))
	}
	for i, c := range pod.GetContainers() {
		containerPower(c, fmt.Sprintf("containers[%d]", i), refuse)
	}
	for i, c := range pod.GetInitContainers() {
		containerPower(c, fmt.Sprintf("initContainers[%d]", i), refuse)
	}
}

func containerPower(c *corepb.Container, at string, refuse func(bool, string)) {
	sc := c.GetSecurityContext()
	refuse(sc.GetPrivileged(), at+".securityContext.privileged")
	refuse(sc.GetProcMount() != "" && sc.GetProcMount() != "Default", at+".securityContext.procMount")
	refuse(sc.GetWindowsOptions().GetHostProcess(), at+".securityContext.windowsOptions.hostProcess")
	refuse(unconfined(sc.GetSeccompProfile().GetType()), at+".securityContext.seccompProfile")
	refuse(unconfined(sc.GetAppArmorProfile().GetType()), at+".securityContext.appArmorProfile")
	refuse(sc.GetSeLinuxOptions() != nil, at+".securityContext.seLinuxOptions")
	for i, capability := range sc.GetCapabilities().GetAdd() {
		refuse(capability != "NET_BIND_SERVICE", fmt.Sprintf("%s.securityContext.capabilities.add[%d]", at, i))
	}
	for i, p := range c.GetPorts() {
		refuse(p.GetHostPort() != 0, fmt.Sprintf("%s.ports[%d].hostPort", at, i))
		refuse(p.GetHostIp() != "", fmt.Sprintf("%s.ports[%d].hostIP", at, i))
	}
	for i, m := range c.GetVolumeMounts() {
		refuse(m.GetMountPropagation() == "Bidirectional", fmt.Sprintf("%s.volumeMounts[%d].mountPropagation", at, i))
	}
	for i, d := range c.GetVolumeDevices() {
		refuse(d.GetDevicePath() != "", fmt.Sprintf("%s.volumeDevices[%d]", at, i))
	}
}

func unconfined(profile string) bool { return profile == "Unconfined" || profile == "Localhost" }
