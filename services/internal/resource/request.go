// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"context"
	"strconv"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/wire"
)

// StreamKey is the metadata key that comes with the headers of a watch that stands, before its first event.
const StreamKey = "fairlead-stream"

// Values of field_validation.
const (
	validationIgnore = "Ignore"
	validationWarn   = "Warn"
	validationStrict = "Strict"
)

// writeRequest is what the requests of Create, Update and UpdateStatus hold. They differ in type from kind to kind.
type writeRequest struct {
	namespace, name string
	object          store.Object
	options         writeOptions
}

// writeOptions are what the requests of all writes hold.
type writeOptions struct {
	dryRun     bool
	validation string
}

// readWrite reads the request of a write. The namespace is settled, and so is the name, which may be empty on creation.
func (s *server) readWrite(msg proto.Message) (writeRequest, error) {
	m := msg.ProtoReflect()
	fields := m.Descriptor().Fields()
	text := func(name protoreflect.Name) string {
		if f := fields.ByName(name); f != nil {
			return m.Get(f).String()
		}
		return ""
	}
	var dryRun []string
	if f := fields.ByName("dry_run"); f != nil {
		list := m.Get(f).List()
		for i := range list.Len() {
			dryRun = append(dryRun, list.Get(i).String())
		}
	}
	options, err := readWriteOptions(dryRun, text("field_validation"))
	if err != nil {
		return writeRequest{}, err
	}
	field := fields.ByName("object")
	if field == nil || !m.Has(field) {
		return writeRequest{}, apierror.BadRequest("the request holds no object")
	}
	object, ok := m.Get(field).Message().Interface().(store.Object)
	if !ok {
		return writeRequest{}, apierror.BadRequest("the request holds no %s", s.Kind.Kind)
	}
	r := writeRequest{namespace: text("namespace"), name: text("name"), object: object, options: options}
	meta := s.ensureMetadata(object)
	if r.namespace, err = s.settleNamespace(r.namespace, meta.GetNamespace()); err != nil {
		return writeRequest{}, err
	}
	meta.Namespace = r.namespace
	if r.name != "" && meta.GetName() != "" && r.name != meta.GetName() {
		return writeRequest{}, nameMismatch(meta.GetName(), r.name)
	}
	if r.name == "" {
		r.name = meta.GetName()
	}
	return r, nil
}

func nameMismatch(object, request string) error {
	return apierror.BadRequest("the name of the object (%s) does not match the name on the URL (%s)", object, request)
}

// settleNamespace returns the namespace that a request means, from what the request and its object say.
func (s *server) settleNamespace(request, object string) (string, error) {
	if !s.Kind.Namespaced {
		if request != "" || object != "" {
			return "", apierror.BadRequest("%s are not namespaced, but namespace %q was given: leave it out", s.resource, firstOf(request, object))
		}
		return "", nil
	}
	if request != "" && object != "" && request != object {
		return "", apierror.BadRequest("the namespace of the object (%s) does not match the namespace on the request (%s)", object, request)
	}
	namespace := firstOf(request, object)
	if namespace == "" {
		return "", apierror.BadRequest("%s are namespaced, but no namespace was given", s.resource)
	}
	return namespace, nil
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// key returns the key of the object that a request names.
func (s *server) key(namespace, name string) (store.Key, error) {
	namespace, err := s.settleNamespace(namespace, "")
	if err != nil {
		return store.Key{}, err
	}
	if name == "" {
		return store.Key{}, apierror.BadRequest("name is required")
	}
	if strings.Contains(name, "/") || strings.Contains(namespace, "/") {
		return store.Key{}, apierror.BadRequest("names hold no slash")
	}
	return store.Key{Namespace: namespace, Name: name}, nil
}

func readWriteOptions(dryRun []string, fieldValidation string) (writeOptions, error) {
	o := writeOptions{validation: fieldValidation}
	var err error
	if o.dryRun, err = readDryRun(dryRun); err != nil {
		return o, err
	}
	switch fieldValidation {
	case "":
		o.validation = validationStrict
	case validationIgnore, validationWarn, validationStrict:
	default:
		return o, unsupported("fieldValidation", fieldValidation, validationIgnore, validationWarn, validationStrict)
	}
	return o, nil
}

func readDryRun(values []string) (bool, error) {
	for _, v := range values {
		if v != "All" {
			return false, unsupported("dryRun", v, "All")
		}
	}
	return len(values) > 0, nil
}

// unsupported is the fault of a request's option that is none of those there are.
func unsupported(field, value string, supported ...string) error {
	quoted := make([]string, len(supported))
	for i, v := range supported {
		quoted[i] = strconv.Quote(v)
	}
	cause := apierror.Cause{
		Field: field, Reason: apierror.CauseValueNotSupported,
		Message: "Unsupported value: " + strconv.Quote(value) + ": supported values: " + strings.Join(quoted, ", "),
	}
	e := apierror.New(apierror.ReasonInvalid, "the request is invalid: %s: %s", cause.Field, cause.Message)
	e.Causes = []apierror.Cause{cause}
	return e
}

// warn tells the caller what is odd about the request, beside the answer.
func warn(ctx context.Context, warnings []string) {
	if len(warnings) == 0 {
		return
	}
	md := metadata.MD{}
	for _, w := range warnings {
		ascii := strconv.QuoteToASCII(w)
		md.Append(wire.WarningKey, strings.ReplaceAll(ascii[1:len(ascii)-1], `\"`, `"`))
	}
	_ = grpc.SetHeader(ctx, md) // fails only where there is no transport to tell
}
