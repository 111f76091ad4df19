// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"context"
	"mime"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/types"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/codec"
	"fairlead.dev/services/internal/managed"
	"fairlead.dev/services/internal/store"
	"fairlead.dev/services/internal/wire"
)

// patch is a PatchRequest that makes sense by itself.
type patch struct {
	key         store.Key
	subresource string
	options     writeOptions
	by          managed.Write
	force       bool
	// apply is the document of an apply, and applied what it says; nil for patches, which edit instead.
	apply   *managed.Document
	applied store.Object
	edit    func(current []byte) ([]byte, error)
	// odd is what is odd about the patch, whatever it is made to; warnings is that with what is odd about what comes of it.
	odd      []error
	warnings []string
}

func (s *server) servePatch(ctx context.Context, in proto.Message, _ protoreflect.MessageType) (proto.Message, error) {
	r, ok := in.(*metav1.PatchRequest)
	if !ok {
		return nil, wrongRequest(in)
	}
	p, err := s.readPatch(ctx, r)
	if err != nil {
		return nil, err
	}
	var obj store.Object
	created := false
	if p.apply != nil {
		obj, created, err = s.applyDocument(ctx, s.target(p.options.dryRun), p)
	} else {
		obj, err = s.change(ctx, s.target(p.options.dryRun), change{
			key: p.key, subresource: p.subresource, by: p.by, patches: true,
			edit: func(current store.Object) (store.Object, error) { return s.patched(p, current) },
		})
	}
	if err != nil {
		return nil, err
	}
	tell(ctx, p.warnings, created)
	return obj, nil
}

func (s *server) readPatch(ctx context.Context, r *metav1.PatchRequest) (*patch, error) {
	p := &patch{subresource: r.GetSubresource(), force: r.GetForce()}
	var err error
	if p.key, err = s.key(r.GetNamespace(), r.GetName()); err != nil {
		return nil, err
	}
	if p.options, err = readWriteOptions(optionsPatch, r.GetDryRun(), r.GetFieldValidation(), r.GetFieldManager()); err != nil {
		return nil, err
	}
	p.by = p.options.writer(ctx)
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
	if err := refused(optionsPatch, validation.ValidatePatchOptions(patchOptions(r), types.PatchType(contentType))); err != nil {
		return nil, err
	}
	switch contentType {
	case wire.ContentTypeJSONPatch:
		p.edit, p.odd, err = readJSONPatch(s.metadata.ContainingMessage(), r.GetPatch())
	case wire.ContentTypeMergePatch:
		p.edit, p.odd, err = readMergePatch(r.GetPatch())
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

// decode reads what came of a patch and notes warnings. What does not fit is told as Kubernetes tells it of patches: they are well
// formed, but what comes of them is not valid.
func (s *server) decode(p *patch, data []byte) (store.Object, error) {
	obj := s.empty()
	strict := p.options.validation == validationStrict
	odd, err := codec.Unmarshal(data, obj, codec.Options{Strict: strict})
	if err == nil && strict && len(p.odd) > 0 {
		err = apierror.BadRequest("strict decoding error: %s", p.odd[0])
	}
	if err != nil {
		invalid := *apierror.From(err)
		if invalid.Reason == apierror.ReasonBadRequest {
			invalid.Reason, invalid.Message = apierror.ReasonInvalid, "what comes of the patch is invalid: "+invalid.Message
			invalid.Resource, invalid.Name = s.resource, p.key.Name
		}
		return nil, &invalid
	}
	p.warnings = nil
	if p.options.validation == validationWarn {
		for _, e := range p.odd {
			p.warnings = append(p.warnings, e.Error())
		}
		for _, w := range odd {
			if !slices.Contains(p.warnings, w) { // a merged document keeps what a patch has twice
				p.warnings = append(p.warnings, w)
			}
		}
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

// patchOptions are the options of a patch whose meaning depends on its type.
func patchOptions(r *metav1.PatchRequest) *kmetav1.PatchOptions {
	o := &kmetav1.PatchOptions{FieldManager: r.GetFieldManager()}
	if r.GetForce() {
		o.Force = new(true)
	}
	return o
}
