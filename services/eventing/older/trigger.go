// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package older

import (
	"context"
	"slices"
	"strings"

	eventingv1 "fairlead.dev/gen/go/fairlead/eventing/v1"
	eventingv1alpha1 "fairlead.dev/gen/go/fairlead/eventing/v1alpha1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/resource"
	"fairlead.dev/services/internal/store"
)

// The ways in which a v1alpha1 Trigger says what v1 says in one way only, as they are noted on the stored one. It is served in
// such a way where it still can be: others may have changed it over v1.
const (
	wordSourceAndType = "sourceAndType"
	wordDNSName       = "dnsName"
)

// anyValue in sourceAndType means any, as nothing does.
const anyValue = "Any"

const (
	attributeType   = "type"
	attributeSource = "source"
	plainHTTP       = "http://"
)

func triggerHooks() resource.Hooks {
	return resource.Hooks{
		Default: func(_ context.Context, obj, _ store.Object) {
			if t, ok := obj.(*eventingv1alpha1.Trigger); ok && t.GetSpec() != nil && t.GetSpec().GetBroker() == "" {
				t.Spec.Broker = DefaultBroker
			}
		},
		Validate: checkTrigger,
		Convert: &resource.Conversion{
			ToStored: triggerUp, FromStored: triggerDown, Annotations: []string{AnnotationForm}, Field: triggerField,
		},
	}
}

// checkTrigger tells where a trigger says the same in two ways.
func checkTrigger(_ context.Context, obj, _ store.Object) []apierror.Cause {
	t, ok := obj.(*eventingv1alpha1.Trigger)
	if !ok {
		return nil
	}
	var causes []apierror.Cause
	if f := t.GetSpec().GetFilter(); f.GetSourceAndType() != nil && len(f.GetAttributes()) > 0 {
		causes = append(causes, apierror.Invalid("spec.filter", "expected at most one, got both: sourceAndType, attributes"))
	}
	if s := t.GetSpec().GetSubscriber(); s.GetDnsName() != "" && (s.GetUri() != "" || s.GetRef() != nil) {
		causes = append(causes, apierror.Invalid("spec.subscriber", "dnsName stands alone; leave it out, or ref and uri"))
	}
	return causes
}

func triggerUp(obj store.Object) (store.Object, error) {
	t, ok := obj.(*eventingv1alpha1.Trigger)
	if !ok {
		return nil, wrongType(obj)
	}
	out := &eventingv1.Trigger{Status: t.GetStatus()}
	spec := t.GetSpec()
	if spec == nil {
		return out, nil
	}
	var words []string
	out.Spec = &eventingv1.TriggerSpec{Broker: spec.GetBroker(), Delivery: spec.GetDelivery()}
	if s := spec.GetSubscriber(); s != nil {
		out.Spec.Subscriber = &eventingv1.Destination{Ref: s.GetRef(), Uri: s.GetUri()}
		if s.GetDnsName() != "" && s.GetUri() == "" {
			words = append(words, wordDNSName)
			out.Spec.Subscriber.Uri = plainHTTP + s.GetDnsName()
		}
	}
	if f := spec.GetFilter(); f != nil {
		out.Spec.Filter = &eventingv1.TriggerFilter{Attributes: f.GetAttributes()}
		if both := f.GetSourceAndType(); both != nil && len(f.GetAttributes()) == 0 {
			words = append(words, wordSourceAndType)
			out.Spec.Filter.Attributes = map[string]string{attributeType: valueOf(both.GetType()), attributeSource: valueOf(both.GetSource())}
		}
	}
	if len(words) > 0 {
		out.Metadata = &metav1.ObjectMeta{Annotations: map[string]string{AnnotationForm: strings.Join(words, ",")}}
	}
	return out, nil
}

// valueOf returns the value that an attribute has to have; an empty one means any.
func valueOf(value string) string {
	if value == anyValue {
		return ""
	}
	return value
}

func triggerDown(obj store.Object) (store.Object, error) {
	t, ok := obj.(*eventingv1.Trigger)
	if !ok {
		return nil, wrongType(obj)
	}
	out := &eventingv1alpha1.Trigger{Status: t.GetStatus()}
	spec := t.GetSpec()
	if spec == nil {
		return out, nil
	}
	words := strings.Split(t.GetMetadata().GetAnnotations()[AnnotationForm], ",")
	out.Spec = &eventingv1alpha1.TriggerSpec{Broker: spec.GetBroker(), Delivery: spec.GetDelivery()}
	if s := spec.GetSubscriber(); s != nil {
		out.Spec.Subscriber = &eventingv1alpha1.SubscriberSpec{Ref: s.GetRef(), Uri: s.GetUri()}
		if host, plain := strings.CutPrefix(s.GetUri(), plainHTTP); plain && host != "" && s.GetRef() == nil && slices.Contains(words, wordDNSName) {
			out.Spec.Subscriber = &eventingv1alpha1.SubscriberSpec{DnsName: host}
		}
	}
	if f := spec.GetFilter(); f != nil {
		out.Spec.Filter = &eventingv1alpha1.TriggerFilter{Attributes: f.GetAttributes()}
		if slices.Contains(words, wordSourceAndType) && hasJustSourceAndType(f.GetAttributes()) {
			out.Spec.Filter = &eventingv1alpha1.TriggerFilter{SourceAndType: &eventingv1alpha1.TriggerFilterSourceAndType{
				Type: f.GetAttributes()[attributeType], Source: f.GetAttributes()[attributeSource],
			}}
		}
	}
	return out, nil
}

func hasJustSourceAndType(attributes map[string]string) bool {
	_, hasType := attributes[attributeType]
	_, hasSource := attributes[attributeSource]
	return hasType && hasSource && len(attributes) == 2
}

// triggerField returns where a trigger says what the stored one has at a field.
func triggerField(obj store.Object, stored string) string {
	t, ok := obj.(*eventingv1alpha1.Trigger)
	if !ok {
		return stored
	}
	if stored == "spec.subscriber.uri" && t.GetSpec().GetSubscriber().GetDnsName() != "" {
		return "spec.subscriber.dnsName"
	}
	if t.GetSpec().GetFilter().GetSourceAndType() != nil && strings.HasPrefix(stored, "spec.filter.attributes") {
		return "spec.filter.sourceAndType"
	}
	return stored
}
