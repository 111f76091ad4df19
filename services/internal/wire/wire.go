// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package wire holds the names that servers and clients agree on beside the protos.
package wire

// Content types of patches.
const (
	// ContentTypeJSONPatch is that of RFC 6902.
	ContentTypeJSONPatch = "application/json-patch+json"
	// ContentTypeMergePatch is that of RFC 7396.
	ContentTypeMergePatch = "application/merge-patch+json"
	// ContentTypeApply is that of server-side apply, which creates what does not exist. Documents are YAML, or JSON, which is YAML.
	ContentTypeApply = "application/apply-patch+yaml"
)

// WarningKey is the metadata key under which servers send warnings about a request, one value each.
const WarningKey = "fairlead-warning"

// CreatedKey is the metadata key under which servers say that an apply made the object.
const CreatedKey = "fairlead-created"

// DefaultManager is the field manager of documents that are applied by `fairlead apply` and /apply, where nobody names another.
const DefaultManager = "fairlead"

// Names of Fairlead's own services, in tokens and in certificates.
const (
	// GroupServices is the group that they are in: the organisation of their certificates.
	GroupServices = "system:fairlead:services"
	// ServiceUserPrefix is what their users begin with: the common names of their certificates.
	ServiceUserPrefix = "system:fairlead:"
	// ServiceGateway calls for whoever comes to the front door.
	ServiceGateway = "gateway"
	// ServiceAuth calls for whoever applies documents together.
	ServiceAuth = "auth"
)

// AnnotationTraceParent holds the W3C traceparent of the write that an object's spec comes from, where it was traced.
const AnnotationTraceParent = "fairlead.dev/traceparent"

// AnnotationConversion begins the annotations that hold what an object of one version says and another version cannot; the
// other version's name follows.
const AnnotationConversion = "conversion.fairlead.dev/"

// What becomes of a document that is applied.
const (
	Created    = "created"
	Configured = "configured"
	Unchanged  = "unchanged"
)
