// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package eventing

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"

	"google.golang.org/protobuf/proto"

	eventingv1 "fairlead.dev/gen/go/fairlead/eventing/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/resource"
	"fairlead.dev/services/internal/store"

	"fairlead.dev/services/eventing/delivery"
	"fairlead.dev/services/eventing/older"
)

// Annotations and labels that Knative's clients know.
const (
	annotationClass = "eventing.knative.dev/broker.class"
	labelBroker     = "eventing.knative.dev/broker"
)

var writers = resource.WriterAnnotations{Creator: "eventing.knative.dev/creator", LastModifier: "eventing.knative.dev/lastModifier"}

// classes are the broker classes that this service makes: its own, and those that existing documents name for a broker
// without needs of its own.
var classes = []string{"Fairlead", "MTChannelBasedBroker", "ChannelBasedBroker"}

func brokerHooks() resource.Hooks {
	return resource.Hooks{Default: defaultBrokerObject, Validate: validateBroker}
}

func triggerHooks() resource.Hooks {
	return resource.Hooks{Default: defaultTrigger, Validate: validateTrigger}
}

func defaultBrokerObject(ctx context.Context, obj, old store.Object) {
	b, ok := obj.(*eventingv1.Broker)
	if !ok {
		return
	}
	if b.Spec == nil {
		b.Spec = &eventingv1.BrokerSpec{}
	}
	if b.Spec.Delivery == nil {
		b.Spec.Delivery = &eventingv1.DeliverySpec{}
	}
	delivery.SetDefaults(b.Spec.Delivery)
	defaultNamespace(b.Spec.Delivery.GetDeadLetterSink(), b.GetMetadata())
	was, _ := old.(*eventingv1.Broker)
	writers.Record(ctx, b.GetMetadata(), was.GetMetadata(), was == nil || !proto.Equal(was.GetSpec(), b.GetSpec()))
}

func defaultTrigger(ctx context.Context, obj, old store.Object) {
	t, ok := obj.(*eventingv1.Trigger)
	if !ok || t.Spec == nil {
		return
	}
	if t.Spec.Broker == "" {
		t.Spec.Broker = older.DefaultBroker
	}
	defaultNamespace(t.Spec.GetSubscriber(), t.GetMetadata())
	defaultNamespace(t.Spec.GetDelivery().GetDeadLetterSink(), t.GetMetadata())
	if m := t.GetMetadata(); m != nil {
		if m.Labels == nil {
			m.Labels = map[string]string{}
		}
		m.Labels[labelBroker] = t.Spec.Broker
	}
	was, _ := old.(*eventingv1.Trigger)
	writers.Record(ctx, t.GetMetadata(), was.GetMetadata(), was == nil || !proto.Equal(was.GetSpec(), t.GetSpec()))
}

func defaultNamespace(d *eventingv1.Destination, m *metav1.ObjectMeta) {
	if ref := d.GetRef(); ref != nil && ref.Namespace == "" {
		ref.Namespace = m.GetNamespace()
	}
}

func validateBroker(_ context.Context, obj, _ store.Object) []apierror.Cause {
	b, ok := obj.(*eventingv1.Broker)
	if !ok {
		return nil
	}
	var causes []apierror.Cause
	if class, ok := b.GetMetadata().GetAnnotations()[annotationClass]; ok && !slices.Contains(classes, class) {
		causes = append(causes, apierror.Cause{
			Field: "metadata.annotations[" + annotationClass + "]", Reason: apierror.CauseValueNotSupported,
			Message: fmt.Sprintf("Unsupported value: %q: supported values: %q; leave it out to have the built-in class", class, classes),
		})
	}
	return append(causes, validateDelivery("spec.delivery", b.GetSpec().GetDelivery())...)
}

func validateTrigger(_ context.Context, obj, _ store.Object) []apierror.Cause {
	t, ok := obj.(*eventingv1.Trigger)
	if !ok {
		return nil
	}
	var causes []apierror.Cause
	for _, name := range slices.Sorted(maps.Keys(t.GetSpec().GetFilter().GetAttributes())) {
		if !attributeName.MatchString(name) {
			causes = append(causes, invalid("spec.filter.attributes["+name+"]", name,
				"names of CloudEvents attributes begin with a letter from a to z and have only those letters and digits"))
		}
	}
	if t.GetSpec().GetSubscriber() != nil {
		causes = append(causes, validateDestination("spec.subscriber", t.GetSpec().GetSubscriber())...)
	}
	return append(causes, validateDelivery("spec.delivery", t.GetSpec().GetDelivery())...)
}

var attributeName = regexp.MustCompile(`^[a-z][a-z0-9]*$`)

func validateDelivery(path string, d *eventingv1.DeliverySpec) []apierror.Cause {
	if d == nil {
		return nil
	}
	var causes []apierror.Cause
	for _, f := range []struct {
		name  string
		value *string
	}{{"backoffDelay", d.BackoffDelay}, {"timeout", d.Timeout}} {
		if f.value == nil {
			continue
		}
		if _, err := delivery.ParseDuration(*f.value); err != nil {
			causes = append(causes, invalid(path+"."+f.name, *f.value, err.Error()))
		}
	}
	if d.GetDeadLetterSink() != nil {
		causes = append(causes, validateDestination(path+".deadLetterSink", d.GetDeadLetterSink())...)
	}
	return causes
}

// validateDestination checks that a destination is an object, an absolute URI, or an object with a URI relative to it.
// That the object's reference is complete is the proto's to check.
func validateDestination(path string, d *eventingv1.Destination) []apierror.Cause {
	if d.GetRef() == nil && d.GetUri() == "" {
		return []apierror.Cause{apierror.Required(path, "Required value: expected at least one, got none: ref, uri")}
	}
	if d.GetUri() == "" {
		return nil
	}
	u, err := url.Parse(d.GetUri())
	switch {
	case err != nil:
		return []apierror.Cause{invalid(path+".uri", d.GetUri(), "must be a URI")}
	case d.GetRef() != nil && (u.IsAbs() || u.Host != ""):
		return []apierror.Cause{invalid(path+".uri", d.GetUri(), "must be relative, such as /events, when ref is there too; leave out one of them otherwise")}
	case d.GetRef() == nil && (u.Host == "" || (u.Scheme != "http" && u.Scheme != "https")):
		return []apierror.Cause{invalid(path+".uri", d.GetUri(), "must be absolute with scheme http or https, such as http://hello.example/events, when there is no ref")}
	}
	return nil
}

func invalid(field, value, message string) apierror.Cause {
	return apierror.Invalid(field, fmt.Sprintf("Invalid value: %q: %s", value, message))
}
