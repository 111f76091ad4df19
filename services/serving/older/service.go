// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package older

import (
	"strings"

	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	servingv1alpha1 "fairlead.dev/gen/go/fairlead/serving/v1alpha1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/resource"
)

func serviceHooks() resource.Hooks {
	return form[*servingv1alpha1.Service, *servingv1.Service]{
		up: serviceUp, down: serviceDown, specs: func(o *servingv1alpha1.Service) []*servingv1.RevisionSpec {
			_, config := configurationOf(o.GetSpec())
			return revisionsOf(config)
		},
		check: checkService, warnings: serviceWarnings, field: serviceField,
	}.hooks()
}

func serviceUp(o *servingv1alpha1.Service) *servingv1.Service {
	out := &servingv1.Service{Status: serviceStatusUp(o.GetStatus())}
	w := words{}
	if spec := o.GetSpec(); spec != nil {
		out.Spec = &servingv1.ServiceSpec{Traffic: serviceTrafficUp(spec, w)}
		if spec.GetManual() == nil {
			_, config := configurationOf(spec)
			out.Spec.Template = templateUp(config, w)
		}
	}
	_, config := configurationOf(o.GetSpec())
	out.Metadata = w.metadata(config.GetBuild())
	return out
}

// serviceTrafficUp returns how a service shares requests out, and notes how it says so.
func serviceTrafficUp(spec *servingv1alpha1.ServiceSpec, w words) []*servingv1.TrafficTarget {
	switch {
	case spec.GetManual() != nil:
		w.add(wordManual)
		return nil
	case spec.GetRunLatest() != nil:
		w.add(wordRunLatest)
		return []*servingv1.TrafficTarget{share("", latest, wholePercent)}
	case spec.GetPinned() != nil:
		w.add(wordPinned)
		return []*servingv1.TrafficTarget{share("", spec.GetPinned().GetRevisionName(), wholePercent)}
	case spec.GetRelease() != nil:
		w.add(wordRelease)
		return releaseUp(spec.GetRelease())
	}
	return trafficUp(spec.GetTraffic(), w)
}

// configurationOf returns the configuration of a service, and where it is.
func configurationOf(spec *servingv1alpha1.ServiceSpec) (string, *servingv1alpha1.ConfigurationSpec) {
	switch {
	case spec.GetRunLatest() != nil:
		return "spec.runLatest.configuration", spec.GetRunLatest().GetConfiguration()
	case spec.GetPinned() != nil:
		return "spec.pinned.configuration", spec.GetPinned().GetConfiguration()
	case spec.GetRelease() != nil:
		return "spec.release.configuration", spec.GetRelease().GetConfiguration()
	}
	return "spec", &servingv1alpha1.ConfigurationSpec{
		Build: spec.GetBuild(), RevisionTemplate: spec.GetRevisionTemplate(), Template: spec.GetTemplate(),
	}
}

func serviceDown(s *servingv1.Service) *servingv1alpha1.Service {
	w := wordsOf(s.GetMetadata())
	out := &servingv1alpha1.Service{Status: serviceStatusDown(s.GetStatus(), w)}
	if s.GetSpec() != nil {
		out.Spec = serviceSpecDown(s, w)
	}
	return out
}

// serviceSpecDown says what a service wants in the words noted on it, or else in those of v1.
func serviceSpecDown(s *servingv1.Service, w words) *servingv1alpha1.ServiceSpec {
	if Manual(s) {
		return &servingv1alpha1.ServiceSpec{Manual: &servingv1alpha1.ManualType{}}
	}
	config, traffic := configurationDown(s.GetSpec().GetTemplate(), s.GetMetadata()), s.GetSpec().GetTraffic()
	switch {
	case w.has(wordRunLatest) && is(traffic, share("", latest, wholePercent)):
		return &servingv1alpha1.ServiceSpec{RunLatest: &servingv1alpha1.RunLatestType{Configuration: config}}
	case w.has(wordPinned) && len(traffic) == 1 && is(traffic, share("", traffic[0].GetRevisionName(), wholePercent)):
		return &servingv1alpha1.ServiceSpec{Pinned: &servingv1alpha1.PinnedType{RevisionName: traffic[0].GetRevisionName(), Configuration: config}}
	case w.has(wordRelease):
		if release := releaseDown(traffic); release != nil {
			release.Configuration = config
			return &servingv1alpha1.ServiceSpec{Release: release}
		}
	}
	return &servingv1alpha1.ServiceSpec{
		Build: config.GetBuild(), RevisionTemplate: config.GetRevisionTemplate(), Template: config.GetTemplate(),
		Traffic: trafficDown(traffic, w),
	}
}

