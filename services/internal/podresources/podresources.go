// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package podresources tells what Kubernetes would refuse in the resources that pods ask for, so that those who ask hear
// of it at once rather than by a pod that cannot be made.
package podresources

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	corepb "fairlead.dev/gen/go/fairlead/core/v1"
	"fairlead.dev/services/internal/apierror"
)

// Faults tells which requests do not go with their limits, in Kubernetes' words. at is the path of the requirements.
// Quantities that are none are left to those who read them.
func Faults(at string, r *corepb.ResourceRequirements) []apierror.Cause {
	var causes []apierror.Cause
	requests, limits := r.GetRequests(), r.GetLimits()
	for _, name := range slices.Sorted(maps.Keys(requests)) {
		request, err := resource.ParseQuantity(requests[name])
		if err != nil {
			continue
		}
		if _, ok := limits[name]; !ok {
			if !overcommitted(name) {
				causes = append(causes, apierror.Required(at+".limits["+name+"]", "Limit must be set for non overcommitable resources"))
			}
			continue
		}
		limit, err := resource.ParseQuantity(limits[name])
		if err != nil {
			continue
		}
		var rule string
		switch order := request.Cmp(limit); {
		case order != 0 && !overcommitted(name):
			rule = "equal to"
		case order > 0:
			rule = "less than or equal to"
		default:
			continue
		}
		causes = append(causes, apierror.Invalid(at+".requests["+name+"]",
			fmt.Sprintf("Invalid value: %q: must be %s %s limit of %s", request.String(), rule, name, limit.String())))
	}
	return causes
}

// overcommitted tells whether more of a resource may be promised than there is; of huge pages and devices it may not.
func overcommitted(name string) bool {
	native := !strings.Contains(name, "/") || strings.Contains(name, "kubernetes.io/")
	return native && !strings.HasPrefix(name, "hugepages-")
}
