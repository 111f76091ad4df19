// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package routing

import (
	"cmp"
	"net"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"

	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/kube"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/serving/names"
	"fairlead.dev/services/serving/revision"
	"fairlead.dev/services/serving/workload"
)

const wholePercent = 100

// hostsOf returns what a route puts into the table. As long as none of its shares has ever been assigned, requests go to the
// newest revisions that there are: they wait for the first pod, or get to know why there is none.
func hostsOf(r *servingv1.Route, domain string, newest func(configuration string) string) *hosts {
	m := r.GetMetadata()
	traffic := r.GetStatus().GetTraffic()
	if len(traffic) == 0 {
		traffic = provisional(r, newest)
	}
	local := m.GetLabels()[names.LabelVisibility] == names.VisibilityClusterLocal
	at := func(name string) *servingv1.HostRoute {
		h := &servingv1.HostRoute{Hosts: names.ClusterHosts(name, m.GetNamespace()), Namespace: m.GetNamespace()}
		if !local {
			h.Hosts = append(h.Hosts, names.ExternalHost(name, m.GetNamespace(), domain))
		}
		return h
	}
	out := &hosts{route: at(m.GetName())}
	for _, t := range traffic {
		if t.GetPercent() > 0 {
			out.route.Shares = append(out.route.Shares, &servingv1.RouteShare{Revision: t.GetRevisionName(), Percent: int32(t.GetPercent())})
		}
		if t.GetTag() != "" {
			tag := at(names.Tagged(t.GetTag(), m.GetName()))
			tag.Shares = []*servingv1.RouteShare{{Revision: t.GetRevisionName(), Percent: wholePercent}}
			out.tags = append(out.tags, tag)
		}
	}
	return out
}

func provisional(r *servingv1.Route, newest func(configuration string) string) []*servingv1.TrafficTarget {
	var out []*servingv1.TrafficTarget
	for _, t := range r.GetSpec().GetTraffic() {
		name := t.GetRevisionName()
		if name == "" {
			name = newest(t.GetConfigurationName())
		}
		if name != "" {
			out = append(out, &servingv1.TrafficTarget{RevisionName: name, Percent: t.Percent, Tag: t.GetTag()})
		}
	}
	return out
}

// backendOf returns what a revision puts into the table. Without serving it has no pods there.
func backendOf(rev *servingv1.Revision, pods []*corev1.Pod, serving bool) *servingv1.RevisionBackend {
	entrance := workload.EntranceOf(rev)
	b := &servingv1.RevisionBackend{
		Namespace: rev.GetMetadata().GetNamespace(), Name: rev.GetMetadata().GetName(),
		ContainerConcurrency: rev.GetSpec().GetContainerConcurrency(), TimeoutSeconds: rev.GetSpec().GetTimeoutSeconds(),
		ResponseStartTimeoutSeconds: rev.GetSpec().GetResponseStartTimeoutSeconds(), IdleTimeoutSeconds: rev.GetSpec().GetIdleTimeoutSeconds(),
		H2C: entrance.H2C, ProbePath: entrance.ProbePath, Failure: revision.Failure(rev),
	}
	if !serving {
		return b
	}
	for _, p := range pods {
		ready := revision.IsReady(p)
		if p.DeletionTimestamp != nil || p.Status.PodIP == "" || p.Status.Phase != corev1.PodRunning && p.Status.Phase != corev1.PodPending || !ready && !entrance.Probe {
			continue
		}
		b.Pods = append(b.Pods, &servingv1.PodEndpoint{Address: net.JoinHostPort(p.Status.PodIP, strconv.Itoa(int(entrance.Port))), Ready: ready})
	}
	slices.SortFunc(b.Pods, func(x, y *servingv1.PodEndpoint) int { return cmp.Compare(x.GetAddress(), y.GetAddress()) })
	return b
}

// podsOf returns the pods of a revision that the cluster shows.
func podsOf(k *kube.Client, owner kube.Owner) ([]*corev1.Pod, error) {
	objs, err := k.Owned(kube.Pods, owner)
	if err != nil {
		return nil, err //nolint:wrapcheck // says what it is about
	}
	var pods []*corev1.Pod
	for _, obj := range objs {
		if p, ok := obj.(*corev1.Pod); ok && p.Labels[kube.LabelOwnerUID] == owner.UID {
			pods = append(pods, p)
		}
	}
	return pods, nil
}

// keysOf is the key of an object, as a list.
func keysOf(obj store.Object) []store.Key { return []store.Key{store.KeyOf(obj)} }
