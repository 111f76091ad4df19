// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package older

import (
	"net/url"

	eventingv1 "fairlead.dev/gen/go/fairlead/eventing/v1"
	eventingv1alpha1 "fairlead.dev/gen/go/fairlead/eventing/v1alpha1"
	"fairlead.dev/services/internal/store"
)

func brokerUp(obj store.Object) (store.Object, error) {
	b, ok := obj.(*eventingv1alpha1.Broker)
	if !ok {
		return nil, wrongType(obj)
	}
	out := &eventingv1.Broker{}
	if spec := b.GetSpec(); spec != nil {
		out.Spec = &eventingv1.BrokerSpec{Config: spec.GetConfig(), Delivery: spec.GetDelivery()}
	}
	if st := b.GetStatus(); st != nil {
		out.Status = &eventingv1.BrokerStatus{
			ObservedGeneration: st.GetObservedGeneration(), Conditions: st.GetConditions(), Annotations: st.GetAnnotations(),
			Address: st.GetAddress().GetAddressable(), DeadLetterSinkUri: st.GetDeadLetterSinkUri(),
		}
		if st.GetAddress() != nil && out.Status.GetAddress() == nil { // an empty message that stands inline is none
			out.Status.Address = &eventingv1.Addressable{}
		}
	}
	return out, nil
}

func brokerDown(obj store.Object) (store.Object, error) {
	b, ok := obj.(*eventingv1.Broker)
	if !ok {
		return nil, wrongType(obj)
	}
	out := &eventingv1alpha1.Broker{}
	if spec := b.GetSpec(); spec != nil {
		out.Spec = &eventingv1alpha1.BrokerSpec{Config: spec.GetConfig(), Delivery: spec.GetDelivery()}
	}
	if st := b.GetStatus(); st != nil {
		out.Status = &eventingv1alpha1.BrokerStatus{
			ObservedGeneration: st.GetObservedGeneration(), Conditions: st.GetConditions(), Annotations: st.GetAnnotations(),
			DeadLetterSinkUri: st.GetDeadLetterSinkUri(),
		}
		if a := st.GetAddress(); a != nil {
			out.Status.Address = &eventingv1alpha1.Addressable{Addressable: a}
			if u, err := url.Parse(a.GetUrl()); err == nil {
				out.Status.Address.Hostname = u.Hostname()
			}
		}
	}
	return out, nil
}

func brokerWarnings(obj store.Object) []string {
	if b, ok := obj.(*eventingv1alpha1.Broker); ok && b.GetSpec().GetChannelTemplateSpec() != nil {
		return []string{"spec.channelTemplateSpec is kept, but not acted on: the broker keeps its events in a stream of its own"}
	}
	return nil
}
