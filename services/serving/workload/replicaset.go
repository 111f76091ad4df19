// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package workload turns a revision into a ReplicaSet, and says how its pods take requests.
package workload

import (
	"encoding/json"
	"fmt"
	"maps"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/codec"
	"fairlead.dev/services/internal/kube"
	"fairlead.dev/services/serving/names"
)

// labelApp groups pods in the views of common tools.
const labelApp = "app"

// probePeriod is how often the kubelet probes where a revision does not say: a pod is looked at soon, since requests wait.
const probePeriod int32 = 1

// Options are what a ReplicaSet needs that the revision does not say.
type Options struct {
	// Installation and Owner mark the pods.
	Installation string
	Owner        kube.Owner
	// DrainSeconds is how long a pod goes on serving after it was told to go, so that no request meets a closed port.
	DrainSeconds int64
	// Replicas is how many pods are to run.
	Replicas int32
}

// ReplicaSet returns the ReplicaSet of a revision. The same revision always gives the same one, but for replicas.
func ReplicaSet(rev *servingv1.Revision, o Options) (*appsv1.ReplicaSet, error) {
	pod, err := podSpec(rev, o.DrainSeconds)
	if err != nil {
		return nil, err
	}
	m := rev.GetMetadata()
	labels := map[string]string{}
	maps.Copy(labels, m.GetLabels())
	labels[labelApp] = m.GetName()
	labels[names.LabelRevision] = m.GetName()
	labels[names.LabelRevisionUID] = m.GetUid()
	annotations := map[string]string{}
	maps.Copy(annotations, m.GetAnnotations())
	delete(annotations, names.AnnotationLastApplied)
	podLabels, podAnnotations := maps.Clone(labels), maps.Clone(annotations)
	podLabels[kube.LabelInstallation] = o.Installation
	podLabels[kube.LabelOwnerUID] = o.Owner.UID
	podAnnotations[kube.AnnotationOwner] = o.Owner.String()
	return &appsv1.ReplicaSet{
		TypeMeta: kmetav1.TypeMeta{APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "ReplicaSet"},
		ObjectMeta: kmetav1.ObjectMeta{
			Namespace: m.GetNamespace(), Name: names.ReplicaSet(m.GetName()), Labels: labels, Annotations: annotations,
		},
		Spec: appsv1.ReplicaSetSpec{
			Replicas: &o.Replicas,
			Selector: &kmetav1.LabelSelector{MatchLabels: map[string]string{names.LabelRevisionUID: m.GetUid()}},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: kmetav1.ObjectMeta{Labels: podLabels, Annotations: podAnnotations},
				Spec:       *pod,
			},
		},
	}, nil
}

// podSpec returns the pod of a revision, with what its author left open.
func podSpec(rev *servingv1.Revision, drainSeconds int64) (*corev1.PodSpec, error) {
	data, err := codec.Marshal(rev.GetSpec().GetPodSpec())
	if err != nil {
		return nil, fmt.Errorf("workload: encode the pod of revision %s: %w", rev.GetMetadata().GetName(), err)
	}
	pod := &corev1.PodSpec{}
	if err := json.Unmarshal(data, pod); err != nil {
		return nil, fmt.Errorf("workload: the pod of revision %s is none to Kubernetes: %w", rev.GetMetadata().GetName(), err)
	}
	grace := rev.GetSpec().GetTimeoutSeconds() + drainSeconds
	pod.TerminationGracePeriodSeconds = &grace
	main := servingContainer(pod.Containers)
	for i := range pod.Containers {
		c := &pod.Containers[i]
		c.Env = append(c.Env, environment(rev)...)
		if i == main {
			completeServing(c)
		}
		if c.Lifecycle == nil {
			c.Lifecycle = &corev1.Lifecycle{}
		}
		if c.Lifecycle.PreStop == nil && drainSeconds > 0 {
			c.Lifecycle.PreStop = &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: drainSeconds}}
		}
		if c.TerminationMessagePolicy == "" {
			c.TerminationMessagePolicy = corev1.TerminationMessageFallbackToLogsOnError
		}
	}
	return pod, nil
}

// servingContainer returns the place of the container that gets the requests: the one with ports, or the only one.
func servingContainer(containers []corev1.Container) int {
	for i := range containers {
		if len(containers[i].Ports) > 0 {
			return i
		}
	}
	return 0
}

func environment(rev *servingv1.Revision) []corev1.EnvVar {
	labels := rev.GetMetadata().GetLabels()
	env := make([]corev1.EnvVar, 0, 3) //nolint:mnd // as many as follow
	for _, e := range []corev1.EnvVar{
		{Name: names.EnvRevision, Value: rev.GetMetadata().GetName()},
		{Name: names.EnvConfiguration, Value: labels[names.LabelConfiguration]},
		{Name: names.EnvService, Value: labels[names.LabelService]},
	} {
		if e.Value != "" {
			env = append(env, e)
		}
	}
	return env
}

// completeServing fills in the port, the environment and the probes of the container that gets the requests.
func completeServing(c *corev1.Container) {
	if len(c.Ports) == 0 {
		c.Ports = []corev1.ContainerPort{{}}
	}
	port := &c.Ports[0]
	if port.ContainerPort == 0 {
		port.ContainerPort = names.DefaultPort
	}
	if port.Name == "" {
		port.Name = names.PortHTTP1
	}
	port.Protocol = corev1.ProtocolTCP
	c.Env = append(c.Env, corev1.EnvVar{Name: names.EnvPort, Value: strconv.Itoa(int(port.ContainerPort))})
	if c.ReadinessProbe == nil {
		c.ReadinessProbe = &corev1.Probe{}
	}
	if c.ReadinessProbe.PeriodSeconds == 0 {
		c.ReadinessProbe.PeriodSeconds = probePeriod
	}
	completeProbe(c.ReadinessProbe, port.ContainerPort)
	completeProbe(c.LivenessProbe, port.ContainerPort)
	completeProbe(c.StartupProbe, port.ContainerPort)
}

// completeProbe fills in the port of a probe, and makes one that says nothing a connection.
func completeProbe(p *corev1.Probe, port int32) {
	if p == nil {
		return
	}
	if p.Exec == nil && p.HTTPGet == nil && p.TCPSocket == nil && p.GRPC == nil {
		p.TCPSocket = &corev1.TCPSocketAction{}
	}
	unset := func(v intstr.IntOrString) bool { return v == intstr.IntOrString{} }
	switch {
	case p.HTTPGet != nil && unset(p.HTTPGet.Port):
		p.HTTPGet.Port = intstr.FromInt32(port)
	case p.TCPSocket != nil && unset(p.TCPSocket.Port):
		p.TCPSocket.Port = intstr.FromInt32(port)
	case p.GRPC != nil && p.GRPC.Port == 0:
		p.GRPC.Port = port
	}
}
