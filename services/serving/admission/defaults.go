// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"context"

	"google.golang.org/protobuf/proto"

	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/resource"
	"fairlead.dev/services/serving/names"
	"fairlead.dev/services/serving/older"
)

const wholePercent = 100

var writers = resource.WriterAnnotations{Creator: names.AnnotationCreator, LastModifier: names.AnnotationLastModifier}

func (r Rules) defaultService(ctx context.Context, obj, old *servingv1.Service) {
	if obj.GetSpec() == nil {
		obj.Spec = &servingv1.ServiceSpec{}
	}
	r.defaultTemplate(obj.GetSpec().GetTemplate())
	if len(obj.GetSpec().GetTraffic()) == 0 && !older.Manual(obj) {
		obj.Spec.Traffic = []*servingv1.TrafficTarget{{Percent: proto.Int64(wholePercent)}}
	}
	defaultTraffic(obj.GetSpec().GetTraffic())
	writers.Record(ctx, obj.GetMetadata(), old.GetMetadata(), !proto.Equal(obj.GetSpec(), old.GetSpec()))
}

func (r Rules) defaultConfiguration(ctx context.Context, obj, old *servingv1.Configuration) {
	r.defaultTemplate(obj.GetSpec().GetTemplate())
	writers.Record(ctx, obj.GetMetadata(), old.GetMetadata(), !proto.Equal(obj.GetSpec(), old.GetSpec()))
}

func (r Rules) defaultRevision(ctx context.Context, obj, old *servingv1.Revision) {
	r.defaultRevisionSpec(obj.GetSpec())
	writers.Record(ctx, obj.GetMetadata(), old.GetMetadata(), !proto.Equal(obj.GetSpec(), old.GetSpec()))
}

func (r Rules) defaultRoute(ctx context.Context, obj, old *servingv1.Route) {
	defaultTraffic(obj.GetSpec().GetTraffic())
	writers.Record(ctx, obj.GetMetadata(), old.GetMetadata(), !proto.Equal(obj.GetSpec(), old.GetSpec()))
}

func defaultTraffic(traffic []*servingv1.TrafficTarget) {
	for _, t := range traffic {
		if t.LatestRevision == nil {
			t.LatestRevision = new(t.GetRevisionName() == "")
		}
	}
}

func (r Rules) defaultTemplate(template *servingv1.RevisionTemplateSpec) {
	if template != nil {
		r.defaultRevisionSpec(template.GetSpec())
	}
}

func (r Rules) defaultRevisionSpec(spec *servingv1.RevisionSpec) {
	if spec == nil {
		return
	}
	if spec.ContainerConcurrency == nil {
		spec.ContainerConcurrency = proto.Int64(0)
	}
	if spec.GetTimeoutSeconds() == 0 {
		spec.TimeoutSeconds = new(r.DefaultTimeoutSeconds)
	}
	pod := spec.GetPodSpec()
	if pod == nil {
		return
	}
	if pod.EnableServiceLinks == nil {
		pod.EnableServiceLinks = new(false)
	}
	names.OfContainers(pod)
}
