// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"context"
	"maps"

	"google.golang.org/protobuf/proto"

	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/nodepower"
	"fairlead.dev/services/internal/store"
)

// authorize asks for the right to create pods where a write gives pods power over a node.
func (r Rules) authorize(k kinds.Kind, power func(obj, old store.Object) []apierror.Cause) func(context.Context, store.Object, store.Object) error {
	resource := apierror.Resource{Group: k.Group, Plural: k.Plural, Kind: k.Kind}
	return func(ctx context.Context, obj, old store.Object) error {
		m := obj.GetMetadata()
		return nodepower.Authorize(ctx, r.Access, resource, m.GetNamespace(), m.GetName(), power(obj, old))
	}
}

// templatePower returns a cause for each field of a new or changed template that gives power over a node. Any change of a
// template counts: another image in a privileged container is another program with that power.
func templatePower(template, old *servingv1.RevisionTemplateSpec) []apierror.Cause {
	if template == nil || proto.Equal(template, old) {
		return nil
	}
	return append(nodepower.Annotations("spec.template.metadata.annotations", template.GetMetadata().GetAnnotations()),
		nodepower.Pod("spec.template.spec", template.GetSpec().GetPodSpec())...)
}

func servicePower(obj, old store.Object) []apierror.Cause {
	s, _ := obj.(*servingv1.Service)
	before, _ := old.(*servingv1.Service)
	return templatePower(s.GetSpec().GetTemplate(), before.GetSpec().GetTemplate())
}

func configurationPower(obj, old store.Object) []apierror.Cause {
	c, _ := obj.(*servingv1.Configuration)
	before, _ := old.(*servingv1.Configuration)
	return templatePower(c.GetSpec().GetTemplate(), before.GetSpec().GetTemplate())
}

// revisionPower knows that the spec of a revision stays as it is, and its annotations do not.
func revisionPower(obj, old store.Object) []apierror.Cause {
	r, _ := obj.(*servingv1.Revision)
	before, updated := old.(*servingv1.Revision)
	causes := changedPower(r.GetMetadata().GetAnnotations(), before.GetMetadata().GetAnnotations())
	if !updated {
		causes = append(causes, nodepower.Pod("spec", r.GetSpec().GetPodSpec())...)
	}
	return causes
}

// changedPower returns a cause for each new or changed annotation of a revision that gives power over a node.
func changedPower(annotations, old map[string]string) []apierror.Cause {
	changed := maps.Clone(annotations)
	maps.DeleteFunc(changed, func(key, value string) bool {
		was, ok := old[key]
		return ok && was == value
	})
	return nodepower.Annotations("metadata.annotations", changed)
}
