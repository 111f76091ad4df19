// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"cmp"
	"context"
	"encoding/json"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/wire"
)

// servePrepare applies a document and keeps what would be written, so that it can be committed with that of others.
func (s *server) servePrepare(ctx context.Context, in proto.Message, _ protoreflect.MessageType) (proto.Message, error) {
	r, ok := in.(*metav1.PrepareRequest)
	if !ok {
		return nil, wrongRequest(in)
	}
	p, err := s.readPatch(ctx, &metav1.PatchRequest{
		Namespace: r.GetNamespace(), Name: r.GetName(), Patch: r.GetDocument(), ContentType: wire.ContentTypeApply,
		FieldManager: cmp.Or(r.GetFieldManager(), wire.DefaultManager), Force: r.GetForce(),
	})
	if err != nil {
		return nil, err
	}
	tx := s.deps.Store.Begin()
	obj, _, err := s.applyDocument(ctx, s.deps.Store.In(tx), p)
	if err != nil {
		return nil, err
	}
	out := &metav1.PrepareResponse{Action: wire.Unchanged, ResourceVersion: obj.GetMetadata().GetResourceVersion()}
	for _, op := range tx.Operations() {
		switch {
		case op.Expected == 0:
			out.Action, out.ResourceVersion = wire.Created, ""
		case !op.Keeps():
			out.Action = wire.Configured
		}
		data, err := json.Marshal(op)
		if err != nil {
			return nil, apierror.Internal(err)
		}
		out.Operations = append(out.Operations, data)
	}
	return out, nil
}
