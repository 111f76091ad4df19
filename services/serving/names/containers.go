// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package names

import (
	"fmt"

	corepb "fairlead.dev/gen/go/fairlead/core/v1"
)

// OfContainers names the containers of a pod that have no names.
func OfContainers(pod *corepb.PodSpec) {
	nameContainers(pod.GetContainers(), DefaultContainer)
	nameContainers(pod.GetInitContainers(), "init-container")
}

func nameContainers(containers []*corepb.Container, name string) {
	for i, c := range containers {
		switch {
		case c.GetName() != "":
		case len(containers) == 1:
			c.Name = name
		default:
			c.Name = fmt.Sprintf("%s-%d", name, i)
		}
	}
}
