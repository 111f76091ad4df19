// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package nodepower

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	corepb "fairlead.dev/gen/go/fairlead/core/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/codec"
)

func read(t *testing.T, yaml string) *corepb.PodSpec {
	t.Helper()
	data, err := codec.YAMLToJSON([]byte(yaml), codec.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	pod := &corepb.PodSpec{}
	if _, err := codec.Unmarshal(data, pod, codec.Options{Strict: true}); err != nil {
		t.Fatalf("%v in\n%s", err, yaml)
	}
	return pod
}

func fields(t *testing.T, causes []apierror.Cause) []string {
	t.Helper()
	var out []string
	for _, c := range causes {
		if c.Reason != apierror.CauseValueForbidden || !strings.Contains(c.Message, "--allow-node-power") {
			t.Errorf("%s: %s, %q; want it forbidden, and the flag that allows it", c.Field, c.Reason, c.Message)
		}
		out = append(out, c.Field)
	}
	return out
}

func TestPod(t *testing.T) {
	for _, tc := range []struct {
		reason, pod string
		want        []string
	}{
		{reason: "nothing", pod: `{}`},
		{reason: "namespaces of the host", pod: `{hostNetwork: true, hostPID: true, hostIPC: true}`, want: []string{"spec.hostNetwork", "spec.hostPID", "spec.hostIPC"}},
		{reason: "a chosen node", pod: `{nodeName: node-1}`, want: []string{"spec.nodeName"}},
		{
			reason: "sysctls of the pod alone are harmless",
			pod:    `{securityContext: {sysctls: [{name: net.ipv4.tcp_syncookies, value: "1"}, {name: kernel.msgmax, value: "1"}, {name: net/core/somaxconn, value: "1"}]}}`,
			want:   []string{"spec.securityContext.sysctls[1]", "spec.securityContext.sysctls[2]"},
		},
		{
			reason: "a pod without confinement",
			pod:    `{securityContext: {seccompProfile: {type: Unconfined}, appArmorProfile: {type: Unconfined}, seLinuxOptions: {type: spc_t, user: u, role: r, level: "s0"}, windowsOptions: {hostProcess: true}}}`,
			want: []string{
				"spec.securityContext.seccompProfile.type", "spec.securityContext.appArmorProfile.type", "spec.securityContext.seLinuxOptions.type",
				"spec.securityContext.seLinuxOptions.user", "spec.securityContext.seLinuxOptions.role", "spec.securityContext.windowsOptions.hostProcess",
			},
		},
		{
			reason: "profiles that the node keeps",
			pod:    `{containers: [{securityContext: {seccompProfile: {type: Localhost, localhostProfile: p}, appArmorProfile: {type: Localhost, localhostProfile: unconfined}}}]}`,
			want:   []string{"spec.containers[0].securityContext.seccompProfile.type", "spec.containers[0].securityContext.appArmorProfile.type"},
		},
		{
			reason: "confinement as it is by default",
			pod:    `{securityContext: {runAsUser: 0, fsGroup: 1, seccompProfile: {type: RuntimeDefault}, appArmorProfile: {type: RuntimeDefault}, seLinuxOptions: {type: container_t, level: "s0:c1"}, windowsOptions: {hostProcess: false}}, containers: [{securityContext: {privileged: false, procMount: Default, allowPrivilegeEscalation: true}}]}`,
		},
		{
			reason: "volumes",
			pod:    `{volumes: [{name: e, emptyDir: {}}, {name: h, hostPath: {path: /}}], containers: [{volumeMounts: [{name: e, mountPath: /e, mountPropagation: HostToContainer}, {name: e, mountPath: /f, mountPropagation: Bidirectional}], volumeDevices: [{name: d, devicePath: /dev/x}]}]}`,
			want:   []string{"spec.volumes[1].hostPath", "spec.containers[0].volumeMounts[1].mountPropagation", "spec.containers[0].volumeDevices[0]"},
		},
		{
			reason: "ports of the host",
			pod:    `{containers: [{ports: [{containerPort: 1}, {containerPort: 2, hostPort: 2, hostIP: 10.0.0.1}]}]}`,
			want:   []string{"spec.containers[0].ports[1].hostPort", "spec.containers[0].ports[1].hostIP"},
		},
		{
			reason: "capabilities, whose names have one spelling",
			pod:    `{containers: [{securityContext: {capabilities: {add: [CHOWN, NET_BIND_SERVICE, SYS_ADMIN, NET_RAW, ALL, chown], drop: [ALL]}}}]}`,
			want: []string{
				"spec.containers[0].securityContext.capabilities.add[2]", "spec.containers[0].securityContext.capabilities.add[3]",
				"spec.containers[0].securityContext.capabilities.add[4]", "spec.containers[0].securityContext.capabilities.add[5]",
			},
		},
		{
			reason: "containers of every sort",
			pod:    `{containers: [{}, {securityContext: {privileged: true}}], initContainers: [{securityContext: {procMount: Unmasked}}], ephemeralContainers: [{securityContext: {windowsOptions: {hostProcess: true}}}]}`,
			want: []string{
				"spec.containers[1].securityContext.privileged", "spec.initContainers[0].securityContext.procMount",
				"spec.ephemeralContainers[0].securityContext.windowsOptions.hostProcess",
			},
		},
		{
			reason: "hosts that the node is to call",
			pod: `{containers: [{livenessProbe: {httpGet: {host: 169.254.169.254, port: 80}}, readinessProbe: {tcpSocket: {host: 127.0.0.1, port: 22}},
				startupProbe: {httpGet: {port: 80}}, lifecycle: {postStart: {httpGet: {host: a, port: 80}}, preStop: {tcpSocket: {host: b, port: 80}}}}]}`,
			want: []string{
				"spec.containers[0].livenessProbe.httpGet.host", "spec.containers[0].readinessProbe.tcpSocket.host",
				"spec.containers[0].lifecycle.postStart.httpGet.host", "spec.containers[0].lifecycle.preStop.tcpSocket.host",
			},
		},
	} {
		t.Run(tc.reason, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, fields(t, Pod("spec", read(t, tc.pod)))); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNothingToCheck(t *testing.T) {
	if causes := Pod("spec", nil); len(causes) > 0 {
		t.Errorf("causes of no pod: %v", causes)
	}
}

// Containers and volumes that are in no pod yet have paths of their own.
func TestParts(t *testing.T) {
	pod := read(t, `{volumes: [{name: h, hostPath: {path: /}}], containers: [{}, {securityContext: {privileged: true}}]}`)
	got := append(fields(t, Volumes("spec.volumes", pod.GetVolumes())), fields(t, Containers("spec.steps", pod.GetContainers()))...)
	if diff := cmp.Diff([]string{"spec.volumes[0].hostPath", "spec.steps[1].securityContext.privileged"}, got); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
}

func TestAnnotations(t *testing.T) {
	const of = annotationAppArmor
	got := fields(t, Annotations("metadata.annotations", map[string]string{
		of + "a": "unconfined", of + "b": "runtime/default", of + "c": "localhost/p", "note": "unconfined",
	}))
	if diff := cmp.Diff([]string{"metadata.annotations[" + of + "a]", "metadata.annotations[" + of + "c]"}, got); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
}
