// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"fmt"
	"slices"

	buildv1 "fairlead.dev/gen/go/fairlead/build/v1"
	corepb "fairlead.dev/gen/go/fairlead/core/v1"
	"fairlead.dev/services/internal/apierror"
)

const nodePowerText = "gives power over the node; ask who runs this server to allow it (AllowNodePower)"

// harmlessCapabilities are those that container runtimes give by themselves, which a step may therefore name.
func harmlessCapabilities() []string {
	return []string{
		"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP", "SETGID",
		"SETPCAP", "SETUID", "SYS_CHROOT",
	}
}

// nodePower finds what would let a step reach beyond its pod. The list follows Kubernetes' baseline Pod Security Standard.
func nodePower(spec *buildv1.BuildSpec) []apierror.Cause {
	var causes []apierror.Cause
	refuse := func(set bool, format string, args ...any) {
		if set {
			causes = append(causes, apierror.ForbiddenField(fmt.Sprintf(format, args...), nodePowerText))
		}
	}
	for i, v := range spec.GetVolumes() {
		refuse(v.GetHostPath() != nil, "spec.volumes[%d].hostPath", i)
	}
	for i, s := range spec.GetSteps() {
		at := fmt.Sprintf("spec.steps[%d]", i)
		for j, p := range s.GetPorts() {
			refuse(p.GetHostPort() != 0, "%s.ports[%d].hostPort", at, j)
		}
		refuseSecurityContext(refuse, at+".securityContext", s.GetSecurityContext())
	}
	return causes
}

func refuseSecurityContext(refuse func(bool, string, ...any), at string, c *corepb.SecurityContext) {
	refuse(c.GetPrivileged(), "%s.privileged", at)
	for j, capability := range c.GetCapabilities().GetAdd() {
		refuse(!slices.Contains(harmlessCapabilities(), capability), "%s.capabilities.add[%d]", at, j)
	}
	refuse(c.GetProcMount() != "" && c.GetProcMount() != "Default", "%s.procMount", at)
	refuse(c.GetSeccompProfile().GetType() == "Unconfined", "%s.seccompProfile.type", at)
	refuse(c.GetAppArmorProfile().GetType() == "Unconfined", "%s.appArmorProfile.type", at)
	refuse(c.GetWindowsOptions().GetHostProcess(), "%s.windowsOptions.hostProcess", at)
	selinux := c.GetSeLinuxOptions()
	harmless := []string{"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
	refuse(!slices.Contains(harmless, selinux.GetType()), "%s.seLinuxOptions.type", at)
	refuse(selinux.GetUser() != "", "%s.seLinuxOptions.user", at)
	refuse(selinux.GetRole() != "", "%s.seLinuxOptions.role", at)
}
