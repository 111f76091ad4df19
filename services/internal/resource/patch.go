// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"context"
	"maps"
	"mime"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/codec"
	"fairlead.dev/services/internal/rpc"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/wire"
)

// applyTries is how often an apply looks again when the object comes and goes under its hands.
const applyTries = 4

// patch is a PatchRequest that makes sense by itself.
type patch struct {
	key         store.Key
	subresource string
	options     writeOptions
	// apply is the document of an apply; nil for patches, which edit instead.
	apply store.Object
	edit  func(current []byte) ([]byte, error)
	// warnings gathers what is odd about the patch.
	warnings []string
}

func (s *server) servePatch(ctx context.Context, in proto.Message, _ protoreflect.MessageType) (proto.Message, error) {
	r, ok := in.(*metav1.PatchRequest)
	if !ok {
		return nil, wrongRequest(in)
	}
	p, err := s.readPatch(r)
	if err != nil {
		return nil, err
	}
	var obj store.Object
	if p.apply != nil {
		obj, err = s.applyDocument(ctx, s.target(p.options.dryRun), p)
	} else {
		obj, err = s.change(ctx, s.target(p.options.dryRun), p.key, p.subresource, func(current store.Object) (store.Object, error) {
			return s.patched(p, current)
		})
	}
	if err != nil {
		return nil, err
	}
	warn(ctx, p.warnings)
	return obj, nil
}

func (s *server) readPatch(r *metav1.PatchRequest) (*patch, error) {
	p := &patch{subresource: r.GetSubresource()}
	var err error
	if p.key, err = s.key(r.GetNamespace(), r.GetName()); err != nil {
		return nil, err
	}
	if p.options, err = readWriteOptions(r.GetDryRun(), r.GetFieldValidation()); err != nil {
		return nil, err
	}
	if p.subresource != "" && (p.subresource != subresourceStatus || s.status == nil) {
		return nil, apierror.New(apierror.ReasonNotFound, "%s have no subresource %q", s.resource, p.subresource)
	}
	if len(r.GetPatch()) > maxPatchBytes {
		return nil, apierror.New(apierror.ReasonRequestEntityTooLarge, "the patch takes %d bytes, more than the %d that are read", len(r.GetPatch()), maxPatchBytes)
	}
	contentType, _, err := mime.ParseMediaType(r.GetContentType())
	if err != nil {
		contentType = r.GetContentType()
	}
	switch contentType {
	case wire.ContentTypeJSONPatch:
		p.edit, err = readJSONPatch(r.GetPatch())
	case wire.ContentTypeMergePatch:
		p.edit, err = readMergePatch(r.GetPatch())
	case wire.ContentTypeApply:
		err = s.readApply(p, r.GetPatch())
	default:
		err = apierror.New(apierror.ReasonUnsupportedMediaType,
			"the body of the request was in an unknown format (%q) - accepted media types include: %s, %s, %s",
			contentType, wire.ContentTypeJSONPatch, wire.ContentTypeMergePatch, wire.ContentTypeApply)
	}
	return p, err
}

// patched returns the state that a patch makes of an object.
func (s *server) patched(p *patch, current store.Object) (store.Object, error) {
	before, err := codec.Marshal(current)
	if err != nil {
		return nil, err
	}
	after, err := p.edit(before)
	if err != nil {
		return nil, err
	}
	wanted, err := s.decode(p, after)
	if err != nil {
		return nil, err
	}
	return wanted, s.sameKey(wanted, p.key)
}

// decode reads an object of the kind and notes warnings.
func (s *server) decode(p *patch, data []byte) (store.Object, error) {
	obj := s.empty()
	warnings, err := codec.Unmarshal(data, obj, codec.Options{Strict: p.options.validation == validationStrict})
	if err != nil {
		return nil, err
	}
	p.warnings = nil
	if p.options.validation == validationWarn {
		p.warnings = warnings
	}
	s.ensureMetadata(obj)
	return obj, nil
}

// sameKey refuses an object that says that it is another. What it leaves out it means.
func (s *server) sameKey(obj store.Object, key store.Key) error {
	m := obj.GetMetadata()
	if m.GetName() != "" && m.GetName() != key.Name {
		return nameMismatch(m.GetName(), key.Name)
	}
	if _, err := s.settleNamespace(key.Namespace, m.GetNamespace()); err != nil {
		return err
	}
	m.Name, m.Namespace = key.Name, key.Namespace
	return nil
}

// applyDocument creates the object of an apply, or makes the one there is what the document says.
func (s *server) applyDocument(ctx context.Context, to *store.Store, p *patch) (store.Object, error) {
	var obj store.Object
	var err error
	for range applyTries {
		obj, err = s.change(ctx, to, p.key, p.subresource, func(current store.Object) (store.Object, error) {
			return s.applied(p.apply, current), nil
		})
		if !apierror.IsNotFound(err) || p.subresource != "" || p.apply.GetMetadata().GetUid() != "" {
			return obj, err
		}
		if err := rpc.MayCreate(ctx); err != nil {
			return nil, err
		}
		obj, err = s.create(ctx, to, clone(p.apply))
		if !apierror.IsAlreadyExists(err) {
			return obj, err
		}
	}
	return nil, err
}

func (s *server) readApply(p *patch, data []byte) error {
	data, err := codec.YAMLToJSON(data, codec.Limits{Bytes: maxPatchBytes})
	if err != nil {
		return err
	}
	apiVersion, kind, _, err := codec.TypeMeta(data)
	if err != nil {
		return err
	}
	if apiVersion != s.Kind.APIVersion() || kind != s.Kind.Kind {
		return apierror.BadRequest("the document is a %s in version %q, not a %s in version %q", kind, apiVersion, s.Kind.Kind, s.Kind.APIVersion())
	}
	if p.apply, err = s.decode(p, data); err != nil {
		return err
	}
	return s.sameKey(p.apply, p.key)
}

// applied returns current with what a document says: labels and annotations are added to those there are, finalizers and
// owners replace them where the document names any, and all else is as in the document.
func (s *server) applied(document, current store.Object) store.Object {
	out := clone(document)
	m, was := out.GetMetadata(), current.GetMetadata()
	m.Labels = merged(was.GetLabels(), m.GetLabels())
	m.Annotations = merged(was.GetAnnotations(), m.GetAnnotations())
	if len(m.GetFinalizers()) == 0 {
		m.Finalizers = was.GetFinalizers()
	}
	if len(m.GetOwnerReferences()) == 0 {
		m.OwnerReferences = was.GetOwnerReferences()
	}
	if len(m.GetManagedFields()) == 0 {
		m.ManagedFields = was.GetManagedFields()
	}
	return out
}

func merged(base, more map[string]string) map[string]string {
	if len(base) == 0 {
		return more
	}
	out := maps.Clone(base)
	maps.Copy(out, more)
	return out
}
