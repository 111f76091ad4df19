// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package rpc_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"fairlead.dev/services/internal/rpc"
)

func TestActsAs(t *testing.T) {
	right := func(resource, name string) rpc.Attributes {
		return rpc.Attributes{Verb: "impersonate", Resource: resource, Name: name}
	}
	robot := rpc.Attributes{Verb: "impersonate", Resource: "serviceaccounts", Namespace: "ci", Name: "robot"}
	cases := []struct {
		reason, user string
		groups       []string
		want         []rpc.Attributes
	}{
		{"everybody is authenticated", "ada", []string{"system:authenticated", "ops"}, []rpc.Attributes{right("users", "ada"), right("groups", "ops")}},
		{
			"a service account is in the groups of its namespace", "system:serviceaccount:ci:robot",
			[]string{"system:serviceaccounts", "system:serviceaccounts:ci"},
			[]rpc.Attributes{robot},
		},
		{
			"and in no others", "system:serviceaccount:ci:robot",
			[]string{"system:serviceaccounts:kube-system", "system:serviceaccounts-of-others"},
			[]rpc.Attributes{robot, right("groups", "system:serviceaccounts:kube-system"), right("groups", "system:serviceaccounts-of-others")},
		},
		{"users are in none of those", "ada", []string{"system:serviceaccounts"}, []rpc.Attributes{right("users", "ada"), right("groups", "system:serviceaccounts")}},
		{"no service account has no namespace", "system:serviceaccount::robot", nil, []rpc.Attributes{right("users", "system:serviceaccount::robot")}},
		{"or no name", "system:serviceaccount:ci", nil, []rpc.Attributes{right("users", "system:serviceaccount:ci")}},
		{"or a colon in it", "system:serviceaccount:ci:a:b", nil, []rpc.Attributes{right("users", "system:serviceaccount:ci:a:b")}},
	}
	for _, tc := range cases {
		if d := cmp.Diff(tc.want, rpc.ActsAs(tc.user, "", tc.groups, nil)); d != "" {
			t.Errorf("%s (-want +got):\n%s", tc.reason, d)
		}
	}
}
