// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package openapi

// text is the schema of a string.
func text(description string) object { return object{"type": "string", "description": description} }

// status is the schema of Kubernetes' Status, the form of errors.
func (s *schemas) status() object {
	return s.fixed(statusName, object{
		"type":        "object",
		"description": "Status tells how a call ended that has no object to answer with.",
		kindKey:       []any{groupVersionKind("", "v1", "Status")},
		"properties": object{
			"apiVersion": text("v1."),
			"kind":       text("Status."),
			"metadata":   object{"type": "object", "description": "Empty."},
			"status":     text("Success or Failure."),
			"message":    text("What went wrong, and what to do."),
			"reason":     text("What went wrong, in one word for programs."),
			"code":       object{"type": "integer", "format": "int32", "description": "The HTTP status."},
			"details": object{
				"type":        "object",
				"description": "Where it went wrong.",
				"properties": object{
					"name":              text("Name of the object."),
					"group":             text("Group of the object."),
					"kind":              text("Kind or plural of the object."),
					"uid":               text("UID of the object."),
					"retryAfterSeconds": object{"type": "integer", "format": "int32", "description": "When a new try may succeed."},
					"causes": object{
						"type":        "array",
						"description": "Every single fault.",
						"items": object{"type": "object", "properties": object{
							"reason":  text("What is wrong, in one word for programs."),
							"message": text("What is wrong, and what would be right."),
							"field":   text("Path of the field, such as spec.traffic[1].percent."),
						}},
					},
				},
			},
		},
	})
}

// deleteOptions is the schema of Kubernetes' DeleteOptions, the body of deletions.
func (s *schemas) deleteOptions() object {
	return s.fixed(optionsName, object{
		"type":        "object",
		"description": "DeleteOptions says how to delete. What is in the query as well counts from there.",
		"properties": object{
			"apiVersion": text("v1 or meta.k8s.io/v1."),
			"kind":       text("DeleteOptions."),
			"dryRun": object{
				"type": "array", "items": object{"type": "string"}, "description": "`All`: do everything but store.", "x-kubernetes-list-type": "atomic",
			},
			"gracePeriodSeconds": object{"type": "integer", "format": "int64", "description": "Accepted for the sake of clients."},
			"propagationPolicy":  text("`Background` (the default), `Foreground` or `Orphan`: what becomes of the objects this one owns."),
			"preconditions": object{
				"type":        "object",
				"description": "Delete only if these hold.",
				"properties":  object{"uid": text("The object's UID."), "resourceVersion": text("The object's version.")},
			},
		},
	})
}
