// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package routing

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	corev1 "k8s.io/api/core/v1"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	corepb "fairlead.dev/gen/go/fairlead/core/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/store"
)

func newRoute(name string, traffic ...*servingv1.TrafficTarget) *servingv1.Route {
	return &servingv1.Route{
		Metadata: &metav1.ObjectMeta{Namespace: "ns", Name: name},
		Spec:     &servingv1.RouteSpec{Traffic: []*servingv1.TrafficTarget{{ConfigurationName: "hello", Percent: proto.Int64(100)}}},
		Status:   &servingv1.RouteStatus{Traffic: traffic},
	}
}

func none(string) string { return "" }

func hostNames(name string) []string {
	return []string{name + ".ns.svc.cluster.local", name + ".ns.svc", name + ".ns", name + ".ns.localhost"}
}

func TestHostsOf(t *testing.T) {
	r := newRoute("hello",
		&servingv1.TrafficTarget{RevisionName: "r1", Percent: proto.Int64(90)},
		&servingv1.TrafficTarget{RevisionName: "r2", Percent: proto.Int64(10), Tag: "next"},
		&servingv1.TrafficTarget{RevisionName: "r3", Tag: "old"})
	got := hostsOf(r, "localhost", none)
	want := &hosts{
		route: &servingv1.HostRoute{Hosts: hostNames("hello"), Namespace: "ns", Shares: []*servingv1.RouteShare{{Revision: "r1", Percent: 90}, {Revision: "r2", Percent: 10}}},
		tags: []*servingv1.HostRoute{
			{Hosts: hostNames("next-hello"), Namespace: "ns", Shares: []*servingv1.RouteShare{{Revision: "r2", Percent: 100}}},
			{Hosts: hostNames("old-hello"), Namespace: "ns", Shares: []*servingv1.RouteShare{{Revision: "r3", Percent: 100}}},
		},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(hosts{}), protocmp.Transform()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if n := len(got.revisions()); n != 3 {
		t.Errorf("it names %d revisions", n)
	}
}

func TestHostsOfLocalRoute(t *testing.T) {
	r := newRoute("hello")
	r.Metadata.Labels = map[string]string{"networking.knative.dev/visibility": "cluster-local"}
	if diff := cmp.Diff(hostNames("hello")[:3], hostsOf(r, "localhost", none).route.GetHosts()); diff != "" {
		t.Error(diff)
	}
}

func TestFirstRequestsWaitForTheNewestRevision(t *testing.T) {
	got := hostsOf(newRoute("hello"), "localhost", func(name string) string { return name + "-00001" })
	want := []*servingv1.RouteShare{{Revision: "hello-00001", Percent: 100}}
	if diff := cmp.Diff(want, got.route.GetShares(), protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}

func newPod(ip string, ready corev1.ConditionStatus) *corev1.Pod {
	return &corev1.Pod{Status: corev1.PodStatus{
		Phase: corev1.PodRunning, PodIP: ip, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}},
	}}
}

func TestBackendOf(t *testing.T) {
	container := &corepb.Container{Ports: []*corepb.ContainerPort{{Name: "h2c", ContainerPort: 9000}}}
	rev := &servingv1.Revision{
		Metadata: &metav1.ObjectMeta{Namespace: "ns", Name: "r1"},
		Spec: &servingv1.RevisionSpec{
			ContainerConcurrency: proto.Int64(3), TimeoutSeconds: proto.Int64(7), ResponseStartTimeoutSeconds: proto.Int64(5), IdleTimeoutSeconds: proto.Int64(6),
			PodSpec: &corepb.PodSpec{Containers: []*corepb.Container{container}},
		},
	}
	leaving := newPod("10.0.0.9", corev1.ConditionTrue)
	leaving.DeletionTimestamp = &kmetav1.Time{}
	pods := []*corev1.Pod{newPod("10.0.0.2", corev1.ConditionFalse), newPod("10.0.0.1", corev1.ConditionTrue), newPod("", corev1.ConditionFalse), leaving}
	want := &servingv1.RevisionBackend{
		Namespace: "ns", Name: "r1", ContainerConcurrency: 3, TimeoutSeconds: 7, ResponseStartTimeoutSeconds: 5, IdleTimeoutSeconds: 6, H2C: true,
		Pods: []*servingv1.PodEndpoint{{Address: "10.0.0.1:9000", Ready: true}, {Address: "10.0.0.2:9000"}},
	}
	if diff := cmp.Diff(want, backendOf(rev, pods, true), protocmp.Transform()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if b := backendOf(rev, pods, false); len(b.GetPods()) != 0 {
		t.Errorf("a revision that does not serve has %v", b.GetPods())
	}
	container.ReadinessProbe = &corepb.Probe{Exec: &corepb.ExecAction{}}
	if b := backendOf(rev, pods, true); len(b.GetPods()) != 1 {
		t.Errorf("where only the kubelet can tell, there are %v", b.GetPods())
	}
}

func TestTable(t *testing.T) {
	key := func(name string) store.Key { return store.Key{Namespace: "ns", Name: name} }
	table := newTable()
	first, changed := table.current()
	v := table.apply(change{
		routes: map[store.Key]*hosts{
			key("b"):   {route: &servingv1.HostRoute{Hosts: []string{"b"}}, tags: []*servingv1.HostRoute{{Hosts: []string{"a-b"}}}},
			key("a-b"): {route: &servingv1.HostRoute{Hosts: []string{"a-b"}}},
		},
		backends: map[store.Key]*servingv1.RevisionBackend{key("r"): {Name: "r"}},
	})
	if v != first.GetVersion()+1 {
		t.Errorf("version is %d after %d", v, first.GetVersion())
	}
	select {
	case <-changed:
	default:
		t.Error("nobody was told")
	}
	second, changed := table.current()
	var names []string
	for _, h := range second.GetHosts() {
		names = append(names, h.GetHosts()...)
	}
	if diff := cmp.Diff([]string{"a-b", "a-b", "b"}, names); diff != "" || len(second.GetRevisions()) != 1 {
		t.Errorf("got %v, %s", second, diff)
	}
	if table.apply(change{}) != v {
		t.Error("nothing new made a new version")
	}
	select {
	case <-changed:
		t.Error("nothing new was told")
	default:
	}
	table.apply(change{routes: map[store.Key]*hosts{key("b"): nil}})
	if third, _ := table.current(); len(third.GetHosts()) != 1 {
		t.Errorf("got %v", third)
	}
}
