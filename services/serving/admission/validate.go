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
	"fairlead.dev/services/serving/autoscaler"
	"fairlead.dev/services/serving/names"
)

// faults collects what is wrong with an object.
type faults struct{ causes []apierror.Cause }

func (f *faults) add(c apierror.Cause) { f.causes = append(f.causes, c) }

func (f *faults) invalid(field, format string, args ...any) {
	f.add(apierror.Invalid(field, fmt.Sprintf(format, args...)))
}

func (f *faults) forbidden(field, format string, args ...any) {
	f.add(apierror.ForbiddenField(field, fmt.Sprintf(format, args...)))
}

func (f *faults) required(field, format string, args ...any) {
	f.add(apierror.Required(field, fmt.Sprintf(format, args...)))
}

func (f *faults) duplicate(field, format string, args ...any) {
	f.add(apierror.Cause{Field: field, Reason: apierror.CauseValueDuplicate, Message: fmt.Sprintf(format, args...)})
}

func (f *faults) unsupported(field, format string, args ...any) {
	f.add(apierror.Cause{Field: field, Reason: apierror.CauseValueNotSupported, Message: fmt.Sprintf(format, args...)})
}

// metadata tells what is wrong with labels and annotations of an object that makes revisions or routes.
func (f *faults) metadata(m *metav1.ObjectMeta) {
	if v, ok := m.GetLabels()[names.LabelVisibility]; ok && v != names.VisibilityClusterLocal {
		f.unsupported(keyed("metadata.labels", names.LabelVisibility), "%q is no visibility; use %q, or leave the label out", v, names.VisibilityClusterLocal)
	}
	for _, key := range slices.Sorted(maps.Keys(m.GetAnnotations())) {
		if strings.HasPrefix(key, "autoscaling.knative.dev/") {
			f.invalid(keyed("metadata.annotations", key), "it has no effect here; put it under spec.template.metadata.annotations")
		}
	}
}

func keyed(path, key string) string { return path + "[" + key + "]" }

// annotations tells what is wrong with the annotations of a revision.
func (r Rules) annotations(f *faults, path string, annotations map[string]string, spec *servingv1.RevisionSpec) {
	_, wrong := autoscaler.Parse(annotations, spec.GetContainerConcurrency(), r.Autoscaler)
	for _, w := range wrong {
		f.invalid(keyed(path, w.Annotation), "%s", w.Message)
	}
	if v, ok := annotations[names.AnnotationProgressDeadline]; ok {
		if d, err := time.ParseDuration(v); err != nil || d < time.Second || d%time.Second != 0 {
			f.invalid(keyed(path, names.AnnotationProgressDeadline), "%q is no duration of whole seconds, such as \"600s\"", v)
		}
	}
}

// traffic tells what is wrong with shares of requests.
func (f *faults) traffic(route string, targets []*servingv1.TrafficTarget, ofService bool) {
	if len(targets) == 0 {
		f.required("spec.traffic", "name at least one target, such as the latest revision with 100 percent")
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
				f.duplicate(path+".tag", "%q is the tag of spec.traffic[%d] too", tag, first)
			} else {
				tags[tag] = i
			}
			f.tag(path+".tag", tag, route)
		}
	}
	if sum != wholePercent {
		f.invalid("spec.traffic", "the percents add up to %d; they must add up to %d", sum, wholePercent)
	}
}

// target tells what is wrong with one share, apart from its tag.
func (f *faults) target(path string, t *servingv1.TrafficTarget, ofService bool) {
	byName, byConfiguration := t.GetRevisionName() != "", t.GetConfigurationName() != ""
	switch {
	case byConfiguration && ofService:
		f.forbidden(path+".configurationName", "a Service sends requests to its own configuration; leave it out")
	case byConfiguration && byName:
		f.invalid(path, "name a revision or a configuration, not both")
	case !byConfiguration && !byName && !ofService:
		f.required(path, "name a revision or a configuration")
	case byName && t.GetLatestRevision():
		f.invalid(path+".latestRevision", "it must be false, or left out, where revisionName is given")
	case !byName && !t.GetLatestRevision():
		f.invalid(path+".latestRevision", "it must be true, or left out, where no revisionName is given")
	}
	if byName {
		for _, problem := range validation.IsDNS1123Subdomain(t.GetRevisionName()) {
			f.invalid(path+".revisionName", "%q: %s", t.GetRevisionName(), problem)
		}
	}
	if t.GetUrl() != "" {
		f.forbidden(path+".url", "the server sets it, in status")
	}
}

func (f *faults) tag(path, tag, route string) {
	for _, problem := range validation.IsDNS1035Label(tag) {
		f.invalid(path, "%q: %s", tag, problem)
	}
	if name := names.Tagged(tag, route); len(name) > validation.DNS1035LabelMaxLength {
		f.invalid(path, "%q makes the host name %q, which is longer than %d characters", tag, name, validation.DNS1035LabelMaxLength)
	}
}
