// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"context"
	"strconv"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/rpc/encoded"
	"fairlead.dev/services/internal/store"
)

func (s *server) serveGet(ctx context.Context, in proto.Message, out protoreflect.MessageType) (proto.Message, error) {
	r, ok := in.(*metav1.GetRequest)
	if !ok {
		return nil, wrongRequest(in)
	}
	key, err := s.key(r.GetNamespace(), r.GetName())
	if err != nil {
		return nil, err
	}
	if v := r.GetResourceVersion(); v != "" {
		if _, err := strconv.ParseUint(v, 10, 63); err != nil {
			return nil, apierror.BadRequest("resourceVersion: %q is none: leave it out, or send one that came from here", v)
		}
	}
	item, err := s.deps.Store.GetItem(ctx, s.stored, key, r.GetResourceVersion())
	if err != nil {
		return nil, err
	}
	if s.older == nil {
		return encoded.New(out, item.Encoded()), nil
	}
	return s.served(item.Object())
}

func (s *server) serveList(ctx context.Context, in proto.Message, out protoreflect.MessageType) (proto.Message, error) {
	r, ok := in.(*metav1.ListRequest)
	if !ok {
		return nil, wrongRequest(in)
	}
	if err := s.noNamespace(r.GetNamespace()); err != nil {
		return nil, err
	}
	if err := checkList(r); err != nil {
		return nil, err
	}
	chosen, err := readSelectors(r.GetLabelSelector(), r.GetFieldSelector())
	if err != nil {
		return nil, err
	}
	list, err := s.deps.Store.ListItems(ctx, s.stored, store.ListOptions{
		Namespace: r.GetNamespace(), LabelSelector: chosen.labels, FieldSelector: chosen.fields,
		Limit: r.GetLimit(), Continue: r.GetContinue(),
		ResourceVersion: pageVersion(r), ResourceVersionMatch: versionMatch(r),
	})
	if err != nil {
		return nil, err
	}
	return s.listResponse(out, list)
}

// listResponse makes the list of a kind, whose type is the kind's own, from the bytes of its objects.
func (s *server) listResponse(out protoreflect.MessageType, list *store.ItemList) (proto.Message, error) {
	meta := &metav1.ListMeta{ResourceVersion: list.ResourceVersion, Continue: list.Continue, RemainingItemCount: list.Remaining}
	head, err := proto.Marshal(meta)
	if err != nil {
		return nil, apierror.Internal(err)
	}
	fields := out.Descriptor().Fields()
	metadata, items := fields.ByName("metadata").Number(), fields.ByName("items").Number()
	parts := make([][]byte, 0, 2+2*len(list.Items))
	parts = append(parts, encoded.AppendField(nil, metadata, len(head)), head)
	openings := make([]byte, 0, maxOpening*len(list.Items))
	for _, item := range list.Items {
		data, err := s.servedBytes(item)
		if err != nil {
			return nil, err
		}
		at := len(openings)
		openings = encoded.AppendField(openings, items, len(data))
		parts = append(parts, openings[at:], data)
	}
	return encoded.New(out, parts...), nil
}

// maxOpening is about the most bytes that stand before an item of a list.
const maxOpening = 6

// servedBytes returns the encoding of an object of the store in the form that is served.
func (s *server) servedBytes(item store.Item) ([]byte, error) {
	if s.older == nil {
		return item.Encoded(), nil
	}
	obj, err := s.served(item.Object())
	if err != nil {
		return nil, err
	}
	data, err := proto.Marshal(obj)
	if err != nil {
		return nil, apierror.Internal(err)
	}
	return data, nil
}

// noNamespace refuses a namespace for kinds that are in none.
func (s *server) noNamespace(namespace string) error {
	if namespace != "" && !s.Kind.Namespaced {
		_, err := s.settleNamespace(namespace, "")
		return err
	}
	return nil
}

// selectors choose objects.
type selectors struct {
	labels labels.Selector
	fields fields.Selector
}

func readSelectors(labelSelector, fieldSelector string) (selectors, error) {
	var out selectors
	var err error
	if out.labels, err = labels.Parse(labelSelector); err != nil {
		return out, apierror.BadRequest("labelSelector: %s", err)
	}
	if out.fields, err = fields.ParseSelector(fieldSelector); err != nil {
		return out, apierror.BadRequest("fieldSelector: %s", err)
	}
	for _, r := range out.fields.Requirements() {
		if r.Field != "metadata.name" && r.Field != "metadata.namespace" {
			return out, apierror.BadRequest("fieldSelector: field label not supported: %s: metadata.name and metadata.namespace are", r.Field)
		}
	}
	return out, nil
}

// wrongRequest cannot happen as long as the services of kinds are generated.
func wrongRequest(in proto.Message) error {
	return apierror.BadRequest("the request is a %s", in.ProtoReflect().Descriptor().FullName())
}
