// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/codec"
	"fairlead.dev/services/internal/kube"
)

func revision(t *testing.T, spec string) *servingv1.Revision {
	t.Helper()
	rev := &servingv1.Revision{}
	data, err := codec.YAMLToJSON([]byte("apiVersion: serving.knative.dev/v1\nkind: Revision\nspec: "+spec), codec.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := codec.Unmarshal(data, rev, codec.Options{Strict: true}); err != nil {
		t.Fatal(err)
	}
	rev.Metadata = &metav1.ObjectMeta{
		Namespace: "ns", Name: "hello-00001", Uid: "uid",
		Labels:      map[string]string{"serving.knative.dev/configuration": "hello", "serving.knative.dev/service": "hello", "team": "a"},
		Annotations: map[string]string{"note": "b", "kubectl.kubernetes.io/last-applied-configuration": "{}"},
	}
	return rev
}

func options() Options {
	return Options{Installation: "i", Owner: kube.Owner{Group: "g", Kind: "Revision", Namespace: "ns", Name: "hello-00001", UID: "uid"}, DrainSeconds: 5, Replicas: 2}
}

func TestReplicaSet(t *testing.T) {
	rs, err := ReplicaSet(revision(t, "{timeoutSeconds: 30, containers: [{name: user-container, image: app, env: [{name: A, value: b}], securityContext: {runAsUser: 7}}]}"), options())
	if err != nil {
		t.Fatal(err)
	}
	if rs.Name != "hello-00001-deployment" || *rs.Spec.Replicas != 2 {
		t.Errorf("got %s with %d replicas", rs.Name, *rs.Spec.Replicas)
	}
	user, grace, links := int64(7), int64(35), (*bool)(nil)
	want := corev1.PodSpec{
		TerminationGracePeriodSeconds: &grace, EnableServiceLinks: links,
		Containers: []corev1.Container{{
			Name: "user-container", Image: "app",
			Env: []corev1.EnvVar{
				{Name: "A", Value: "b"}, {Name: "K_REVISION", Value: "hello-00001"}, {Name: "K_CONFIGURATION", Value: "hello"},
				{Name: "K_SERVICE", Value: "hello"}, {Name: "PORT", Value: "8080"},
			},
			Ports:                    []corev1.ContainerPort{{Name: "http1", ContainerPort: 8080, Protocol: corev1.ProtocolTCP}},
			SecurityContext:          &corev1.SecurityContext{RunAsUser: &user},
			ReadinessProbe:           &corev1.Probe{PeriodSeconds: 1, ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(8080)}}},
			Lifecycle:                &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 5}}},
			TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
		}},
	}
	if diff := cmp.Diff(want, rs.Spec.Template.Spec); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	wantLabels := map[string]string{
		"app": "hello-00001", "team": "a", "serving.knative.dev/configuration": "hello", "serving.knative.dev/service": "hello",
		"serving.knative.dev/revision": "hello-00001", "serving.knative.dev/revisionUID": "uid",
		"fairlead.dev/installation": "i", "fairlead.dev/owner-uid": "uid",
	}
	if diff := cmp.Diff(wantLabels, rs.Spec.Template.Labels); diff != "" {
		t.Errorf("labels, -want +got:\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"note": "b", "fairlead.dev/owner": "Revision.g/ns/hello-00001"}, rs.Spec.Template.Annotations); diff != "" {
		t.Errorf("annotations, -want +got:\n%s", diff)
	}
}

func TestUsersChoicesStay(t *testing.T) {
	rs, err := ReplicaSet(revision(t, `{containers: [
	  {name: side, image: s},
	  {name: main, image: m, ports: [{name: h2c, containerPort: 9000}], terminationMessagePolicy: File,
	   lifecycle: {preStop: {exec: {command: [x]}}}, readinessProbe: {periodSeconds: 3, httpGet: {path: /ok}}, livenessProbe: {tcpSocket: {}}}]}`), options())
	if err != nil {
		t.Fatal(err)
	}
	side, main := rs.Spec.Template.Spec.Containers[0], rs.Spec.Template.Spec.Containers[1]
	if side.ReadinessProbe != nil || len(side.Ports) != 0 || side.Lifecycle.PreStop.Sleep == nil {
		t.Errorf("the container beside is %+v", side)
	}
	if main.Lifecycle.PreStop.Exec == nil || main.ReadinessProbe.PeriodSeconds != 3 || main.ReadinessProbe.HTTPGet.Port.IntValue() != 9000 ||
		main.LivenessProbe.TCPSocket.Port.IntValue() != 9000 || main.TerminationMessagePolicy != corev1.TerminationMessageReadFile {
		t.Errorf("the main container is %+v", main)
	}
}

func TestEntranceOf(t *testing.T) {
	for _, tc := range []struct {
		reason, spec string
		want         Entrance
	}{
		{"nothing said", "{containers: [{image: a}]}", Entrance{Port: 8080, Probe: true}},
		{"h2c", "{containers: [{image: a}, {image: b, ports: [{name: h2c, containerPort: 9000}]}]}", Entrance{Port: 9000, H2C: true, Probe: true}},
		{"path", "{containers: [{image: a, readinessProbe: {httpGet: {path: /ok}}}]}", Entrance{Port: 8080, Probe: true, ProbePath: "/ok"}},
		{"no path", "{containers: [{image: a, readinessProbe: {httpGet: {port: 8080}}}]}", Entrance{Port: 8080, Probe: true, ProbePath: "/"}},
		{"port by name", "{containers: [{image: a, ports: [{name: http1, containerPort: 1}], readinessProbe: {tcpSocket: {port: http1}}}]}", Entrance{Port: 1, Probe: true}},
		{"another port", "{containers: [{image: a, readinessProbe: {httpGet: {path: /ok, port: 1}}}]}", Entrance{Port: 8080, ProbePath: "/ok"}},
		{"a command", "{containers: [{image: a, readinessProbe: {exec: {command: [x]}}}]}", Entrance{Port: 8080}},
		{"later", "{containers: [{image: a, readinessProbe: {initialDelaySeconds: 5}}]}", Entrance{Port: 8080}},
		{"a startup probe", "{containers: [{image: a, startupProbe: {tcpSocket: {}}}]}", Entrance{Port: 8080}},
		{"another container's probe", "{containers: [{image: a, ports: [{containerPort: 1}]}, {image: b, readinessProbe: {tcpSocket: {port: 2}}}]}", Entrance{Port: 1}},
	} {
		if diff := cmp.Diff(tc.want, EntranceOf(revision(t, tc.spec))); diff != "" {
			t.Errorf("%s: -want +got:\n%s", tc.reason, diff)
		}
	}
}
