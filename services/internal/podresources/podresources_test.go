// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package podresources_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	corepb "fairlead.dev/gen/go/fairlead/core/v1"
	"fairlead.dev/services/internal/podresources"
)

func TestFaults(t *testing.T) {
	type list = map[string]string
	for _, tc := range []struct {
		reason           string
		requests, limits list
		want             []string
	}{
		{"nothing is asked for", nil, nil, nil},
		{"requests alone", list{"cpu": "2"}, nil, nil},
		{"limits alone", nil, list{"cpu": "2", "example.com/gpu": "1"}, nil},
		{"below the limit", list{"cpu": "500m"}, list{"cpu": "1"}, nil},
		{"the limit in other words", list{"cpu": "1000m", "memory": "1Gi"}, list{"cpu": "1", "memory": "1024Mi"}, nil},
		{"the limit of another resource", list{"cpu": "2"}, list{"memory": "1"}, nil},
		{
			"above their limits, in the order of their names", list{"memory": "2Gi", "cpu": "2"}, list{"cpu": "1", "memory": "1Gi"},
			[]string{
				`resources.requests[cpu]: Invalid value: "2": must be less than or equal to cpu limit of 1`,
				`resources.requests[memory]: Invalid value: "2Gi": must be less than or equal to memory limit of 1Gi`,
			},
		},
		{
			"devices are there for one only", list{"example.com/gpu": "1"}, list{"example.com/gpu": "2"},
			[]string{`resources.requests[example.com/gpu]: Invalid value: "1": must be equal to example.com/gpu limit of 2`},
		},
		{
			"so are huge pages", list{"hugepages-2Mi": "2Mi"}, nil,
			[]string{"resources.limits[hugepages-2Mi]: Limit must be set for non overcommitable resources"},
		},
		{"what is no quantity is told elsewhere", list{"cpu": "lots", "memory": "1Gi"}, list{"cpu": "1", "memory": "little"}, nil},
	} {
		var got []string
		for _, c := range podresources.Faults("resources", &corepb.ResourceRequirements{Requests: tc.requests, Limits: tc.limits}) {
			got = append(got, c.Field+": "+c.Message)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
		}
	}
}
