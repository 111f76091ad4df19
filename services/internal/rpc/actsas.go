// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"slices"
	"strings"
)

// ActsAs returns what Kubernetes asks of whoever acts as somebody who goes by these names. Groups that it gives to everybody, and
// to a service account of the namespace, need no right.
func ActsAs(user, uid string, groups []string, extra map[string][]string) []Attributes {
	a := Attributes{Verb: verbImpersonate, Resource: "users", Name: user}
	given := []string{groupAuthenticated}
	if namespace, name, ok := serviceAccount(user); ok {
		a.Resource, a.Namespace, a.Name = "serviceaccounts", namespace, name
		given = append(given, groupServiceAccounts, groupServiceAccounts+":"+namespace)
	}
	out := []Attributes{a}
	for _, g := range groups {
		if !slices.Contains(given, g) {
			out = append(out, Attributes{Verb: verbImpersonate, Resource: "groups", Name: g})
		}
	}
	if uid != "" {
		out = append(out, Attributes{Verb: verbImpersonate, Group: groupAuthentication, Resource: "uids", Name: uid})
	}
	for key, values := range extra {
		for _, v := range values {
			out = append(out, Attributes{Verb: verbImpersonate, Group: groupAuthentication, Resource: "userextras", Subresource: key, Name: v})
		}
	}
	return out
}

// serviceAccount takes apart the name of a service account; ok is false for all other users.
func serviceAccount(user string) (namespace, name string, ok bool) {
	rest, ok := strings.CutPrefix(user, serviceAccountPrefix)
	if !ok {
		return "", "", false
	}
	namespace, name, ok = strings.Cut(rest, ":")
	return namespace, name, ok && namespace != "" && name != "" && !strings.Contains(name, ":")
}
