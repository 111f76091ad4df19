// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"cmp"
	"context"
	"strconv"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/managed"
	"fairlead.dev/services/internal/rpc"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/wire"
)

// Kinds of options.
const (
	optionsCreate   = "CreateOptions"
	optionsUpdate   = "UpdateOptions"
	optionsPatch    = "PatchOptions"
	optionsDelete   = "DeleteOptions"
	optionsRollback = "RollbackOptions"
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
	// manager is the field manager that the request names, if it does.
	manager string
}

// writer is who writes: the field manager that the request names, or the program that sent it.
func (o writeOptions) writer(ctx context.Context) managed.Write {
	return managed.Write{Manager: managed.ManagerOf(o.manager, rpc.UserAgent(ctx))}
}

// readWrite reads the request of a write, whose options Kubernetes knows by a name. The namespace is settled, and so is the name, which may be empty on creation.
func (s *server) readWrite(msg proto.Message, options string) (writeRequest, error) {
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
	read, err := readWriteOptions(options, dryRun, text("field_validation"), text("field_manager"))
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
	r := writeRequest{namespace: text("namespace"), name: text("name"), object: object, options: read}
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

func readWriteOptions(kind string, dryRun []string, fieldValidation, fieldManager string) (writeOptions, error) {
	faults := validation.ValidateFieldManager(fieldManager, field.NewPath("fieldManager"))
	faults = append(faults, validation.ValidateDryRun(field.NewPath("dryRun"), dryRun)...)
	faults = append(faults, validation.ValidateFieldValidation(field.NewPath("fieldValidation"), fieldValidation)...)
	return writeOptions{
		dryRun: len(dryRun) > 0, validation: cmp.Or(fieldValidation, validationStrict), manager: fieldManager,
	}, refused(kind, faults)
}

func readDryRun(kind string, values []string) (bool, error) {
	return len(values) > 0, refused(kind, validation.ValidateDryRun(field.NewPath("dryRun"), values))
}

// refused is the error for options with faults, nil if there are none.
func refused(kind string, faults field.ErrorList) error {
	if len(faults) == 0 {
		return nil
	}
	causes := make([]apierror.Cause, len(faults))
	for i, f := range faults {
		causes[i] = causeOf(f)
	}
	return apierror.InvalidObject(apierror.Resource{Group: kmetav1.GroupName, Kind: kind}, "", causes)
}

// tell tells the caller what is odd about the request, and whether it made an object, beside the answer.
func tell(ctx context.Context, warnings []string, created bool) {
	warn(ctx, warnings)
	if created {
		_ = grpc.SetHeader(ctx, metadata.Pairs(wire.CreatedKey, "true")) // fails only where there is no transport to tell
	}
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
