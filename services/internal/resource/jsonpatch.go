// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	kjson "sigs.k8s.io/json"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/codec"
)

const (
	// maxPatchBytes is the size of the largest patch.
	maxPatchBytes = 3 << 20
	// maxPatchOperations is how many operations a JSON patch may have.
	maxPatchOperations = 10_000
)

// readJSONPatch returns what makes a JSON patch's changes to a document of a kind, and what is odd about the patch.
func readJSONPatch(kind protoreflect.MessageDescriptor, data []byte) (edit func([]byte) ([]byte, error), odd []error, err error) {
	if err := checkNesting(data); err != nil {
		return nil, nil, err
	}
	var operations jsonpatch.Patch // what is wrong with an operation is told when it is applied, as in Kubernetes
	if err := json.Unmarshal(data, &operations); err != nil {
		return nil, nil, apierror.BadRequest("error decoding patch: %s", err)
	}
	if len(operations) > maxPatchOperations {
		return nil, nil, apierror.New(apierror.ReasonRequestEntityTooLarge,
			"The allowed maximum operations in a JSON patch is %d, got %d", maxPatchOperations, len(operations))
	}
	var fields []patchOperation
	if odd, err = kjson.UnmarshalStrict(data, &fields); err != nil {
		return nil, nil, apierror.BadRequest("error decoding patch: %s", err)
	}
	for i, e := range odd {
		odd[i] = fmt.Errorf("json patch %w", e)
	}
	whole := slices.IndexFunc(operations, lacksWhole)
	for i := range operations {
		operations[i] = lenient(kind, operations[i])
	}
	options := jsonpatch.NewApplyOptions()
	options.AccumulatedCopySizeLimit = maxPatchBytes
	options.EscapeHTML = false
	return func(document []byte) ([]byte, error) {
		if whole >= 0 {
			return nil, apierror.New(apierror.ReasonInvalid,
				"the server rejected our request due to an error in our request: operation %d is about the whole object and has no value; give it one", whole)
		}
		out, err := operations.ApplyWithOptions(document, options)
		if err != nil {
			return nil, apierror.New(apierror.ReasonInvalid, "the server rejected our request due to an error in our request: %s", err)
		}
		return out, nil
	}, odd, nil
}

// lacksWhole tells whether an operation is to put nothing in place of the whole document, which the library does not expect.
func lacksWhole(op jsonpatch.Operation) bool {
	path, err := op.Path()
	_, has := op["value"]
	return err == nil && path == "" && !has && slices.Contains([]string{"add", "replace", "test"}, op.Kind())
}

// patchOperation has the fields that an operation of a JSON patch may have.
type patchOperation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	From  string `json:"from"`
	Value any    `json:"value"`
}

// lenient lets an operation replace a key that is absent, which Kubernetes accepts and clients rely on: where the target
// is an object's key, to add is to replace. The items of lists are replaced only where they exist.
func lenient(kind protoreflect.MessageDescriptor, op jsonpatch.Operation) jsonpatch.Operation {
	path, err := op.Path()
	if err != nil || op.Kind() != "replace" || path == "" {
		return op
	}
	tokens := strings.Split(strings.TrimPrefix(path, "/"), "/")
	if isIndex(tokens[len(tokens)-1]) && !hasKeys(kind, tokens[:len(tokens)-1]) {
		return op
	}
	out := maps.Clone(op)
	add := json.RawMessage(`"add"`)
	out["op"] = &add
	return out
}

// hasKeys tells whether what a path leads to is known to be an object, which has keys even where these look like the places of
// a list.
func hasKeys(md protoreflect.MessageDescriptor, tokens []string) bool {
	for i := 0; i < len(tokens); i++ {
		fd := fieldNamed(md, tokens[i])
		if fd == nil {
			return false
		}
		if fd.IsList() || fd.IsMap() {
			if i++; i == len(tokens) {
				return fd.IsMap()
			}
		}
		if fd.IsMap() {
			fd = fd.MapValue()
		}
		if md = fd.Message(); md == nil {
			return false
		}
	}
	return true
}

// fieldNamed finds a field by its name in JSON, also in messages that are inline.
func fieldNamed(md protoreflect.MessageDescriptor, name string) protoreflect.FieldDescriptor {
	if fd := md.Fields().ByJSONName(name); fd != nil {
		return fd
	}
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		if inline, _ := proto.GetExtension(fd.Options(), metav1.E_Inline).(bool); inline && fd.Message() != nil {
			if found := fieldNamed(fd.Message(), name); found != nil {
				return found
			}
		}
	}
	return nil
}

func isIndex(token string) bool {
	if token == "-" {
		return true
	}
	digits := strings.TrimPrefix(token, "-")
	return digits != "" && strings.Trim(digits, "0123456789") == ""
}

// readMergePatch returns what makes a JSON merge patch's changes to a document, and what is odd about the patch.
func readMergePatch(data []byte) (edit func([]byte) ([]byte, error), odd []error, err error) {
	if err := checkNesting(data); err != nil {
		return nil, nil, err
	}
	if !bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) || !json.Valid(data) {
		return nil, nil, apierror.BadRequest("error decoding patch: a merge patch is a JSON object")
	}
	if odd, err = kjson.UnmarshalStrict(data, &map[string]any{}); err != nil {
		return nil, nil, apierror.BadRequest("error decoding patch: %s", err)
	}
	return func(document []byte) ([]byte, error) {
		out, err := jsonpatch.MergePatch(document, data)
		if err != nil {
			return nil, apierror.BadRequest("error decoding patch: %s", err)
		}
		return out, nil
	}, odd, nil
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
