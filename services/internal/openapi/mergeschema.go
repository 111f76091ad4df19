// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package openapi

import (
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/reflect/protoreflect"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

// MergeSchemas returns the schemas of messages, and of all that is in them, in the form that Kubernetes merges objects by: each
// under the message's full name, to which its references lead. What only people read is left out.
func MergeSchemas(messages ...protoreflect.MessageDescriptor) (map[string]*spec.Schema, error) {
	s := schemas{components: object{}}
	for _, md := range messages {
		s.message(md)
	}
	for path, value := range keyDefaults() {
		if component, ok := s.components[path.message].(object); ok {
			property, ok := component[keyProperties].(object)[path.field].(object)
			if !ok {
				return nil, fmt.Errorf("openapi: %s has no field %s", path.message, path.field)
			}
			property["default"] = value
		}
	}
	data, err := json.Marshal(s.components)
	if err != nil {
		return nil, fmt.Errorf("openapi: schemas: %w", err)
	}
	out := map[string]*spec.Schema{}
	if err := json.Unmarshal(data, &out); err != nil {
		return nil, fmt.Errorf("openapi: schemas: %w", err)
	}
	return out, nil
}

// fieldPath is a field of a message.
type fieldPath struct{ message, field string }

// keyDefaults are the defaults of fields by which the items of a list are told apart, where an item may leave them out. They
// are Kubernetes' own.
func keyDefaults() map[fieldPath]any {
	return map[fieldPath]any{
		{"fairlead.core.v1.ContainerPort", "protocol"}: "TCP",
	}
}
