// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// formerManager is the one field manager that all services once wrote under.
const formerManager = "fairlead"

// former tells an entry of the former field manager.
func (c *Client) former(e kmetav1.ManagedFieldsEntry) bool {
	return e.Manager == formerManager && c.component != formerManager && e.Operation == kmetav1.ManagedFieldsOperationApply && e.Subresource == ""
}

// hasFormer tells whether the former field manager owns fields of an object.
func (c *Client) hasFormer(obj *unstructured.Unstructured) bool {
	return slices.ContainsFunc(obj.GetManagedFields(), c.former)
}

// adopt makes the fields of the former manager ours, so that the next apply takes away those that are no longer wanted.
// Otherwise they would stay for ever: nobody would own them but a manager that applies no more.
func (c *Client) adopt(ctx context.Context, resource dynamic.ResourceInterface, obj *unstructured.Unstructured) error {
	var entries []kmetav1.ManagedFieldsEntry
	var mine *kmetav1.ManagedFieldsEntry
	fields := &fieldpath.Set{}
	for _, e := range obj.GetManagedFields() {
		own := e.Manager == c.component && e.Operation == kmetav1.ManagedFieldsOperationApply && e.Subresource == ""
		if !own && !c.former(e) {
			entries = append(entries, e)
			continue
		}
		set := &fieldpath.Set{}
		if e.FieldsV1 != nil {
			if err := set.FromJSON(e.FieldsV1.GetRawReader()); err != nil {
				return fmt.Errorf("fields of manager %s: %w", e.Manager, err)
			}
		}
		fields = fields.Union(set)
		if mine == nil || own {
			mine = e.DeepCopy()
		}
	}
	raw, err := fields.ToJSON()
	if err != nil {
		return fmt.Errorf("fields of manager %s: %w", c.component, err)
	}
	mine.Manager, mine.FieldsV1 = c.component, kmetav1.NewFieldsV1(string(raw))
	patch, err := json.Marshal([]map[string]any{
		{"op": "replace", "path": "/metadata/managedFields", "value": append(entries, *mine)},
		{"op": "replace", "path": "/metadata/resourceVersion", "value": obj.GetResourceVersion()},
	})
	if err != nil {
		return fmt.Errorf("encode managed fields: %w", err)
	}
	if _, err := resource.Patch(ctx, obj.GetName(), types.JSONPatchType, patch, kmetav1.PatchOptions{FieldManager: c.component}); err != nil {
		return fmt.Errorf("take over the fields of manager %s: %w", formerManager, err)
	}
	return nil
}
