// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	corepb "fairlead.dev/gen/go/fairlead/core/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/codec"
	"fairlead.dev/services/internal/rpc"
	"fairlead.dev/services/serving/autoscaler"
)

func rules() Rules {
	return Rules{DefaultTimeoutSeconds: 300, Autoscaler: autoscaler.DefaultConfig()}
}

func read[T proto.Message](t *testing.T, to T, yaml string) T {
	t.Helper()
	data, err := codec.YAMLToJSON([]byte(yaml), codec.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := codec.Unmarshal(data, to, codec.Options{Strict: true}); err != nil {
		t.Fatalf("%v in\n%s", err, yaml)
	}
	return to
}

const sample = `
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: hello, namespace: ns}
spec:
  template:
    spec:
      containers: [{image: app}]
`

func as(user string) context.Context {
	return rpc.WithIdentity(context.Background(), &rpc.Identity{User: user})
}

func TestDefaultService(t *testing.T) {
	got := read(t, &servingv1.Service{}, sample)
	rules().defaultService(as("alice"), got, nil)
	want := read(t, &servingv1.Service{}, `
apiVersion: serving.knative.dev/v1
kind: Service
metadata:
  name: hello
  namespace: ns
  annotations: {serving.knative.dev/creator: alice, serving.knative.dev/lastModifier: alice}
spec:
  template:
    spec:
      containerConcurrency: 0
      timeoutSeconds: 300
      enableServiceLinks: false
      containers: [{name: user-container, image: app}]
  traffic: [{latestRevision: true, percent: 100}]
`)
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if causes := rules().validateService(got, nil); len(causes) > 0 {
		t.Errorf("faults: %v", causes)
	}
	again, _ := proto.Clone(got).(*servingv1.Service)
	rules().defaultService(as("bob"), again, got)
	if diff := cmp.Diff(got, again, protocmp.Transform()); diff != "" {
		t.Errorf("a second time changes:\n%s", diff)
	}
	again.Spec.Template.Spec.PodSpec.Containers[0].Image = "app:2"
	again.Metadata.Annotations["serving.knative.dev/creator"] = "mallory"
	rules().defaultService(as("bob"), again, got)
	if a := again.GetMetadata().GetAnnotations(); a["serving.knative.dev/creator"] != "alice" || a["serving.knative.dev/lastModifier"] != "bob" {
		t.Errorf("annotations are %v", a)
	}
}

func TestDefaultSeveralContainers(t *testing.T) {
	got := read(t, &servingv1.Revision{}, "apiVersion: serving.knative.dev/v1\nkind: Revision\nspec: {containers: [{image: a, ports: [{containerPort: 1}]}, {image: b}, {name: c, image: c}]}")
	rules().defaultRevision(context.Background(), got, nil)
	containers := got.GetSpec().GetPodSpec().GetContainers()
	names := make([]string, len(containers))
	for i, c := range containers {
		names[i] = c.GetName()
	}
	if diff := cmp.Diff([]string{"user-container-0", "user-container-1", "c"}, names); diff != "" {
		t.Error(diff)
	}
}

func TestValidateService(t *testing.T) {
	for _, tc := range []struct {
		reason string
		change func(*servingv1.Service)
		want   []string // field: part of the message
	}{
		{"no template", func(s *servingv1.Service) { s.Spec.Template = nil }, []string{"spec.template: needs a template"}},
		{
			"every fault at once", func(s *servingv1.Service) {
				s.Spec.Template.Spec.PodSpec.Containers[0].Image = ""
				s.Spec.Traffic[0].Percent = proto.Int64(50)
				s.Spec.Template.Metadata = &metav1.ObjectMeta{Annotations: map[string]string{"autoscaling.knative.dev/min-scale": "x"}}
			},
			[]string{
				"spec.template.metadata.annotations[autoscaling.knative.dev/min-scale]: whole number",
				"spec.template.spec.containers[0].image: name the image",
				"spec.traffic: add up to 50; they must add up to 100",
			},
		},
		{
			"annotations at the wrong place", func(s *servingv1.Service) {
				s.Metadata.Annotations = map[string]string{"autoscaling.knative.dev/min-scale": "1"}
			},
			[]string{"metadata.annotations[autoscaling.knative.dev/min-scale]: spec.template.metadata.annotations"},
		},
		{
			"visibility", func(s *servingv1.Service) {
				s.Metadata.Labels = map[string]string{"networking.knative.dev/visibility": "private"}
			},
			[]string{"metadata.labels[networking.knative.dev/visibility]: cluster-local"},
		},
		{
			"a revision's name begins with the service's", func(s *servingv1.Service) {
				s.Spec.Template.Metadata = &metav1.ObjectMeta{Name: "other-1"}
			},
			[]string{`spec.template.metadata.name: must begin with "hello-"`},
		},
		{
			"targets", func(s *servingv1.Service) {
				s.Spec.Traffic = []*servingv1.TrafficTarget{
					{RevisionName: "hello-1", LatestRevision: new(true), Percent: proto.Int64(50), Tag: "a"},
					{LatestRevision: new(false), Percent: proto.Int64(50), Tag: "a"},
					{ConfigurationName: "hello", Tag: "B"},
					{LatestRevision: new(true), Url: "http://x", Tag: strings.Repeat("t", 60)},
				}
			},
			[]string{
				"spec.traffic[0].latestRevision: must be false", "spec.traffic[1].latestRevision: must be true",
				"spec.traffic[1].tag: tag of spec.traffic[0]", "spec.traffic[2].configurationName: own configuration",
				"spec.traffic[2].tag: DNS-1035", "spec.traffic[3].url: the server sets it", "spec.traffic[3].tag: longer than 63",
			},
		},
		{
			"progress deadline", func(s *servingv1.Service) {
				s.Spec.Template.Metadata = &metav1.ObjectMeta{Annotations: map[string]string{"serving.knative.dev/progress-deadline": "soon"}}
			},
			[]string{"spec.template.metadata.annotations[serving.knative.dev/progress-deadline]: no duration"},
		},
		{
			"annotations with power over the node", func(s *servingv1.Service) {
				s.Spec.Template.Metadata = &metav1.ObjectMeta{Annotations: map[string]string{"container.apparmor.security.beta.kubernetes.io/user-container": "unconfined"}}
			},
			[]string{"spec.template.metadata.annotations[container.apparmor.security.beta.kubernetes.io/user-container]: --allow-node-power"},
		},
	} {
		s := read(t, &servingv1.Service{}, sample)
		rules().defaultService(context.Background(), s, nil)
		tc.change(s)
		check(t, tc.reason, rules(), s, nil, tc.want)
	}
}

func check(t *testing.T, reason string, r Rules, s, old *servingv1.Service, want []string) {
	t.Helper()
	causes := r.validateService(s, old)
	if len(causes) != len(want) {
		t.Errorf("%s: got %v, want %v", reason, causes, want)
		return
	}
	for i, c := range causes {
		field, message, _ := strings.Cut(want[i], ": ")
		if c.Field != field || !strings.Contains(c.Message, message) {
			t.Errorf("%s: got %v, want %s", reason, c, want[i])
		}
	}
}

func TestNameOfChangedTemplate(t *testing.T) {
	old := read(t, &servingv1.Service{}, sample)
	old.Spec.Template.Metadata = &metav1.ObjectMeta{Name: "hello-one"}
	rules().defaultService(context.Background(), old, nil)
	s, _ := proto.Clone(old).(*servingv1.Service)
	check(t, "nothing changed", rules(), s, old, nil)
	s.Spec.Template.Spec.PodSpec.Containers[0].Image = "app:2"
	check(t, "changed", rules(), s, old, []string{"spec.template.metadata.name: give a new name"})
	s.Spec.Template.Metadata.Name = "hello-two"
	check(t, "with a new name", rules(), s, old, nil)
}

func TestValidatePod(t *testing.T) {
	const at = "spec.template.spec."
	for _, tc := range []struct {
		reason, spec string
		want         []string
	}{
		{"no container", "{}", []string{at + "containers: needs a container"}},
		{
			"ports", "{containers: [{image: a, ports: [{containerPort: 70000, name: grpc, protocol: UDP}, {containerPort: 1}]}]}",
			[]string{at + "containers[0].ports: one port", at + "containers[0].ports[0].containerPort: between", at + "containers[0].ports[0].name: h2c", at + "containers[0].ports[0].protocol: TCP"},
		},
		{"one of several has ports", "{containers: [{image: a}, {image: b}]}", []string{at + "containers: has to have ports"}},
		{
			"only one has ports", "{containers: [{image: a, ports: [{containerPort: 1}]}, {image: b, ports: [{containerPort: 2}]}]}",
			[]string{at + "containers: only one"},
		},
		{
			"names and environment", "{containers: [{name: A_b, image: 'a b', env: [{name: PORT, value: '1'}, {name: a=b}]}]}",
			[]string{at + "containers[0].name: RFC 1123", at + "containers[0].image: spaces", at + "containers[0].env[0].name: set by the server", at + "containers[0].env[1].name: a valid environment variable name"},
		},
		{
			"volumes", "{volumes: [{name: v, secret: {secretName: s}}, {name: v, nfs: {server: s, path: /}}, {name: w}], containers: [{image: a, volumeMounts: [{name: v, mountPath: data}, {name: x, mountPath: /x}, {name: v, mountPath: /x/}]}]}",
			[]string{
				at + "volumes[1].name: another volume", at + "volumes[1].nfs: one of secret", at + "volumes[2]: one source",
				at + "containers[0].volumeMounts[0].mountPath: absolute", at + "containers[0].volumeMounts[1].name: no volume", at + "containers[0].volumeMounts[2].mountPath: already",
			},
		},
		{
			"fields of the server", "{restartPolicy: Never, terminationGracePeriodSeconds: 1, activeDeadlineSeconds: 1, containers: [{image: a}]}",
			[]string{at + "restartPolicy: always", at + "terminationGracePeriodSeconds: timeoutSeconds", at + "activeDeadlineSeconds: no end"},
		},
		{
			"timeouts", "{timeoutSeconds: 10, responseStartTimeoutSeconds: 11, idleTimeoutSeconds: 12, containers: [{image: a}]}",
			[]string{at + "responseStartTimeoutSeconds: more than timeoutSeconds", at + "idleTimeoutSeconds: more than timeoutSeconds"},
		},
		{
			"more than the limit", "{resources: {requests: {memory: 2}, limits: {memory: 1}}, initContainers: [{name: i, image: a, resources: {requests: {cpu: 2}, limits: {cpu: 1500m}}}], containers: [{image: a, resources: {requests: {cpu: 2, memory: 1Gi}, limits: {cpu: 1, memory: 1Gi}}}]}",
			[]string{
				at + "resources.requests[memory]: must be less than or equal to memory limit of 1",
				at + "containers[0].resources.requests[cpu]: must be less than or equal to cpu limit of 1",
				at + "initContainers[0].resources.requests[cpu]: must be less than or equal to cpu limit of 1500m",
			},
		},
		{"probes", "{containers: [{image: a, readinessProbe: {exec: {command: [x]}, tcpSocket: {}}}]}", []string{at + "containers[0].readinessProbe: not several"}},
		{
			"power over the node",
			"{hostNetwork: true, hostPID: true, nodeName: node-1, volumes: [{name: v, hostPath: {path: /}}], containers: [{image: a, securityContext: {privileged: true, capabilities: {add: [NET_BIND_SERVICE, SYS_ADMIN]}}, ports: [{hostPort: 80, containerPort: 80}]}]}",
			[]string{
				at + "hostNetwork: power", at + "hostPID: power", at + "nodeName: power", at + "volumes[0].hostPath: power",
				at + "containers[0].securityContext.privileged: power", at + "containers[0].securityContext.capabilities.add[1]: power", at + "containers[0].ports[0].hostPort: power",
			},
		},
	} {
		s := read(t, &servingv1.Service{}, "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: hello}\nspec: {template: {spec: "+tc.spec+"}}")
		rules().defaultService(context.Background(), s, nil)
		check(t, tc.reason, rules(), s, nil, tc.want)
	}
}

func TestAllowNodePower(t *testing.T) {
	s := read(t, &servingv1.Service{}, "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: hello}\nspec: {template: {spec: {hostNetwork: true, volumes: [{name: v, hostPath: {path: /}}], containers: [{image: a, securityContext: {privileged: true}}]}}}")
	r := rules()
	r.AllowNodePower = true
	r.defaultService(context.Background(), s, nil)
	check(t, "allowed", r, s, nil, nil)
}

func TestRevisionIsImmutable(t *testing.T) {
	old := &servingv1.Revision{Spec: &servingv1.RevisionSpec{PodSpec: &corepb.PodSpec{Containers: []*corepb.Container{{Name: "a", Image: "a"}}}}}
	rev, _ := proto.Clone(old).(*servingv1.Revision)
	if causes := rules().validateRevision(rev, old); len(causes) > 0 {
		t.Errorf("unchanged: %v", causes)
	}
	rev.Spec.PodSpec.Containers[0].Image = "b"
	if causes := rules().validateRevision(rev, old); len(causes) != 1 || causes[0].Field != "spec" {
		t.Errorf("changed: %v", causes)
	}
}

func TestRevisionGetsNoPowerLater(t *testing.T) {
	const key = "container.apparmor.security.beta.kubernetes.io/a"
	plain := &servingv1.Revision{Metadata: &metav1.ObjectMeta{Annotations: map[string]string{"note": "b"}}}
	powerful := &servingv1.Revision{Metadata: &metav1.ObjectMeta{Annotations: map[string]string{"note": "c", key: "unconfined"}}}
	if causes := rules().validateRevision(powerful, plain); len(causes) != 1 || causes[0].Field != "metadata.annotations["+key+"]" {
		t.Errorf("added: %v", causes)
	}
	if causes := rules().validateRevision(powerful, powerful); len(causes) > 0 {
		t.Errorf("there since it was allowed: %v", causes)
	}
	allowing := rules()
	allowing.AllowNodePower = true
	if causes := allowing.validateRevision(powerful, plain); len(causes) > 0 {
		t.Errorf("allowed: %v", causes)
	}
}

func TestValidateRoute(t *testing.T) {
	r := &servingv1.Route{Metadata: &metav1.ObjectMeta{Name: "r"}, Spec: &servingv1.RouteSpec{Traffic: []*servingv1.TrafficTarget{
		{Percent: proto.Int64(100)}, {ConfigurationName: "c", RevisionName: "r"},
	}}}
	rules().defaultRoute(context.Background(), r, nil)
	causes := rules().validateRoute(r, nil)
	if len(causes) != 2 || causes[0].Field != "spec.traffic[0]" || causes[1].Field != "spec.traffic[1]" {
		t.Errorf("got %v", causes)
	}
}
