// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package older serves the older forms of eventing's kinds, v1alpha1 and v1beta1: it converts them to the stored form, v1, and
// back.
package older

import (
	"context"
	"fmt"

	eventingv1 "fairlead.dev/gen/go/fairlead/eventing/v1"
	eventingv1alpha1 "fairlead.dev/gen/go/fairlead/eventing/v1alpha1"
	eventingv1beta1 "fairlead.dev/gen/go/fairlead/eventing/v1beta1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/resource"
	"fairlead.dev/services/internal/store"
)

// AnnotationForm holds, on stored Triggers, in which of its ways v1alpha1 says what they say.
const AnnotationForm = "eventing.fairlead.dev/v1alpha1"

// DefaultBroker is the Broker of Triggers that name none.
const DefaultBroker = "default"

// Handlers returns how the older forms are served, beside the handlers of the stored ones.
func Handlers() ([]resource.Handler, error) {
	var out []resource.Handler
	for message, hooks := range map[store.Object]resource.Hooks{
		&eventingv1alpha1.Broker{}:  {Convert: &resource.Conversion{ToStored: brokerUp, FromStored: brokerDown, Warnings: brokerWarnings}},
		&eventingv1alpha1.Trigger{}: triggerHooks(),
		&eventingv1beta1.Broker{}:   {Convert: &resource.Conversion{ToStored: betaBrokerUp, FromStored: betaBrokerDown}},
		&eventingv1beta1.Trigger{}: {
			Default: defaultBetaTrigger,
			Convert: &resource.Conversion{ToStored: betaTriggerUp, FromStored: betaTriggerDown},
		},
	} {
		name := message.ProtoReflect().Descriptor().FullName()
		k, ok := kinds.ByMessage(name)
		if !ok {
			return nil, fmt.Errorf("older: %s is no registered kind", name)
		}
		out = append(out, resource.Handler{Kind: k, Hooks: hooks})
	}
	return out, nil
}

func wrongType(obj store.Object) error {
	return apierror.Internal(fmt.Errorf("older: no conversion is for %s", obj.ProtoReflect().Descriptor().FullName()))
}

// The kinds of v1beta1 have the fields of v1.

func betaBrokerUp(obj store.Object) (store.Object, error) {
	b, ok := obj.(*eventingv1beta1.Broker)
	if !ok {
		return nil, wrongType(obj)
	}
	return &eventingv1.Broker{Spec: b.GetSpec(), Status: b.GetStatus()}, nil
}

func betaBrokerDown(obj store.Object) (store.Object, error) {
	b, ok := obj.(*eventingv1.Broker)
	if !ok {
		return nil, wrongType(obj)
	}
	return &eventingv1beta1.Broker{Spec: b.GetSpec(), Status: b.GetStatus()}, nil
}

// defaultBetaTrigger fills in what v1 requires.
func defaultBetaTrigger(_ context.Context, obj, _ store.Object) {
	if t, ok := obj.(*eventingv1beta1.Trigger); ok && t.GetSpec() != nil && t.GetSpec().GetBroker() == "" {
		t.Spec.Broker = DefaultBroker
	}
}

func betaTriggerUp(obj store.Object) (store.Object, error) {
	t, ok := obj.(*eventingv1beta1.Trigger)
	if !ok {
		return nil, wrongType(obj)
	}
	return &eventingv1.Trigger{Spec: t.GetSpec(), Status: t.GetStatus()}, nil
}

func betaTriggerDown(obj store.Object) (store.Object, error) {
	t, ok := obj.(*eventingv1.Trigger)
	if !ok {
		return nil, wrongType(obj)
	}
	return &eventingv1beta1.Trigger{Spec: t.GetSpec(), Status: t.GetStatus()}, nil
}
