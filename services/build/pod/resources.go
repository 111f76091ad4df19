// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package pod

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// share lets steps share what the pod asks of its node. Kubernetes adds up the requests of containers that run together;
// steps run one after another, so the pod needs the largest request of each resource only. That one stays where it is,
// and the others become zero: zero and not nothing, for a limit alone would be taken for a request.
//
// Resources that a node cannot give to several at once (devices, huge pages) stay as they are.
func share(steps []corev1.Container) {
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage} {
		largest, at := resource.Quantity{}, -1
		for i, c := range steps {
			if q, ok := asked(c, name); ok && (at < 0 || q.Cmp(largest) > 0) {
				largest, at = q, i
			}
		}
		for i := range steps {
			if _, ok := asked(steps[i], name); !ok {
				continue
			}
			if steps[i].Resources.Requests == nil {
				steps[i].Resources.Requests = corev1.ResourceList{}
			}
			steps[i].Resources.Requests[name] = resource.Quantity{}
			if i == at {
				steps[i].Resources.Requests[name] = largest
			}
		}
	}
}

// asked is what Kubernetes takes for a container's request: the request, or else the limit.
func asked(c corev1.Container, name corev1.ResourceName) (resource.Quantity, bool) {
	if q, ok := c.Resources.Requests[name]; ok {
		return q, true
	}
	q, ok := c.Resources.Limits[name]
	return q, ok
}
