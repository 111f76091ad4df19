// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

// The types of conditions of Brokers and Triggers, besides Ready.
const (
	// ConditionIngressReady tells whether a dispatcher takes events for the Broker.
	ConditionIngressReady = "IngressReady"
	// ConditionStreamReady tells whether the Broker's stream is there.
	ConditionStreamReady = "StreamReady"
	// ConditionAddressable tells whether the Broker has an address.
	ConditionAddressable = "Addressable"
	// ConditionBrokerReady is the Broker's Ready, on its Triggers.
	ConditionBrokerReady = "BrokerReady"
	// ConditionSubscriberResolved tells whether the subscriber's address is known.
	ConditionSubscriberResolved = "SubscriberResolved"
	// ConditionDeadLetterSinkResolved tells whether the dead letter sink's address is known, where there is one.
	ConditionDeadLetterSinkResolved = "DeadLetterSinkResolved"
	// ConditionSubscriptionReady tells whether the Trigger's consumer is there.
	ConditionSubscriptionReady = "SubscriptionReady"
	// ConditionDelivering tells whether the subscriber takes events. It has no part in Ready: events wait.
	ConditionDelivering = "Delivering"
)

// The reasons of conditions.
const (
	// ReasonDispatcherPending: a dispatcher has not set the object up yet.
	ReasonDispatcherPending = "DispatcherPending"
	// ReasonDispatcherAway: no dispatcher is connected.
	ReasonDispatcherAway = "DispatcherAway"
	// ReasonStreamFailed: the Broker's stream cannot be set up.
	ReasonStreamFailed = "StreamFailed"
	// ReasonConsumerFailed: the Trigger's consumer cannot be set up.
	ReasonConsumerFailed = "ConsumerFailed"
	// ReasonBrokerDoesNotExist: the Trigger's Broker is not there.
	ReasonBrokerDoesNotExist = "BrokerDoesNotExist"
	// ReasonBrokerPending: the Trigger's Broker has not been looked at yet.
	ReasonBrokerPending = "BrokerPending"
	// ReasonNotFound: the object that a destination names does not exist.
	ReasonNotFound = "NotFound"
	// ReasonNoAddress: the object that a destination names has no address yet.
	ReasonNoAddress = "NoAddress"
	// ReasonNotAddressable: objects of the kind that a destination names have no addresses.
	ReasonNotAddressable = "NotAddressable"
	// ReasonBadAddress: the destination's URI does not go with its object's address.
	ReasonBadAddress = "BadAddress"
	// ReasonDeliveryFailing: the newest delivery failed.
	ReasonDeliveryFailing = "DeliveryFailing"
)

// severityWarning marks a False condition that is no error of the object's.
const severityWarning = "Warning"

// AnnotationLocalURL stands on a Broker's status and holds its address for callers outside of the cluster, where that is another
// one than status.address.url.
const AnnotationLocalURL = "eventing.fairlead.dev/local-url"
