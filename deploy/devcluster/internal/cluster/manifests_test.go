// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"fairlead.dev/deploy/devcluster/internal/topology"
)

func TestManifestsAreStrictlyValid(t *testing.T) {
	t.Parallel()
	objects, err := renderManifests()
	if err != nil {
		t.Fatal(err)
	}
	into := map[string]func() any{
		"StorageClass":       func() any { return &storagev1.StorageClass{} },
		"Service":            func() any { return &corev1.Service{} },
		"EndpointSlice":      func() any { return &discoveryv1.EndpointSlice{} },
		"ClusterRole":        func() any { return &rbacv1.ClusterRole{} },
		"ClusterRoleBinding": func() any { return &rbacv1.ClusterRoleBinding{} },
	}
	var kinds []string
	for _, object := range objects {
		kinds = append(kinds, object.GetKind())
		empty, known := into[object.GetKind()]
		if !known {
			t.Errorf("unexpected kind %s", object.GetKind())
			continue
		}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, empty(), true); err != nil {
			t.Errorf("%s %s: %v", object.GetKind(), object.GetName(), err)
		}
	}
	want := []string{
		"StorageClass", "Service", "EndpointSlice", "ClusterRole", "ClusterRoleBinding", "ClusterRole", "ClusterRoleBinding",
	}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDNSServiceLeadsToTheBridge(t *testing.T) {
	t.Parallel()
	objects, err := renderManifests()
	if err != nil {
		t.Fatal(err)
	}
	service, slice := &corev1.Service{}, &discoveryv1.EndpointSlice{}
	for _, object := range objects {
		switch object.GetKind() {
		case "Service":
			err = runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, service)
		case "EndpointSlice":
			err = runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, slice)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if service.Spec.ClusterIP != topology.ClusterDNS || service.Spec.Selector != nil {
		t.Errorf("the Service selects nothing and has the address that pods are given: %+v", service.Spec)
	}
	if got := slice.Labels[discoveryv1.LabelServiceName]; got != service.Name {
		t.Errorf("the slice belongs to %q, want %q", got, service.Name)
	}
	if diff := cmp.Diff([]string{topology.BridgeIP}, slice.Endpoints[0].Addresses); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
