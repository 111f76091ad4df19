// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package older_test

import (
	"fmt"
	"testing"

	servingv1alpha1 "fairlead.dev/gen/go/fairlead/serving/v1alpha1"
	"fairlead.dev/services/internal/resource"
	"fairlead.dev/services/internal/resource/versiontest"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/serving/names"
	"fairlead.dev/services/serving/older"
)

// versions returns every older form of serving's kinds, as it is tested.
func versions(t testing.TB) []versiontest.Kind {
	t.Helper()
	handlers, err := older.Handlers()
	if err != nil {
		t.Fatal(err)
	}
	var out []versiontest.Kind
	for _, h := range handlers {
		out = append(out, versiontest.Kind{Older: h, Stored: resource.Handler{Kind: h.Kind.Stored()}, Mend: mend, Notes: []map[string]string{
			nil,
			{names.AnnotationForm: "container,revisionTemplate,runLatest", names.AnnotationBuild: `{"a":1}`},
			{names.AnnotationForm: "Single,container,pinned"}, {names.AnnotationForm: "name:a,name+tag:b,release"}, {names.AnnotationForm: "manual"},
			{names.AnnotationForm: ",,nonsense", names.AnnotationBuild: `{`},
		}})
	}
	return out
}

// mend leaves one of the ways in which an object says the same.
func mend(obj store.Object) {
	switch o := obj.(type) {
	case *servingv1alpha1.Service:
		if spec := o.GetSpec(); spec != nil {
			mendService(spec)
		}
	case *servingv1alpha1.Configuration:
		mendConfiguration(o.GetSpec())
	case *servingv1alpha1.Revision:
		mendRevision(o.GetSpec())
	case *servingv1alpha1.Route:
		mendTraffic(o.GetSpec().GetTraffic())
	}
}

func mendService(spec *servingv1alpha1.ServiceSpec) {
	only := servingv1alpha1.ServiceSpec{Generation: spec.GetGeneration()}
	switch {
	case spec.GetRunLatest() != nil:
		only.RunLatest = spec.GetRunLatest()
		mendConfiguration(only.GetRunLatest().GetConfiguration())
	case spec.GetPinned() != nil:
		only.Pinned = spec.GetPinned()
		only.Pinned.RevisionName = "pinned"
		mendConfiguration(only.GetPinned().GetConfiguration())
	case spec.GetRelease() != nil:
		only.Release = spec.GetRelease()
		mendRelease(only.GetRelease())
		mendConfiguration(only.GetRelease().GetConfiguration())
	case spec.GetManual() != nil:
		only.Manual = spec.GetManual()
	default:
		if spec.GetTemplate() != nil {
			spec.RevisionTemplate = nil
		}
		mendRevision(spec.GetTemplate().GetSpec())
		mendRevision(spec.GetRevisionTemplate().GetSpec())
		mendTraffic(spec.GetTraffic())
		return
	}
	spec.RunLatest, spec.Pinned, spec.Release, spec.Manual = only.GetRunLatest(), only.GetPinned(), only.GetRelease(), only.GetManual()
	spec.Build, spec.RevisionTemplate, spec.Template, spec.Traffic = nil, nil, nil, nil
}

// mendTraffic gives each share a tag of its own, under one of its names or both.
func mendTraffic(traffic []*servingv1alpha1.TrafficTarget) {
	for i, t := range traffic {
		if t.GetName() != "" {
			t.Name = fmt.Sprintf("%s%d", t.GetName(), i)
		}
		if t.GetTrafficTarget().GetTag() == "" {
			continue
		}
		t.TrafficTarget.Tag = t.GetName()
		if t.GetName() == "" {
			t.TrafficTarget.Tag = fmt.Sprintf("tag%d", i)
		}
	}
}

func mendRelease(r *servingv1alpha1.ReleaseType) {
	if len(r.GetRevisions()) == 0 {
		r.Revisions = []string{"@latest"}
	}
	if len(r.GetRevisions()) == 1 {
		r.RolloutPercent = 0
	}
}

func mendConfiguration(spec *servingv1alpha1.ConfigurationSpec) {
	if spec.GetTemplate() != nil {
		spec.RevisionTemplate = nil
	}
	mendRevision(spec.GetTemplate().GetSpec())
	mendRevision(spec.GetRevisionTemplate().GetSpec())
}

func mendRevision(spec *servingv1alpha1.RevisionSpec) {
	if spec.GetContainer() != nil && spec.GetRevisionSpec().GetPodSpec() != nil {
		spec.RevisionSpec.PodSpec.Containers = nil
	}
	if spec.GetConcurrencyModel() == "Single" && spec.GetRevisionSpec().GetContainerConcurrency() > 1 {
		spec.ConcurrencyModel = ""
	}
	if spec.GetConcurrencyModel() == "Single" && spec.GetRevisionSpec() != nil {
		spec.RevisionSpec.ContainerConcurrency = nil // 0 is the default, and stored objects always have one
	}
}

// TestRoundTrips is a property of all older forms: what is written in one form and read in it again is the same.
func TestRoundTrips(t *testing.T) {
	for _, k := range versions(t) {
		t.Run(k.Older.Kind.Kind+"."+k.Older.Kind.Version, func(t *testing.T) {
			t.Parallel()
			rounds := 300
			if testing.Short() {
				rounds = 60
			}
			k.Rounds(t, rounds)
		})
	}
}

// FuzzRoundTrips looks for the seed of an object that loses something.
func FuzzRoundTrips(f *testing.F) {
	ks := versions(f)
	f.Add(uint8(0), uint64(0))
	f.Fuzz(func(t *testing.T, kind uint8, seed uint64) { ks[int(kind)%len(ks)].Round(t, seed) })
}
