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
