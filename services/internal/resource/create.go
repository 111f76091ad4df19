// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"k8s.io/apimachinery/pkg/api/validation"

	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/kube"
	"fairlead.dev/services/internal/managed"
	"fairlead.dev/services/internal/store"
)

func (s *server) serveCreate(ctx context.Context, in proto.Message, _ protoreflect.MessageType) (proto.Message, error) {
	r, err := s.readWrite(in, optionsCreate)
	if err != nil {
		return nil, err
	}
	return s.create(ctx, s.target(r.options.dryRun), clone(r.object), creation{by: r.options.writer(ctx)})
}

// creation is how an object comes to be.
type creation struct {
	// by is who makes it. An apply has kept the managed fields itself.
	by      managed.Write
	applies bool
}

// create stores an object, which is create's to change.
func (s *server) create(ctx context.Context, to *store.Store, obj store.Object, c creation) (store.Object, error) {
	dropServerKept(obj.GetMetadata())
	s.setStatus(obj, nil)
	if err := s.namespaceTakes(ctx, obj); err != nil {
		return nil, err
	}
	if !c.applies {
		s.track(ctx, nil, obj, c.by)
	}
	if err := s.admit(ctx, obj, nil); err != nil {
		return nil, err
	}
	obj, err := s.toStored(ctx, obj, nil)
	if err != nil {
		return nil, err
	}
	created, err := to.Create(ctx, s.stored, obj)
	if apierror.Is(err, apierror.ReasonRequestEntityTooLarge) && !c.applies { // the managed fields are not worth the object
		obj.GetMetadata().ManagedFields = nil
		created, err = to.Create(ctx, s.stored, obj)
	}
	if err != nil {
		return nil, err
	}
	return s.written(ctx, created)
}

// namespaceTakes tells whether the object's namespace takes new objects.
func (s *server) namespaceTakes(ctx context.Context, obj store.Object) error {
	namespace := obj.GetMetadata().GetNamespace()
	if !s.Kind.Namespaced || s.deps.Namespaces == nil || len(validation.ValidateNamespaceName(namespace, false)) > 0 {
		return nil // what is wrong with the name is told with all other faults
	}
	state, err := s.deps.Namespaces.State(ctx, namespace)
	if err != nil {
		return fmt.Errorf("resource: state of namespace %q: %w", namespace, err)
	}
	switch state {
	case kube.NamespaceActive:
		return nil
	case kube.NamespaceTerminating:
		name := firstOf(obj.GetMetadata().GetName(), obj.GetMetadata().GetGenerateName())
		e := apierror.Forbidden(s.resource, name, "%s %q is forbidden: unable to create new content in namespace %s because it is being terminated",
			s.resource, name, namespace)
		e.Causes = []apierror.Cause{{
			Field: "metadata.namespace", Reason: "NamespaceTerminating",
			Message: fmt.Sprintf("namespace %s is being terminated", namespace),
		}}
		return e
	default:
		return apierror.NotFound(apierror.Resource{Plural: "namespaces", Kind: "Namespace"}, namespace)
	}
}
