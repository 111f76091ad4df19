// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package aggregate registers our API groups with the cluster's kube-apiserver, which then serves them at its own endpoint
// to its own users, by asking the gateway.
package aggregate

import (
	"encoding/base64"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/kube"
)

// Service is the Kubernetes Service by which kube-apiserver reaches the gateway.
type Service struct{ Namespace, Name string }

// Host is the name that the gateway's certificate must be for.
func (s Service) Host() string { return s.Name + "." + s.Namespace + ".svc" }

const (
	servicePort = 443
	portName    = "https"
	// roleView and roleEdit add our kinds to what the cluster's users may do.
	roleView, roleEdit = "fairlead-view", "fairlead-edit"
	// groupPriority is that of CRDs: groups of Kubernetes' own count before ours where names are the same.
	groupPriority = 1000
	// versionPriority is that of a group's first version; the others follow.
	versionPriority = 100
)

type object = map[string]any

func labelled(apiVersion, kind, namespace, name, installation string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: object{"apiVersion": apiVersion, "kind": kind}}
	u.SetName(name)
	u.SetNamespace(namespace)
	u.SetLabels(map[string]string{kube.LabelInstallation: installation})
	return u
}

// Versions are the groups and versions that are served, newest first in each group, as the kinds' stored versions are.
func Versions(served []kinds.Kind) map[string][]string {
	out := map[string][]string{}
	for _, older := range []bool{false, true} {
		for _, k := range served {
			if (k.StoredVersion != "") == older && !slices.Contains(out[k.Group], k.Version) {
				out[k.Group] = append(out[k.Group], k.Version)
			}
		}
	}
	return out
}

// APIServices are one for each version of each group.
func APIServices(served []kinds.Kind, installation string, to Service, ca []byte) []*unstructured.Unstructured {
	var out []*unstructured.Unstructured
	versions := Versions(served)
	for _, group := range slices.Sorted(maps.Keys(versions)) {
		for i, version := range versions[group] {
			u := labelled("apiregistration.k8s.io/v1", "APIService", "", version+"."+group, installation)
			u.Object["spec"] = object{
				"group": group, "version": version, "groupPriorityMinimum": int64(groupPriority), "versionPriority": int64(versionPriority - i),
				"caBundle": base64.StdEncoding.EncodeToString(ca),
				"service":  object{"namespace": to.Namespace, "name": to.Name, "port": int64(servicePort)},
			}
			out = append(out, u)
		}
	}
	return out
}

// HostService is the Service of a gateway outside of the cluster, at an address that kube-apiserver reaches.
func HostService(installation string, s Service, at netip.AddrPort) []*unstructured.Unstructured {
	service := labelled("v1", "Service", s.Namespace, s.Name, installation)
	service.Object["spec"] = object{"ports": []any{object{
		"name": portName, "protocol": "TCP", "port": int64(servicePort), "targetPort": int64(at.Port()),
	}}}
	slice := labelled("discovery.k8s.io/v1", "EndpointSlice", s.Namespace, s.Name, installation)
	labels := slice.GetLabels()
	labels["kubernetes.io/service-name"] = s.Name
	labels["endpointslice.kubernetes.io/managed-by"] = "fairlead.dev"
	slice.SetLabels(labels)
	slice.Object["addressType"] = "IPv4"
	if at.Addr().Unmap().Is6() {
		slice.Object["addressType"] = "IPv6"
	}
	slice.Object["ports"] = []any{object{"name": portName, "protocol": "TCP", "port": int64(at.Port())}}
	slice.Object["endpoints"] = []any{object{
		"addresses": []any{at.Addr().Unmap().String()}, "conditions": object{"ready": true},
	}}
	return []*unstructured.Unstructured{service, slice}
}

// ClusterService is the Service of gateways in the cluster, chosen by a label.
func ClusterService(installation string, s Service, port uint16) *unstructured.Unstructured {
	service := labelled("v1", "Service", s.Namespace, s.Name, installation)
	service.Object["spec"] = object{
		"selector": object{"app.kubernetes.io/name": "fairlead", "app.kubernetes.io/component": "gateway"},
		"ports":    []any{object{"name": portName, "protocol": "TCP", "port": int64(servicePort), "targetPort": int64(port)}},
	}
	return service
}

