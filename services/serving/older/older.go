// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package older serves the older forms of serving's kinds, v1alpha1 and v1beta1: it converts them to the stored form, v1, and
// back.
package older

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/reflect/protoreflect"
	"k8s.io/apimachinery/pkg/api/validation"

	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	servingv1alpha1 "fairlead.dev/gen/go/fairlead/serving/v1alpha1"
	servingv1beta1 "fairlead.dev/gen/go/fairlead/serving/v1beta1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/resource"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/serving/names"
)

// Handlers returns how the older forms are served, beside the handlers of the stored ones.
func Handlers() ([]resource.Handler, error) {
	var out []resource.Handler
	for message, hooks := range map[store.Object]resource.Hooks{
		&servingv1alpha1.Service{}:       serviceHooks(),
		&servingv1alpha1.Configuration{}: configurationHooks(),
		&servingv1alpha1.Revision{}:      revisionHooks(),
		&servingv1alpha1.Route{}:         routeHooks(),
		&servingv1beta1.Service{}:        betaService(),
		&servingv1beta1.Configuration{}:  betaConfiguration(),
		&servingv1beta1.Revision{}:       betaRevision(),
		&servingv1beta1.Route{}:          betaRoute(),
	} {
		name := message.ProtoReflect().Descriptor().FullName()
		k, ok := kinds.ByMessage(name)
		if !ok {
			return nil, fmt.Errorf("older: %s is no registered kind", name)
		}
		out = append(out, resource.Handler{Kind: k, ValidName: validation.NameIsDNS1035Label, Hooks: hooks})
	}
	return out, nil
}

// form is an older form of the kind that is stored as S, in functions on the types themselves.
type form[O, S store.Object] struct {
	up   func(O) S
	down func(S) O
	// specs are the specs of revisions in an object.
	specs func(O) []*servingv1.RevisionSpec
	// The others may be nil.
	check    func(O) []apierror.Cause
	warnings func(O) []string
	field    func(older O, stored string) string
}

func (f form[O, S]) hooks() resource.Hooks {
	hooks := resource.Hooks{Convert: &resource.Conversion{
		ToStored:   converted(f.up),
		FromStored: converted(f.down),
	}}
	if f.specs != nil {
		// What comes of an object is filled in later. Names are needed before: by them, containers in what is applied are found
		// in what there is.
		hooks.Default = func(_ context.Context, obj, _ store.Object) {
			older, _ := obj.(O) // the registry gives a kind's objects no other type
			for _, spec := range f.specs(older) {
				names.OfContainers(spec.GetPodSpec())
			}
		}
	}
	if f.check != nil {
		hooks.Validate = func(_ context.Context, obj, _ store.Object) []apierror.Cause {
			older, _ := obj.(O)
			return f.check(older)
		}
	}
	if f.warnings != nil {
		hooks.Convert.Warnings = func(obj store.Object) []string {
			older, _ := obj.(O)
			return f.warnings(older)
		}
	}
	if f.field != nil {
		hooks.Convert.Annotations = []string{names.AnnotationForm, names.AnnotationBuild}
		hooks.Convert.Field = func(obj store.Object, stored string) string {
			older, _ := obj.(O)
			return f.field(older, stored)
		}
	}
	return hooks
}

func converted[A, B store.Object](convert func(A) B) func(store.Object) (store.Object, error) {
	return func(obj store.Object) (store.Object, error) {
		a, ok := obj.(A)
		if !ok {
			var want A
			return nil, fmt.Errorf("a %s is no %s", nameOf(obj), nameOf(want))
		}
		return convert(a), nil
	}
}

func nameOf(obj store.Object) protoreflect.FullName {
	return obj.ProtoReflect().Descriptor().FullName()
}

// The kinds of v1beta1 have the fields of v1.

func betaService() resource.Hooks {
	return form[*servingv1beta1.Service, *servingv1.Service]{
		up: func(o *servingv1beta1.Service) *servingv1.Service {
			return &servingv1.Service{Spec: o.GetSpec(), Status: o.GetStatus()}
		},
		down: func(s *servingv1.Service) *servingv1beta1.Service {
			return &servingv1beta1.Service{Spec: s.GetSpec(), Status: s.GetStatus()}
		},
		specs: func(o *servingv1beta1.Service) []*servingv1.RevisionSpec {
			return []*servingv1.RevisionSpec{o.GetSpec().GetTemplate().GetSpec()}
		},
	}.hooks()
}

func betaConfiguration() resource.Hooks {
	return form[*servingv1beta1.Configuration, *servingv1.Configuration]{
		up: func(o *servingv1beta1.Configuration) *servingv1.Configuration {
			return &servingv1.Configuration{Spec: o.GetSpec(), Status: o.GetStatus()}
		},
		down: func(s *servingv1.Configuration) *servingv1beta1.Configuration {
			return &servingv1beta1.Configuration{Spec: s.GetSpec(), Status: s.GetStatus()}
		},
		specs: func(o *servingv1beta1.Configuration) []*servingv1.RevisionSpec {
			return []*servingv1.RevisionSpec{o.GetSpec().GetTemplate().GetSpec()}
		},
	}.hooks()
}

func betaRevision() resource.Hooks {
	return form[*servingv1beta1.Revision, *servingv1.Revision]{
		up: func(o *servingv1beta1.Revision) *servingv1.Revision {
			return &servingv1.Revision{Spec: o.GetSpec(), Status: o.GetStatus()}
		},
		down: func(s *servingv1.Revision) *servingv1beta1.Revision {
			return &servingv1beta1.Revision{Spec: s.GetSpec(), Status: s.GetStatus()}
		},
		specs: func(o *servingv1beta1.Revision) []*servingv1.RevisionSpec {
			return []*servingv1.RevisionSpec{o.GetSpec()}
		},
	}.hooks()
}

func betaRoute() resource.Hooks {
	return form[*servingv1beta1.Route, *servingv1.Route]{
		up: func(o *servingv1beta1.Route) *servingv1.Route {
			return &servingv1.Route{Spec: o.GetSpec(), Status: o.GetStatus()}
		},
		down: func(s *servingv1.Route) *servingv1beta1.Route {
			return &servingv1beta1.Route{Spec: s.GetSpec(), Status: s.GetStatus()}
		},
	}.hooks()
}
