// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package openapi

// Words of OpenAPI.
const (
	keyContent     = "content"
	keyDescription = "description"
	keyFormat      = "format"
	keyItems       = "items"
	keyKind        = "kind"
	keyName        = "name"
	keyProperties  = "properties"
	keySchema      = "schema"
	keyType        = "type"

	typeArray   = "array"
	typeInteger = "integer"
	typeNumber  = "number"
	typeObject  = "object"
	typeString  = "string"

	formatInt32 = "int32"
	formatInt64 = "int64"
)

// text is the schema of a string.
func text(description string) object { return object{keyType: typeString, keyDescription: description} }

// status is the schema of Kubernetes' Status, the form of errors.
func (s *schemas) status() object {
	return s.fixed(statusName, object{
		keyType:        typeObject,
		keyDescription: "Status tells how a call ended that has no object to answer with.",
		kindKey:        []any{groupVersionKind("", "v1", "Status")},
		keyProperties: object{
			"apiVersion": text("v1."),
			keyKind:      text("Status."),
			"metadata":   object{keyType: typeObject, keyDescription: "Empty."},
			"status":     text("Success or Failure."),
			"message":    text("What went wrong, and what to do."),
			"reason":     text("What went wrong, in one word for programs."),
			"code":       object{keyType: typeInteger, keyFormat: formatInt32, keyDescription: "The HTTP status."},
			"details": object{
				keyType:        typeObject,
				keyDescription: "Where it went wrong.",
				keyProperties: object{
					keyName:             text("Name of the object."),
					"group":             text("Group of the object."),
					keyKind:             text("Kind or plural of the object."),
					"uid":               text("UID of the object."),
					"retryAfterSeconds": object{keyType: typeInteger, keyFormat: formatInt32, keyDescription: "When a new try may succeed."},
					"causes": object{
						keyType:        typeArray,
						keyDescription: "Every single fault.",
						keyItems: object{keyType: typeObject, keyProperties: object{
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
		keyType:        typeObject,
		keyDescription: "DeleteOptions says how to delete. What is in the query as well counts from there.",
		keyProperties: object{
			"apiVersion": text("v1 or meta.k8s.io/v1."),
			keyKind:      text("DeleteOptions."),
			"dryRun": object{
				keyType: typeArray, keyItems: object{keyType: typeString}, keyDescription: "`All`: do everything but store.", "x-kubernetes-list-type": "atomic",
			},
			"gracePeriodSeconds": object{keyType: typeInteger, keyFormat: formatInt64, keyDescription: "Accepted for the sake of clients."},
			"propagationPolicy":  text("`Background` (the default), `Foreground` or `Orphan`: what becomes of the objects this one owns."),
			"preconditions": object{
				keyType:        typeObject,
				keyDescription: "Delete only if these hold.",
				keyProperties:  object{"uid": text("The object's UID."), "resourceVersion": text("The object's version.")},
			},
		},
	})
}
