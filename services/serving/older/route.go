// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package older

import (
	"fmt"
	"net/url"

	"google.golang.org/protobuf/proto"

	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	servingv1alpha1 "fairlead.dev/gen/go/fairlead/serving/v1alpha1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/resource"
)

func routeHooks() resource.Hooks {
	return form[*servingv1alpha1.Route, *servingv1.Route]{
		up: func(o *servingv1alpha1.Route) *servingv1.Route {
			out := &servingv1.Route{Status: routeStatusUp(o.GetStatus())}
			w := words{}
			if o.GetSpec() != nil {
				out.Spec = &servingv1.RouteSpec{Traffic: trafficUp(o.GetSpec().GetTraffic(), w)}
			}
			out.Metadata = w.metadata(nil)
			return out
		},
		down: func(s *servingv1.Route) *servingv1alpha1.Route {
			w := wordsOf(s.GetMetadata())
			out := &servingv1alpha1.Route{Status: routeStatusDown(s.GetStatus(), w)}
			if s.GetSpec() != nil {
				out.Spec = &servingv1alpha1.RouteSpec{Traffic: trafficDown(s.GetSpec().GetTraffic(), w)}
			}
			return out
		},
		check: func(o *servingv1alpha1.Route) []apierror.Cause { return checkTraffic(o.GetSpec().GetTraffic()) },
		field: func(_ *servingv1alpha1.Route, stored string) string { return stored },
	}.hooks()
}

// trafficUp returns the stored form of shares of requests.
func trafficUp(o []*servingv1alpha1.TrafficTarget, w words) []*servingv1.TrafficTarget {
	var out []*servingv1.TrafficTarget
	for _, t := range o {
		same := &servingv1.TrafficTarget{}
		if t.GetTrafficTarget() != nil {
			same = proto.CloneOf(t.GetTrafficTarget())
		}
		switch {
		case t.GetName() == "":
		case same.GetTag() == "":
			same.Tag = t.GetName()
			w.add(wordName + same.GetTag())
		case same.GetTag() == t.GetName():
			w.add(wordBoth + same.GetTag())
		}
		out = append(out, same)
	}
	return out
}

// trafficDown returns the older form of shares of requests.
func trafficDown(s []*servingv1.TrafficTarget, w words) []*servingv1alpha1.TrafficTarget {
	var out []*servingv1alpha1.TrafficTarget
	for _, t := range s {
		target, same := &servingv1alpha1.TrafficTarget{}, proto.CloneOf(t)
		switch tag := same.GetTag(); {
		case w.has(wordBoth + tag):
			target.Name = tag
		case w.has(wordName + tag):
			target.Name, same.Tag = tag, ""
		}
		if proto.Size(same) > 0 { // an empty message that stands inline is none
			target.TrafficTarget = same
		}
		out = append(out, target)
	}
	return out
}

// checkTraffic tells where a share has two names.
func checkTraffic(o []*servingv1alpha1.TrafficTarget) []apierror.Cause {
	var causes []apierror.Cause
	for i, t := range o {
		if tag := t.GetTrafficTarget().GetTag(); t.GetName() != "" && tag != "" && tag != t.GetName() {
			causes = append(causes, apierror.Invalid(fmt.Sprintf("spec.traffic[%d].name", i), fmt.Sprintf("%q is the older word for tag, which is %q; leave it out", t.GetName(), tag)))
		}
	}
	return causes
}

func routeStatusUp(o *servingv1alpha1.RouteStatus) *servingv1.RouteStatus {
	if o == nil {
		return nil
	}
	return &servingv1.RouteStatus{
		ObservedGeneration: o.GetObservedGeneration(), Conditions: o.GetConditions(), Annotations: o.GetAnnotations(),
		Url: o.GetUrl(), Address: addressUp(o.GetAddress()), Traffic: trafficUp(o.GetTraffic(), words{}),
	}
}

func routeStatusDown(s *servingv1.RouteStatus, w words) *servingv1alpha1.RouteStatus {
	if s == nil {
		return nil
	}
	return &servingv1alpha1.RouteStatus{
		ObservedGeneration: s.GetObservedGeneration(), Conditions: s.GetConditions(), Annotations: s.GetAnnotations(),
		Url: s.GetUrl(), Address: addressDown(s.GetAddress()), Traffic: trafficDown(s.GetTraffic(), w),
		Domain: hostOf(s.GetUrl()), DomainInternal: hostOf(s.GetAddress().GetUrl()),
	}
}

func addressUp(o *servingv1alpha1.Addressable) *servingv1.Addressable {
	if o != nil && o.GetAddressable() == nil { // an empty message that stands inline is none
		return &servingv1.Addressable{}
	}
	return o.GetAddressable()
}

func addressDown(s *servingv1.Addressable) *servingv1alpha1.Addressable {
	if s == nil {
		return nil
	}
	return &servingv1alpha1.Addressable{Addressable: s, Hostname: hostOf(s.GetUrl())}
}

// hostOf returns the host of a URL, without its port.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Hostname()
}
