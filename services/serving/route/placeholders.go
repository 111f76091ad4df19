// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package route

import (
	"context"
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"

	"fairlead.dev/services/internal/kube"
	"fairlead.dev/services/serving/names"
)

const (
	clusterPort     int32 = 80
	clusterPortName       = "http"
	sliceSuffix           = "-router"
	manager               = "fairlead.dev"
)

// placeholders keeps the Kubernetes Services by whose names pods reach routes. They select no pods: an EndpointSlice sends
// their requests to the router.
type placeholders struct {
	kube   *kube.Client
	router netip.AddrPort // where pods reach the router; invalid: no placeholders are made
}

// notOwnedError says that another's Service has the name.
type notOwnedError struct{ name string }

func (e notOwnedError) Error() string {
	return fmt.Sprintf("a Service of Kubernetes with the name %q exists already; delete it, or rename the route or tag", e.name)
}

// keep makes the Services that a route needs, and removes those it no longer does.
func (p placeholders) keep(ctx context.Context, owner kube.Owner, wanted []string) error {
	if !p.router.IsValid() {
		return nil
	}
	services, err := p.owned(ctx, kube.Services, owner)
	if err != nil {
		return err
	}
	slices, err := p.owned(ctx, kube.EndpointSlices, owner)
	if err != nil {
		return err
	}
	for _, name := range wanted {
		if err := p.keepService(ctx, owner, name, services[name]); err != nil {
			return err
		}
		sliceName := names.Child(name, sliceSuffix)
		if err := p.keepSlice(ctx, owner, name, sliceName, slices[sliceName]); err != nil {
			return err
		}
		delete(services, name)
		delete(slices, sliceName)
	}
	for _, left := range []struct {
		resource schema.GroupVersionResource
		objs     map[string]kmetav1.Object
	}{{kube.Services, services}, {kube.EndpointSlices, slices}} {
		for _, obj := range left.objs {
			if err := p.kube.Delete(ctx, left.resource, obj.GetNamespace(), obj.GetName(), obj.GetUID()); err != nil {
				return err //nolint:wrapcheck // says what it is about
			}
		}
	}
	return nil
}

// prune removes what was made for routes of the owner's name with another UID.
func (p placeholders) prune(ctx context.Context, owner kube.Owner) error {
	for _, resource := range []schema.GroupVersionResource{kube.Services, kube.EndpointSlices} {
		if err := p.kube.Prune(ctx, resource, owner); err != nil {
			return err //nolint:wrapcheck // says what it is about
		}
	}
	return nil
}

// owned returns what the cluster has for an owner, by name. What is left of an earlier owner of that name goes.
func (p placeholders) owned(ctx context.Context, resource schema.GroupVersionResource, owner kube.Owner) (map[string]kmetav1.Object, error) {
	if err := p.kube.Prune(ctx, resource, owner); err != nil {
		return nil, err //nolint:wrapcheck // says what it is about
	}
	objs, err := p.kube.Owned(resource, owner)
	if err != nil {
		return nil, err //nolint:wrapcheck // says what it is about
	}
	byName := make(map[string]kmetav1.Object, len(objs))
	for _, obj := range objs {
		if obj.GetLabels()[kube.LabelOwnerUID] == owner.UID && obj.GetDeletionTimestamp() == nil {
			byName[obj.GetName()] = obj
		}
	}
	return byName, nil
}

func (p placeholders) keepService(ctx context.Context, owner kube.Owner, name string, is kmetav1.Object) error {
	want := &corev1.Service{
		TypeMeta:   kmetav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: kmetav1.ObjectMeta{Namespace: owner.Namespace, Name: name, Labels: map[string]string{names.LabelRoute: owner.Name}},
		Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{
			Name: clusterPortName, Port: clusterPort, Protocol: corev1.ProtocolTCP, TargetPort: intstr.FromInt32(int32(p.router.Port())),
		}}},
	}
	if found, ok := is.(*corev1.Service); ok {
		if equality.Semantic.DeepDerivative(want.Spec, found.Spec) && len(found.Spec.Selector) == 0 {
			return nil
		}
	} else if err := p.free(ctx, owner, name); err != nil {
		return err
	}
	_, err := p.kube.Apply(ctx, owner, want)
	return err //nolint:wrapcheck // says what it is about
}

// free tells whether a name is nobody else's.
func (p placeholders) free(ctx context.Context, owner kube.Owner, name string) error {
	found, err := p.kube.Clientset().CoreV1().Services(owner.Namespace).Get(ctx, name, kmetav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return fmt.Errorf("service %s: %w", name, err)
	case found.Annotations[kube.AnnotationOwner] != owner.String() || found.Labels[kube.LabelInstallation] != p.kube.Installation():
		return notOwnedError{name}
	}
	return nil
}

func (p placeholders) keepSlice(ctx context.Context, owner kube.Owner, service, name string, is kmetav1.Object) error {
	family := discoveryv1.AddressTypeIPv4
	if p.router.Addr().Is6() && !p.router.Addr().Is4In6() {
		family = discoveryv1.AddressTypeIPv6
	}
	ready, portName, port, protocol := true, clusterPortName, int32(p.router.Port()), corev1.ProtocolTCP
	want := &discoveryv1.EndpointSlice{
		TypeMeta: kmetav1.TypeMeta{APIVersion: "discovery.k8s.io/v1", Kind: "EndpointSlice"},
		ObjectMeta: kmetav1.ObjectMeta{
			Namespace: owner.Namespace, Name: name,
			Labels: map[string]string{
				discoveryv1.LabelServiceName: service, discoveryv1.LabelManagedBy: manager, names.LabelRoute: owner.Name,
			},
		},
		AddressType: family,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{p.router.Addr().Unmap().String()}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}}},
		Ports:       []discoveryv1.EndpointPort{{Name: &portName, Port: &port, Protocol: &protocol}},
	}
	if found, ok := is.(*discoveryv1.EndpointSlice); ok &&
		equality.Semantic.DeepEqual(want.Endpoints, found.Endpoints) && equality.Semantic.DeepEqual(want.Ports, found.Ports) &&
		equality.Semantic.DeepDerivative(want.Labels, found.Labels) {
		return nil
	}
	_, err := p.kube.Apply(ctx, owner, want)
	return err //nolint:wrapcheck // says what it is about
}
