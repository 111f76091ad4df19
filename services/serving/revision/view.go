// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package revision

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// invalidImageName is the kubelet's word for an image whose name is none.
const invalidImageName = "InvalidImageName"

// trouble is what keeps pods from running, and what to do about it.
type trouble struct{ reason, message string }

func (t trouble) none() bool { return t.reason == "" }

// view is what the cluster shows of a revision.
type view struct {
	replicaSet *appsv1.ReplicaSet // nil while there is none
	pods       []*corev1.Pod      // those that are not on their way out, by name
	ready      []*corev1.Pod
	container  trouble // of containers
	resources  trouble // of getting pods placed
}

// newView looks at a revision's ReplicaSet and pods.
func newView(rs *appsv1.ReplicaSet, pods []*corev1.Pod) view {
	v := view{replicaSet: rs}
	for _, p := range pods {
		if p.DeletionTimestamp != nil || p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded {
			continue
		}
		v.pods = append(v.pods, p)
	}
	slices.SortFunc(v.pods, func(a, b *corev1.Pod) int { return cmp.Compare(a.Name, b.Name) })
	for _, p := range v.pods {
		if IsReady(p) {
			v.ready = append(v.ready, p)
			continue
		}
		if v.container.none() {
			v.container = containerTrouble(p)
		}
		if v.resources.none() {
			v.resources = placementTrouble(p)
		}
	}
	if t := creationTrouble(rs); !t.none() {
		v.resources = t
	}
	return v
}

// IsReady tells whether a pod is ready, as Kubernetes sees it.
func IsReady(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func placementTrouble(p *corev1.Pod) trouble {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable {
			return trouble{ReasonUnschedulable, "no node can take a pod: " + c.Message + "; ask for less, or add nodes"}
		}
	}
	return trouble{}
}

// creationTrouble is why the ReplicaSet cannot make pods.
func creationTrouble(rs *appsv1.ReplicaSet) trouble {
	if rs == nil {
		return trouble{}
	}
	for _, c := range rs.Status.Conditions {
		if c.Type != appsv1.ReplicaSetReplicaFailure || c.Status != corev1.ConditionTrue {
			continue
		}
		if strings.Contains(c.Message, "exceeded quota") {
			return trouble{ReasonQuotaExceeded, "the namespace's quota does not let a pod be made: " + c.Message + "; ask for less, or raise the quota"}
		}
		return trouble{ReasonFailedCreate, "Kubernetes refuses to make a pod: " + c.Message}
	}
	return trouble{}
}

func containerTrouble(p *corev1.Pod) trouble {
	for _, list := range [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses} {
		for i := range list {
			if t := statusTrouble(&list[i]); !t.none() {
				return t
			}
		}
	}
	return trouble{}
}

// statusTrouble is what keeps one container from running.
func statusTrouble(s *corev1.ContainerStatus) trouble {
	if s.Ready || s.State.Terminated != nil && s.State.Terminated.ExitCode == 0 && s.RestartCount == 0 && s.Started == nil {
		return trouble{}
	}
	if w := s.State.Waiting; w != nil {
		switch w.Reason {
		case "ErrImagePull", "ImagePullBackOff", invalidImageName, "ErrImageNeverPull", "RegistryUnavailable":
			return imageTrouble(s, w)
		case "CreateContainerConfigError", "CreateContainerError", "RunContainerError", "PreCreateHookError", "PostStartHookError":
			return trouble{ReasonContainerNotStarted, fmt.Sprintf("container %q cannot be started: %s (%s)", s.Name, w.Message, w.Reason)}
		}
	}
	end := s.State.Terminated
	if end == nil {
		end = s.LastTerminationState.Terminated
	}
	if end == nil {
		return trouble{}
	}
	message := fmt.Sprintf("container %q ended with exit code %d", s.Name, end.ExitCode)
	switch {
	case end.Reason == "OOMKilled":
		message = fmt.Sprintf("container %q was ended because it took more memory than its limit; raise the limit", s.Name)
	case end.ExitCode == 0:
		message += "; the process of a service has to keep running"
	case end.Reason == "StartError" || end.Reason == "ContainerCannotRun":
		message = fmt.Sprintf("container %q cannot be started", s.Name)
	}
	if log := strings.TrimSpace(end.Message); log != "" {
		message += ": " + log
	}
	return trouble{fmt.Sprintf("ExitCode%d", end.ExitCode), message}
}

func imageTrouble(s *corev1.ContainerStatus, w *corev1.ContainerStateWaiting) trouble {
	detail := w.Message
	for _, absent := range []string{"not found", "manifest unknown", "name unknown", "does not exist", invalidImageName, "not present"} {
		if strings.Contains(w.Reason+" "+detail, absent) {
			return trouble{ReasonContainerMissing, fmt.Sprintf("image %q of container %q is not there; check its name and tag: %s", s.Image, s.Name, detail)}
		}
	}
	return trouble{ReasonImagePullFailed, fmt.Sprintf("image %q of container %q cannot be pulled; check the registry and imagePullSecrets: %s", s.Image, s.Name, detail)}
}

// notListening says why pods that run are not ready.
func (v view) notListening(port int32) string {
	for _, p := range v.pods {
		for i := range p.Status.ContainerStatuses {
			s := &p.Status.ContainerStatuses[i]
			if s.State.Running != nil && !s.Ready {
				return fmt.Sprintf("container %q runs but does not pass its readiness probe; does it listen on 0.0.0.0, at port %d (the environment variable PORT)?", s.Name, port)
			}
		}
	}
	return "no pod runs yet"
}