// checkService tells where a spec says nothing, or says it in two ways.
func checkService(o *servingv1alpha1.Service) []apierror.Cause {
	spec := o.GetSpec()
	var said []string
	for _, way := range []struct {
		name string
		set  bool
	}{
		{wordRunLatest, spec.GetRunLatest() != nil},
		{wordPinned, spec.GetPinned() != nil},
		{wordRelease, spec.GetRelease() != nil},
		{wordManual, spec.GetManual() != nil},
		{"template", spec.GetTemplate() != nil || spec.GetRevisionTemplate() != nil || spec.GetBuild() != nil || len(spec.GetTraffic()) > 0},
	} {
		if way.set {
			said = append(said, way.name)
		}
	}
	const ways = "runLatest, pinned, release, manual, template"
	switch {
	case len(said) == 0:
		return []apierror.Cause{apierror.Required("spec", "expected exactly one, got none: "+ways)}
	case len(said) > 1:
		return []apierror.Cause{apierror.Invalid("spec", "expected exactly one of "+ways+", got "+strings.Join(said, ", "))}
	case spec.GetManual() != nil:
		return nil
	}
	path, config := configurationOf(spec)
	return append(append(checkConfiguration(path, config), checkRelease(spec.GetRelease())...), checkTraffic(spec.GetTraffic())...)
}

func serviceWarnings(o *servingv1alpha1.Service) []string {
	path, config := configurationOf(o.GetSpec())
	return configurationWarnings(path, config)
}

// serviceField returns where a service says what the stored one has at a field.
func serviceField(o *servingv1alpha1.Service, stored string) string {
	if strings.HasPrefix(stored, storedTemplate) {
		path, config := configurationOf(o.GetSpec())
		return templateField(stored, path, config)
	}
	if !strings.HasPrefix(stored, "spec.traffic") {
		return stored
	}
	switch spec := o.GetSpec(); {
	case spec.GetPinned() != nil:
		return "spec.pinned.revisionName"
	case spec.GetRelease() != nil:
		return releaseField(stored)
	}
	return stored
}

func serviceStatusUp(o *servingv1alpha1.ServiceStatus) *servingv1.ServiceStatus {
	if o == nil {
		return nil
	}
	return &servingv1.ServiceStatus{
		ObservedGeneration: o.GetObservedGeneration(), Conditions: o.GetConditions(), Annotations: o.GetAnnotations(),
		LatestCreatedRevisionName: o.GetLatestCreatedRevisionName(), LatestReadyRevisionName: o.GetLatestReadyRevisionName(),
		Url: o.GetUrl(), Address: addressUp(o.GetAddress()), Traffic: trafficUp(o.GetTraffic(), words{}),
	}
}

func serviceStatusDown(s *servingv1.ServiceStatus, w words) *servingv1alpha1.ServiceStatus {
	if s == nil {
		return nil
	}
	return &servingv1alpha1.ServiceStatus{
		ObservedGeneration: s.GetObservedGeneration(), Conditions: s.GetConditions(), Annotations: s.GetAnnotations(),
		LatestCreatedRevisionName: s.GetLatestCreatedRevisionName(), LatestReadyRevisionName: s.GetLatestReadyRevisionName(),
		Url: s.GetUrl(), Address: addressDown(s.GetAddress()), Traffic: trafficDown(s.GetTraffic(), w),
		Domain: hostOf(s.GetUrl()), DomainInternal: hostOf(s.GetAddress().GetUrl()),
	}
}