// Roles add our kinds to what viewers, editors and admins of namespaces may do in the cluster. Roles and bindings of ours
// are for cluster admins alone.
func Roles(served []kinds.Kind, installation string) []*unstructured.Unstructured {
	plurals := map[string][]string{}
	for _, k := range served {
		if k.Namespaced && k.Group != "auth.fairlead.dev" && !slices.Contains(plurals[k.Group], k.Plural) {
			plurals[k.Group] = append(plurals[k.Group], k.Plural)
		}
	}
	role := func(name string, to []string, verbs []any, subresources ...string) *unstructured.Unstructured {
		u := labelled("rbac.authorization.k8s.io/v1", "ClusterRole", "", name, installation)
		labels := u.GetLabels()
		for _, t := range to {
			labels["rbac.authorization.k8s.io/aggregate-to-"+t] = "true"
		}
		u.SetLabels(labels)
		var rules []any
		for _, group := range slices.Sorted(maps.Keys(plurals)) {
			resources := []any{}
			for _, plural := range slices.Sorted(slices.Values(plurals[group])) {
				resources = append(resources, plural)
				for _, s := range subresources {
					resources = append(resources, plural+"/"+s)
				}
			}
			rules = append(rules, object{"apiGroups": []any{group}, "resources": resources, "verbs": verbs})
		}
		u.Object["rules"] = rules
		return u
	}
	view := role(roleView, []string{"view", "edit", "admin"}, []any{"get", "list", "watch"}, "status", "log", "history")
	edit := role(roleEdit, []string{"edit", "admin"}, []any{"create", "delete", "deletecollection", "patch", "update"}, "rollback")
	return []*unstructured.Unstructured{view, edit}
}

// Access is what the gateway's service account needs in the cluster to register our groups, and to go by the cluster's
// users: who kube-apiserver is, and what they may do.
func Access(installation string, account Service) []*unstructured.Unstructured {
	const rbac = "rbac.authorization.k8s.io/v1"
	subject := []any{object{"kind": "ServiceAccount", "namespace": account.Namespace, "name": account.Name}}
	bind := func(kind, namespace, name, roleKind, role string) *unstructured.Unstructured {
		u := labelled(rbac, kind, namespace, name, installation)
		u.Object["roleRef"] = object{"apiGroup": "rbac.authorization.k8s.io", "kind": roleKind, "name": role}
		u.Object["subjects"] = subject
		return u
	}
	rule := func(group, verbs string, resources ...string) object {
		return object{"apiGroups": []any{group}, "resources": list(resources), "verbs": list(strings.Fields(verbs))}
	}
	roles := rule("rbac.authorization.k8s.io", "create patch escalate", "clusterroles")
	roles["resourceNames"] = []any{roleView, roleEdit} // whoever may escalate any other may do everything
	register := labelled(rbac, "ClusterRole", "", "fairlead-aggregation", installation)
	register.Object["rules"] = []any{
		rule("apiregistration.k8s.io", "get list watch create patch delete", "apiservices"),
		rule("apiextensions.k8s.io", "get list watch", "customresourcedefinitions"),
		roles,
	}
	services := labelled(rbac, "Role", account.Namespace, "fairlead-aggregation", installation)
	services.Object["rules"] = []any{rule("", "create patch", "services"), rule("discovery.k8s.io", "create patch", "endpointslices")}
	return []*unstructured.Unstructured{
		register, services,
		bind("ClusterRoleBinding", "", "fairlead-aggregation", "ClusterRole", "fairlead-aggregation"),
		bind("ClusterRoleBinding", "", "fairlead-auth-delegator", "ClusterRole", "system:auth-delegator"),
		bind("RoleBinding", account.Namespace, "fairlead-aggregation", "Role", "fairlead-aggregation"),
		bind("RoleBinding", "kube-system", "fairlead-extension-apiserver-authentication-reader", "Role", "extension-apiserver-authentication-reader"),
	}
}

func list(values []string) []any {
	out := make([]any, len(values))
	for i, v := range values {
		out[i] = v
	}
	return out
}
