// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/nodepower"
	"fairlead.dev/services/serving/autoscaler"
	"fairlead.dev/services/serving/names"
)

// faults collects what is wrong with an object.
type faults struct{ causes []apierror.Cause }

func (f *faults) add(causes ...apierror.Cause) { f.causes = append(f.causes, causes...) }

func (f *faults) invalidf(field, format string, args ...any) {
	f.add(apierror.Invalid(field, fmt.Sprintf(format, args...)))
}

func (f *faults) forbiddenf(field, format string, args ...any) {
	f.add(apierror.ForbiddenField(field, fmt.Sprintf(format, args...)))
}

func (f *faults) requiredf(field, format string, args ...any) {
	f.add(apierror.Required(field, fmt.Sprintf(format, args...)))
}

func (f *faults) duplicatef(field, format string, args ...any) {
	f.add(apierror.Cause{Field: field, Reason: apierror.CauseValueDuplicate, Message: fmt.Sprintf(format, args...)})
}

func (f *faults) unsupportedf(field, format string, args ...any) {
	f.add(apierror.Cause{Field: field, Reason: apierror.CauseValueNotSupported, Message: fmt.Sprintf(format, args...)})
}

// metadata tells what is wrong with labels and annotations of an object that makes revisions or routes.
func (f *faults) metadata(m *metav1.ObjectMeta) {
	if v, ok := m.GetLabels()[names.LabelVisibility]; ok && v != names.VisibilityClusterLocal {
		f.unsupportedf(keyed("metadata.labels", names.LabelVisibility), "%q is no visibility; use %q, or leave the label out", v, names.VisibilityClusterLocal)
	}
	for _, key := range slices.Sorted(maps.Keys(m.GetAnnotations())) {
		if strings.HasPrefix(key, "autoscaling.knative.dev/") {
			f.invalidf(keyed("metadata.annotations", key), "it has no effect here; put it under spec.template.metadata.annotations")
		}
	}
}

func keyed(path, key string) string { return path + "[" + key + "]" }

// annotations tells what is wrong with the annotations of a revision.
func (r Rules) annotations(f *faults, path string, annotations map[string]string, spec *servingv1.RevisionSpec) {
	_, wrong := autoscaler.Parse(annotations, spec.GetContainerConcurrency(), r.Autoscaler)
	for _, w := range wrong {
		f.invalidf(keyed(path, w.Annotation), "%s", w.Message)
	}
	if v, ok := annotations[names.AnnotationProgressDeadline]; ok {
		if d, err := time.ParseDuration(v); err != nil || d < time.Second || d%time.Second != 0 {
			f.invalidf(keyed(path, names.AnnotationProgressDeadline), "%q is no duration of whole seconds, such as \"600s\"", v)
		}
	}
	if !r.AllowNodePower {
		f.add(nodepower.Annotations(path, annotations)...) // they become those of pods
	}
}

// changedAnnotations tells what is wrong with the change of a revision's annotations, which reaches its pods.
func (r Rules) changedAnnotations(f *faults, annotations, old map[string]string) {
	if !r.AllowNodePower {
		f.add(changedPower(annotations, old)...)
	}
}

// traffic tells what is wrong with shares of requests.
func (f *faults) traffic(route string, targets []*servingv1.TrafficTarget, ofService bool) {
	if len(targets) == 0 {
		f.requiredf("spec.traffic", "name at least one target, such as the latest revision with 100 percent")
		return
	}
	var sum int64
	tags := map[string]int{}
	for i, t := range targets {
		path := fmt.Sprintf("spec.traffic[%d]", i)
		sum += t.GetPercent()
		f.target(path, t, ofService)
		if tag := t.GetTag(); tag != "" {
			if first, ok := tags[tag]; ok {
				f.duplicatef(path+".tag", "%q is the tag of spec.traffic[%d] too", tag, first)
			} else {
				tags[tag] = i
			}
			f.tag(path+".tag", tag, route)
		}
	}
	if sum != wholePercent {
		f.invalidf("spec.traffic", "the percents add up to %d; they must add up to %d", sum, wholePercent)
	}
}

// target tells what is wrong with one share, apart from its tag.
func (f *faults) target(path string, t *servingv1.TrafficTarget, ofService bool) {
	byName, byConfiguration := t.GetRevisionName() != "", t.GetConfigurationName() != ""
	switch {
	case byConfiguration && ofService:
		f.forbiddenf(path+".configurationName", "a Service sends requests to its own configuration; leave it out")
	case byConfiguration && byName:
		f.invalidf(path, "name a revision or a configuration, not both")
	case !byConfiguration && !byName && !ofService:
		f.requiredf(path, "name a revision or a configuration")
	case byName && t.GetLatestRevision():
		f.invalidf(path+".latestRevision", "it must be false, or left out, where revisionName is given")
	case !byName && !t.GetLatestRevision():
		f.invalidf(path+".latestRevision", "it must be true, or left out, where no revisionName is given")
	}
	if byName {
		for _, problem := range validation.IsDNS1123Subdomain(t.GetRevisionName()) {
			f.invalidf(path+".revisionName", "%q: %s", t.GetRevisionName(), problem)
		}
	}
	if t.GetUrl() != "" {
		f.forbiddenf(path+".url", "the server sets it, in status")
	}
}

func (f *faults) tag(path, tag, route string) {
	for _, problem := range validation.IsDNS1035Label(tag) {
		f.invalidf(path, "%q: %s", tag, problem)
	}
	if name := names.Tagged(tag, route); len(name) > validation.DNS1035LabelMaxLength {
		f.invalidf(path, "%q makes the host name %q, which is longer than %d characters", tag, name, validation.DNS1035LabelMaxLength)
	}
}
