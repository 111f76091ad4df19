// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"bytes"
	"encoding/json"
	"maps"
	"strings"

	jsonpatch "github.com/evanphx/json-patch/v5"

	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/codec"
)

const (
	// maxPatchBytes is the size of the largest patch.
	maxPatchBytes = 3 << 20
	// maxPatchOperations is how many operations a JSON patch may have.
	maxPatchOperations = 10_000
)

// readJSONPatch returns what makes a JSON patch's changes to a document.
func readJSONPatch(data []byte) (func([]byte) ([]byte, error), error) {
	if err := checkNesting(data); err != nil {
		return nil, err
	}
	operations, err := jsonpatch.DecodePatch(data)
	if err != nil {
		return nil, apierror.BadRequest("error decoding patch: %s", err)
	}
	if len(operations) > maxPatchOperations {
		return nil, apierror.New(apierror.ReasonRequestEntityTooLarge,
			"The allowed maximum operations in a JSON patch is %d, got %d", maxPatchOperations, len(operations))
	}
	for i := range operations {
		operations[i] = lenient(operations[i])
	}
	options := jsonpatch.NewApplyOptions()
	options.AccumulatedCopySizeLimit = maxPatchBytes
	options.EscapeHTML = false
	return func(document []byte) ([]byte, error) {
		out, err := operations.ApplyWithOptions(document, options)
		if err != nil {
			return nil, apierror.New(apierror.ReasonInvalid, "the server rejected our request due to an error in our request: %s", err)
		}
		return out, nil
	}, nil
}

// lenient lets an operation replace a key that is absent, which Kubernetes accepts and clients rely on: where the target
// is an object's key, to add is to replace. The items of lists are replaced only where they exist.
func lenient(op jsonpatch.Operation) jsonpatch.Operation {
	path, err := op.Path()
	if err != nil || op.Kind() != "replace" || path == "" || isIndex(path[strings.LastIndexByte(path, '/')+1:]) {
		return op
	}
	out := maps.Clone(op)
	add := json.RawMessage(`"add"`)
	out["op"] = &add
	return out
}

func isIndex(token string) bool {
	if token == "-" {
		return true
	}
	digits := strings.TrimPrefix(token, "-")
	return digits != "" && strings.Trim(digits, "0123456789") == ""
}

// readMergePatch returns what makes a JSON merge patch's changes to a document.
func readMergePatch(data []byte) (func([]byte) ([]byte, error), error) {
	if err := checkNesting(data); err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) || !json.Valid(data) {
		return nil, apierror.BadRequest("error decoding patch: a merge patch is a JSON object")
	}
	return func(document []byte) ([]byte, error) {
		out, err := jsonpatch.MergePatch(document, data)
		if err != nil {
			return nil, apierror.BadRequest("error decoding patch: %s", err)
		}
		return out, nil
	}, nil
}

// checkNesting refuses patches nested deeper than any object is, before anything recurses into them.
func checkNesting(data []byte) error {
	depth, inString := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > codec.MaxDepth {
				return apierror.BadRequest("error decoding patch: it is nested deeper than %d levels", codec.MaxDepth)
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return nil
}
