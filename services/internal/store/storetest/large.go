// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"fmt"

	corev1 "fairlead.dev/gen/go/fairlead/core/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
)

// TypicalService makes a service as users have them: about 1.6 kB in JSON once it is stored, 1 kB in protobuf.
func TypicalService(namespace, name string) *servingv1.Service {
	env := make([]*corev1.EnvVar, 0, 10)
	for i := range cap(env) {
		env = append(env, &corev1.EnvVar{Name: fmt.Sprintf("VARIABLE_%d", i), Value: fmt.Sprintf("the value of variable %d", i)})
	}
	return &servingv1.Service{
		Metadata: &metav1.ObjectMeta{
			Namespace: namespace, Name: name,
			Labels:      map[string]string{"app.kubernetes.io/name": "web", "app.kubernetes.io/part-of": "shop", "team": "front"},
			Annotations: map[string]string{"serving.knative.dev/creator": "someone@example.com", "serving.knative.dev/lastModifier": "someone@example.com"},
		},
		Spec: &servingv1.ServiceSpec{Template: &servingv1.RevisionTemplateSpec{
			Metadata: &metav1.ObjectMeta{Annotations: map[string]string{
				"autoscaling.knative.dev/min-scale": "0", "autoscaling.knative.dev/max-scale": "10", "autoscaling.knative.dev/target": "100",
			}},
			Spec: &servingv1.RevisionSpec{PodSpec: &corev1.PodSpec{Containers: []*corev1.Container{{
				Name: "user", Image: "registry.example.com/shop/web@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
				Env: env, Ports: []*corev1.ContainerPort{{ContainerPort: 8080}},
				Resources: &corev1.ResourceRequirements{Requests: map[string]string{"cpu": "100m", "memory": "128Mi"}},
			}}}},
		}},
		Status: &servingv1.ServiceStatus{ObservedGeneration: 1, Conditions: []*metav1.Condition{
			{Type: "ConfigurationsReady", Status: "True"}, {Type: "Ready", Status: "True"}, {Type: "RoutesReady", Status: "True"},
		}},
	}
}
