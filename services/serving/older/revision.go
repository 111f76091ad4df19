// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package older

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	corepb "fairlead.dev/gen/go/fairlead/core/v1"
	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	servingv1alpha1 "fairlead.dev/gen/go/fairlead/serving/v1alpha1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/resource"
)

const (
	modelSingle = "Single"
	modelMulti  = "Multi"
)

func revisionHooks() resource.Hooks {
	return form[*servingv1alpha1.Revision, *servingv1.Revision]{
		up: func(o *servingv1alpha1.Revision) *servingv1.Revision {
			w := words{}
			spec := revisionUp(o.GetSpec(), w)
			return &servingv1.Revision{Metadata: w.metadata(nil), Spec: spec, Status: revisionStatusUp(o.GetStatus())}
		},
		down: func(s *servingv1.Revision) *servingv1alpha1.Revision {
			return &servingv1alpha1.Revision{Spec: revisionDown(s.GetSpec(), wordsOf(s.GetMetadata())), Status: revisionStatusDown(s.GetStatus())}
		},
		specs: func(o *servingv1alpha1.Revision) []*servingv1.RevisionSpec {
			return []*servingv1.RevisionSpec{o.GetSpec().GetRevisionSpec()}
		},
		check:    func(o *servingv1alpha1.Revision) []apierror.Cause { return checkRevision("spec", o.GetSpec()) },
		warnings: func(o *servingv1alpha1.Revision) []string { return revisionWarnings("spec", o.GetSpec()) },
		field: func(o *servingv1alpha1.Revision, stored string) string {
			return revisionField(stored, "spec", "spec", o.GetSpec())
		},
	}.hooks()
}

// revisionUp returns the stored form of a revision's spec.
func revisionUp(o *servingv1alpha1.RevisionSpec, w words) *servingv1.RevisionSpec {
	if o == nil {
		return nil
	}
	out := &servingv1.RevisionSpec{}
	if o.GetRevisionSpec() != nil {
		out = proto.CloneOf(o.GetRevisionSpec())
	}
	if o.GetContainer() != nil {
		w.add(wordContainer)
		if out.GetPodSpec() == nil {
			out.PodSpec = &corepb.PodSpec{}
		}
		out.PodSpec.Containers = []*corepb.Container{proto.CloneOf(o.GetContainer())}
	}
	if o.GetConcurrencyModel() == modelSingle && out.GetContainerConcurrency() <= 1 {
		w.add(wordSingle)
		out.ContainerConcurrency = new(int64(1))
	}
	return out
}

// revisionDown returns the older form of a revision's spec.
func revisionDown(s *servingv1.RevisionSpec, w words) *servingv1alpha1.RevisionSpec {
	if s == nil {
		return nil
	}
	out, same := &servingv1alpha1.RevisionSpec{}, proto.CloneOf(s)
	if w.has(wordSingle) && same.GetContainerConcurrency() == 1 {
		out.ConcurrencyModel, same.ContainerConcurrency = modelSingle, nil
	}
	if c := same.GetPodSpec().GetContainers(); w.has(wordContainer) && len(c) == 1 {
		out.Container, same.PodSpec.Containers = c[0], nil
	}
	// An empty message that stands inline is none.
	if proto.Size(same.GetPodSpec()) == 0 {
		same.PodSpec = nil
	}
	if proto.Size(same) > 0 {
		out.RevisionSpec = same
	}
	return out
}

func revisionStatusUp(o *servingv1alpha1.RevisionStatus) *servingv1.RevisionStatus {
	if o != nil && o.GetRevisionStatus() == nil { // an empty message that stands inline is none
		return &servingv1.RevisionStatus{}
	}
	return o.GetRevisionStatus()
}

func revisionStatusDown(s *servingv1.RevisionStatus) *servingv1alpha1.RevisionStatus {
	if s == nil {
		return nil
	}
	out := &servingv1alpha1.RevisionStatus{RevisionStatus: s}
	if images := s.GetContainerStatuses(); len(images) == 1 {
		out.ImageDigest = images[0].GetImageDigest()
	}
	return out
}

// checkRevision tells where a spec says the same in two ways.
func checkRevision(path string, o *servingv1alpha1.RevisionSpec) []apierror.Cause {
	var causes []apierror.Cause
	same := o.GetRevisionSpec()
	if o.GetContainer() != nil && len(same.GetPodSpec().GetContainers()) > 0 {
		causes = append(causes, apierror.Invalid(path, "expected exactly one, got both: container, containers"))
	}
	switch limit := same.GetContainerConcurrency(); {
	case o.GetConcurrencyModel() == modelSingle && limit > 1:
		causes = append(causes, apierror.Invalid(path+".containerConcurrency", fmt.Sprintf("%d contradicts concurrencyModel Single, which means 1; leave one of them out", limit)))
	case o.GetConcurrencyModel() == modelMulti && limit == 1:
		causes = append(causes, apierror.Invalid(path+".containerConcurrency", "1 contradicts concurrencyModel Multi; leave one of them out"))
	}
	return causes
}

// revisionWarnings names what is kept and does nothing.
func revisionWarnings(path string, o *servingv1alpha1.RevisionSpec) []string {
	var out []string
	for _, f := range []struct {
		name string
		set  bool
		why  string
	}{
		{"servingState", o.GetServingState() != "", "the number of pods follows from the requests"},
		{"buildName", o.GetBuildName() != "", "the revision does not wait for the Build"},
		{"buildRef", o.GetBuildRef() != nil, "the revision does not wait for the Build"},
	} {
		if f.set {
			out = append(out, fmt.Sprintf("%s.%s is kept, but not acted on: %s", path, f.name, f.why))
		}
	}
	return out
}

// revisionField returns where a spec at path says what the stored one at storedPath has at a field.
func revisionField(stored, storedPath, path string, o *servingv1alpha1.RevisionSpec) string {
	rest, ok := strings.CutPrefix(stored, storedPath)
	if !ok || rest != "" && rest[0] != '.' && rest[0] != '[' {
		return stored
	}
	if inner, ok := strings.CutPrefix(rest, ".containers[0]"); ok && o.GetContainer() != nil {
		rest = ".container" + inner
	}
	return path + rest
}
