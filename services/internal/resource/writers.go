// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"context"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/internal/rpc"
)

// WriterAnnotations are the keys of a group's annotations that tell who wrote an object. Their values are the server's:
// what a request says in them is dropped.
type WriterAnnotations struct {
	// Creator is the key for who made the object.
	Creator string
	// LastModifier is the key for who last changed what it wants.
	LastModifier string
}

// Record notes the caller in m. old is the object's metadata so far, nil on creation; changed says whether the spec differs.
// A caller without a name leaves no note.
func (w WriterAnnotations) Record(ctx context.Context, m, old *metav1.ObjectMeta, changed bool) {
	if m == nil {
		return
	}
	var user string
	if id, ok := rpc.IdentityFrom(ctx); ok {
		user = id.User
	}
	creator, modifier := user, user
	if old != nil {
		creator = old.GetAnnotations()[w.Creator]
		if !changed {
			modifier = old.GetAnnotations()[w.LastModifier]
		}
	}
	annotate(m, w.Creator, creator)
	annotate(m, w.LastModifier, modifier)
}

// annotate sets an annotation, or removes it when the value is empty.
func annotate(m *metav1.ObjectMeta, key, value string) {
	if value == "" {
		delete(m.GetAnnotations(), key)
		return
	}
	if m.GetAnnotations() == nil {
		m.Annotations = map[string]string{}
	}
	m.Annotations[key] = value
}
