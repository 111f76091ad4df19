// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package admission fills in what serving's objects leave open and tells what is wrong with them.
package admission

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"
	"k8s.io/apimachinery/pkg/api/validation"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/nodepower"
	"fairlead.dev/services/internal/resource"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/serving/autoscaler"
	"fairlead.dev/services/serving/older"
)

// Rules are what an installation allows and assumes.
type Rules struct {
	// DefaultTimeoutSeconds is the timeout of revisions that state none.
	DefaultTimeoutSeconds int64
	// AllowNodePower lets pods have fields that give power over a node.
	AllowNodePower bool
	// Access is asked before pods get such fields.
	Access nodepower.Access
	// Autoscaler holds the defaults and bounds of autoscaling annotations.
	Autoscaler autoscaler.Config
}

// Kinds are serving's kinds.
type Kinds struct {
	Service, Configuration, Revision, Route kinds.Kind
}

// ServingKinds returns serving's kinds from the registry.
func ServingKinds() (Kinds, error) {
	var ks Kinds
	for _, k := range []struct {
		to *kinds.Kind
		m  proto.Message
	}{
		{&ks.Service, &servingv1.Service{}},
		{&ks.Configuration, &servingv1.Configuration{}},
		{&ks.Revision, &servingv1.Revision{}},
		{&ks.Route, &servingv1.Route{}},
	} {
		found, ok := kinds.ByMessage(k.m.ProtoReflect().Descriptor().FullName())
		if !ok {
			return Kinds{}, fmt.Errorf("admission: %T is no registered kind", k.m)
		}
		*k.to = found
	}
	return ks, nil
}

// Handlers returns how serving's kinds are served.
func (r Rules) Handlers(ks Kinds) []resource.Handler {
	return []resource.Handler{
		handler(ks.Service, r.defaultService, r.validateService, r.authorize(ks.Service, servicePower)),
		handler(ks.Configuration, r.defaultConfiguration, r.validateConfiguration, r.authorize(ks.Configuration, configurationPower)),
		handler(ks.Revision, r.defaultRevision, r.validateRevision, r.authorize(ks.Revision, revisionPower)),
		handler(ks.Route, r.defaultRoute, r.validateRoute, nil),
	}
}

// handler makes hooks for objects of type T from functions on T; old is T's zero value on creation.
func handler[T interface {
	store.Object
	comparable
}](k kinds.Kind, fill func(ctx context.Context, obj, old T), check func(obj, old T) []apierror.Cause,
	authorize func(ctx context.Context, obj, old store.Object) error,
) resource.Handler {
	typed := func(obj store.Object) T {
		t, _ := obj.(T) // the registry and the store give a kind's objects no other type
		return t
	}
	return resource.Handler{
		Kind: k, ValidName: validation.NameIsDNS1035Label,
		Hooks: resource.Hooks{
			Default:   func(ctx context.Context, obj, old store.Object) { fill(ctx, typed(obj), typed(old)) },
			Validate:  func(_ context.Context, obj, old store.Object) []apierror.Cause { return check(typed(obj), typed(old)) },
			Authorize: authorize,
		},
	}
}

func (r Rules) validateService(obj, old *servingv1.Service) []apierror.Cause {
	f := &faults{}
	f.metadata(obj.GetMetadata())
	template := obj.GetSpec().GetTemplate()
	if older.Manual(obj) {
		return f.causes
	}
	if template == nil {
		f.add(apierror.Required("spec.template", "a Service needs a template of its revisions"))
	} else {
		r.template(f, obj.GetMetadata(), template, old.GetSpec().GetTemplate(), old != nil)
	}
	f.traffic(obj.GetMetadata().GetName(), obj.GetSpec().GetTraffic(), true)
	return f.causes
}

func (r Rules) validateConfiguration(obj, old *servingv1.Configuration) []apierror.Cause {
	f := &faults{}
	f.metadata(obj.GetMetadata())
	if template := obj.GetSpec().GetTemplate(); template != nil { // its absence is told already
		r.template(f, obj.GetMetadata(), template, old.GetSpec().GetTemplate(), old != nil)
	}
	return f.causes
}

func (r Rules) validateRevision(obj, old *servingv1.Revision) []apierror.Cause {
	f := &faults{}
	if old != nil {
		if !proto.Equal(obj.GetSpec(), old.GetSpec()) {
			f.add(apierror.ForbiddenField("spec", "a revision cannot change; change its configuration to get a new one"))
		}
		r.changedAnnotations(f, obj.GetMetadata().GetAnnotations(), old.GetMetadata().GetAnnotations())
		return f.causes
	}
	r.annotations(f, "metadata.annotations", obj.GetMetadata().GetAnnotations(), obj.GetSpec())
	r.revisionSpec(f, "spec", obj.GetSpec())
	return f.causes
}

func (r Rules) validateRoute(obj, _ *servingv1.Route) []apierror.Cause {
	f := &faults{}
	f.metadata(obj.GetMetadata())
	f.traffic(obj.GetMetadata().GetName(), obj.GetSpec().GetTraffic(), false)
	return f.causes
}

// template tells what is wrong with a template of revisions, and with its change.
func (r Rules) template(f *faults, owner *metav1.ObjectMeta, template, old *servingv1.RevisionTemplateSpec, update bool) {
	m := template.GetMetadata()
	if name := m.GetName(); name != "" {
		path := "spec.template.metadata.name"
		prefix := owner.GetName() + "-"
		for _, problem := range validation.NameIsDNS1035Label(name, false) {
			f.invalidf(path, "%q: %s", name, problem)
		}
		if owner.GetName() != "" && (len(name) <= len(prefix) || name[:len(prefix)] != prefix) {
			f.invalidf(path, "%q must begin with %q", name, prefix)
		}
		if update && old.GetMetadata().GetName() == name && !proto.Equal(template, old) {
			f.invalidf(path, "the template has changed, but not the name %q of its revision: a revision cannot change; give a new name, or none", name)
		}
	}
	if ns := m.GetNamespace(); ns != "" && ns != owner.GetNamespace() {
		f.invalidf("spec.template.metadata.namespace", "revisions are in the namespace %q of their owner", owner.GetNamespace())
	}
	r.annotations(f, "spec.template.metadata.annotations", m.GetAnnotations(), template.GetSpec())
	r.revisionSpec(f, "spec.template.spec", template.GetSpec())
}
