// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"encoding/json"
	"fmt"
	"time"

	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/codec"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/table"
)

// object brings one object into the form that is wanted.
func (v *view) object(obj store.Object) (any, error) {
	switch v.form.as {
	case asTable:
		return v.rows([]store.Object{obj}, &metav1.ListMeta{ResourceVersion: obj.GetMetadata().GetResourceVersion()}, true)
	case asPartial:
		return v.partial(obj)
	}
	return obj, nil
}

func (v *view) partial(obj store.Object) (json.RawMessage, error) {
	data, err := table.Partial(v.form.apiVersion(), obj.GetMetadata())
	if err != nil {
		return nil, apierror.Internal(err)
	}
	return data, nil
}

// partialList is a PartialObjectMetadataList whose items are written already.
type partialList struct {
	kmetav1.TypeMeta `json:",inline"`
	kmetav1.ListMeta `json:"metadata"`

	Items []json.RawMessage `json:"items"`
}

// list brings a list into the form that is wanted.
func (v *view) list(m listResponse) (any, error) {
	items := m.ProtoReflect().Get(m.ProtoReflect().Descriptor().Fields().ByName("items")).List()
	objs := make([]store.Object, 0, items.Len())
	for i := range items.Len() {
		obj, ok := items.Get(i).Message().Interface().(store.Object)
		if !ok {
			return nil, apierror.Internal(fmt.Errorf("gateway: %T lists no objects", m))
		}
		objs = append(objs, obj)
	}
	if v.form.as != asPartialList {
		return v.rows(objs, m.GetMetadata(), true)
	}
	list := partialList{
		TypeMeta: kmetav1.TypeMeta{APIVersion: v.form.apiVersion(), Kind: asPartialList},
		ListMeta: listMeta(m.GetMetadata()), Items: make([]json.RawMessage, 0, len(objs)),
	}
	for _, obj := range objs {
		data, err := v.partial(obj)
		if err != nil {
			return nil, err
		}
		list.Items = append(list.Items, data)
	}
	return list, nil
}

type eventJSON struct {
	Type   string `json:"type"`
	Object any    `json:"object"`
}

// event brings a change into the form that is wanted; Tables have headers in the first event only.
func (v *view) event(m watchResponse) (any, error) {
	obj, ok := m.ProtoReflect().Get(m.ProtoReflect().Descriptor().Fields().ByName("object")).Message().Interface().(store.Object)
	if !ok {
		return nil, apierror.Internal(fmt.Errorf("gateway: %T has no object", m))
	}
	if v.form.as == asPartial {
		data, err := v.partial(obj)
		return eventJSON{Type: m.GetType(), Object: data}, err
	}
	t, err := v.rows([]store.Object{obj}, &metav1.ListMeta{ResourceVersion: obj.GetMetadata().GetResourceVersion()}, !v.started)
	v.started = true
	return eventJSON{Type: m.GetType(), Object: t}, err
}

// rows renders objects as a Table.
func (v *view) rows(objs []store.Object, meta *metav1.ListMeta, headers bool) (*kmetav1.Table, error) {
	t, err := table.Render(*v.kind, objs, time.Now())
	if err != nil {
		return nil, apierror.Internal(err)
	}
	t.TypeMeta = kmetav1.TypeMeta{APIVersion: v.form.apiVersion(), Kind: asTable}
	t.ListMeta = listMeta(meta)
	if !headers {
		t.ColumnDefinitions = nil
	}
	for i, obj := range objs {
		if t.Rows[i].Object, err = v.included(obj); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// included is what a row of a Table holds of its object. Of a bookmark that is its metadata, whatever was asked for.
func (v *view) included(obj store.Object) (runtime.RawExtension, error) {
	_, bookmark := obj.GetMetadata().GetAnnotations()[store.InitialEventsEnd]
	switch {
	case v.form.include == kmetav1.IncludeObject && !bookmark:
		data, err := codec.Marshal(obj)
		return runtime.RawExtension{Raw: data}, err //nolint:wrapcheck // grpc-gateway wraps it
	case v.form.include == kmetav1.IncludeNone && !bookmark:
		return runtime.RawExtension{}, nil
	}
	data, err := v.partial(obj)
	return runtime.RawExtension{Raw: data}, err
}

func listMeta(m *metav1.ListMeta) kmetav1.ListMeta {
	return kmetav1.ListMeta{ResourceVersion: m.GetResourceVersion(), Continue: m.GetContinue(), RemainingItemCount: m.RemainingItemCount}
}
