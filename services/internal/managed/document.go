// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package managed

import (
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/typed"

	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/codec"
)

// Document is what a manager applies: the fields that it wants, and no others. It is read once and may be applied often.
type Document struct {
	*unstructured.Unstructured

	typed *typed.TypedValue
}

// Read reads a document from JSON. obj is what the codec has read of it, with unknown or repeated fields if odd is set: these
// have no part in a merge, and then the document is what the codec has understood.
func (t *Tracker) Read(data []byte, obj Object, odd bool) (*Document, error) {
	if odd {
		var err error
		if data, err = codec.Marshal(obj); err != nil {
			return nil, err //nolint:wrapcheck // an error of ours
		}
	}
	content, err := readContent(data)
	if err != nil {
		return nil, apierror.BadRequest("the document cannot be read: %v", err)
	}
	doc := &Document{Unstructured: &unstructured.Unstructured{Object: content}}
	if err := checkMetadata(content); err != nil {
		return nil, err
	}
	doc.SetGroupVersionKind(t.gvk)
	t.completeKeys(content, obj)
	if doc.typed, err = t.converter.typed(t.gvk, content); err == nil {
		return doc, nil
	}
	return nil, apierror.BadRequest("the document cannot be applied: %s", strings.TrimSpace(err.Error())).Wrap(err)
}

// checkMetadata refuses what only the server says.
func checkMetadata(content map[string]any) error {
	meta, ok := content["metadata"].(map[string]any)
	if !ok {
		return nil
	}
	if managed, ok := meta["managedFields"]; ok && managed != nil {
		return apierror.BadRequest("metadata.managedFields must be nil")
	}
	delete(meta, "managedFields")
	return nil
}
