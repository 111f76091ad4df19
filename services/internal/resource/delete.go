// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"context"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"k8s.io/apimachinery/pkg/util/validation/field"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/store"
)

// deletePage is how many objects a deletion of many reads at a time.
const deletePage = 500

func (s *server) serveDelete(ctx context.Context, in proto.Message, _ protoreflect.MessageType) (proto.Message, error) {
	r, ok := in.(*metav1.DeleteRequest)
	if !ok {
		return nil, wrongRequest(in)
	}
	key, err := s.key(r.GetNamespace(), r.GetName())
	if err != nil {
		return nil, err
	}
	dryRun, err := readDryRun(optionsDelete, r.GetDryRun())
	if err != nil {
		return nil, err
	}
	if err := checkPropagation(r.GetPropagationPolicy()); err != nil {
		return nil, err
	}
	options := store.DeleteOptions{Propagation: r.GetPropagationPolicy()}
	if p := r.GetPreconditions(); p != nil {
		options.UID, options.ResourceVersion = p.Uid, p.ResourceVersion
	}
	deleted, err := s.target(dryRun).Delete(ctx, s.stored, key, options)
	if err != nil {
		return nil, err
	}
	return s.served(deleted)
}

func checkPropagation(policy string) error {
	switch policy {
	case "", "Background", "Foreground", "Orphan":
		return nil
	default:
		return refused(optionsDelete, field.ErrorList{field.NotSupported(field.NewPath("propagationPolicy"), policy,
			[]string{"Background", "Foreground", "Orphan"})})
	}
}

func (s *server) serveDeleteCollection(ctx context.Context, in proto.Message, _ protoreflect.MessageType) (proto.Message, error) {
	r, ok := in.(*metav1.DeleteCollectionRequest)
	if !ok {
		return nil, wrongRequest(in)
	}
	if _, err := s.settleNamespace(r.GetNamespace(), ""); err != nil {
		return nil, err
	}
	dryRun, err := readDryRun(optionsDelete, r.GetDryRun())
	if err != nil {
		return nil, err
	}
	if err := checkPropagation(r.GetPropagationPolicy()); err != nil {
		return nil, err
	}
	chosen, err := readSelectors(r.GetLabelSelector(), r.GetFieldSelector())
	if err != nil {
		return nil, err
	}
	options := store.ListOptions{Namespace: r.GetNamespace(), LabelSelector: chosen.labels, FieldSelector: chosen.fields, Limit: deletePage}
	response := &metav1.DeleteCollectionResponse{}
	for {
		list, err := s.deps.Store.List(ctx, s.stored, options)
		if err != nil {
			return nil, err
		}
		for _, obj := range list.Items {
			if err := s.deleteSeen(ctx, obj, r.GetPropagationPolicy(), dryRun); err != nil {
				return nil, err
			}
			response.Deleted++
		}
		if options.Continue = list.Continue; options.Continue == "" {
			return response, nil
		}
	}
}

// deleteSeen deletes an object that a list has told of. Another of its name, made since, stays.
func (s *server) deleteSeen(ctx context.Context, obj store.Object, propagation string, dryRun bool) error {
	m := obj.GetMetadata()
	uid := m.GetUid()
	_, err := s.target(dryRun).Delete(ctx, s.stored, store.Key{Namespace: m.GetNamespace(), Name: m.GetName()},
		store.DeleteOptions{UID: &uid, Propagation: propagation})
	if err != nil && !apierror.IsNotFound(err) && !apierror.IsConflict(err) {
		return err
	}
	return nil
}
