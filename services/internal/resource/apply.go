// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"bytes"
	"context"
	"encoding/json"

	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/codec"
	"fairlead.dev/services/internal/rpc"
	"fairlead.dev/services/internal/store"
)

// applyTries is how often an apply looks again when the object comes and goes under its hands.
const applyTries = 4

// readApply reads the document of an apply.
func (s *server) readApply(p *patch, data []byte) error {
	data, err := documentJSON(data)
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
	p.applied = s.empty()
	odd, err := codec.Unmarshal(data, p.applied, codec.Options{Strict: p.options.validation == validationStrict})
	if err != nil {
		return err
	}
	if p.options.validation == validationWarn {
		p.warnings = odd
	}
	s.ensureMetadata(p.applied)
	if p.apply, err = s.fields.Read(data, p.applied, len(odd) > 0); err != nil {
		return err
	}
	return s.sameKey(p.applied, p.key)
}

// documentJSON returns a document as JSON. Most are: YAML takes its time.
func documentJSON(data []byte) ([]byte, error) {
	if len(data) <= maxPatchBytes && bytes.HasPrefix(data, []byte("{")) && checkNesting(data) == nil && json.Valid(data) {
		return data, nil
	}
	return codec.YAMLToJSON(data, codec.Limits{Bytes: maxPatchBytes})
}

// applyDocument creates the object of an apply, or makes the one there is what comes of both. It tells whether it created it.
func (s *server) applyDocument(ctx context.Context, to *store.Store, p *patch) (obj store.Object, created bool, err error) {
	p.by.Force = p.force
	for range applyTries {
		obj, err = s.change(ctx, to, change{
			key: p.key, subresource: p.subresource, by: p.by, applies: true, patches: true,
			edit: func(current store.Object) (store.Object, error) { return s.merged(current, p) },
		})
		if !apierror.IsNotFound(err) || p.subresource != "" {
			return obj, false, err
		}
		if uid := p.applied.GetMetadata().GetUid(); uid != "" {
			return nil, false, apierror.Conflict(s.resource, p.key.Name, "uid mismatch: the provided object specified uid %s, and no existing object was found", uid)
		}
		if err := rpc.MayCreate(ctx); err != nil {
			return nil, false, err
		}
		first, err := s.merged(nil, p)
		if err != nil {
			return nil, false, err
		}
		obj, err = s.create(ctx, to, first, creation{by: p.by, applies: true})
		if !apierror.IsAlreadyExists(err) {
			return obj, true, err
		}
	}
	return nil, false, err
}

// merged returns what comes of an object, nil if there is none, and the document of an apply.
func (s *server) merged(current store.Object, p *patch) (store.Object, error) {
	by := p.by
	by.Status = p.subresource == subresourceStatus
	out, err := s.fields.Apply(live(current), p.apply, by)
	if err != nil {
		return nil, err
	}
	return out, s.sameKey(out, p.key)
}
