// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package managed keeps track of who manages which fields of an object, and merges what managers apply, as a Kubernetes API
// server does for custom resources: by Kubernetes' own field manager, with schemas from our descriptors.
package managed

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"
	kerrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/apierror"
)

// Write is who writes what of an object.
type Write struct {
	// Manager is the name of the field manager.
	Manager string
	// Status tells that only the status is written.
	Status bool
	// Force takes over, on an apply, what others manage.
	Force bool
}

// Tracker keeps the managed fields of the objects of a kind in one version. It can be used by many at once.
type Tracker struct {
	kind      kinds.Kind
	gvk       schema.GroupVersionKind
	converter typeConverter
	// whole is for writes of objects, status for those of their status alone; nil where there is none.
	whole, status *managedfields.FieldManager
	// complete fills in what an object leaves open.
	complete func(Object)
}

// Config says what a Tracker works with.
type Config struct {
	// Types are those of all versions of the kind.
	Types *Types
	// Kind is the kind in the version that is written.
	Kind kinds.Kind
	// Versions are all versions of the kind, Kind among them.
	Versions []kinds.Kind
	// Convert converts between them; not needed where there is one.
	Convert Convert
	// Complete fills in what an object leaves open, as will be done before it is stored. It is asked for the keys of list items
	// alone, so that items are the same before and after. Optional.
	Complete func(Object)
}

// New makes a Tracker.
func New(c Config) (*Tracker, error) {
	t := &Tracker{kind: c.Kind, gvk: gvkOf(c.Kind), complete: c.Complete}
	t.converter = typeConverter{types: c.Types, complete: t.completeNoted}
	versions := convertor{types: c.Types, versions: map[schema.GroupVersionKind]kinds.Kind{}, convert: c.Convert}
	for _, k := range c.Versions {
		versions.versions[gvkOf(k)] = k
	}
	desc := c.Kind.New().ProtoReflect().Descriptor()
	specs := fieldpath.NewSet(fieldpath.MakePathOrDie("metadata"))
	for i := range desc.Fields().Len() {
		if f := desc.Fields().Get(i); f.Name() != "status" {
			specs.Insert(fieldpath.MakePathOrDie(f.JSONName()))
		}
	}
	manager := func(subresource string, reset *fieldpath.Set) (*managedfields.FieldManager, error) {
		m, err := managedfields.NewDefaultCRDFieldManager(t.converter, versions, defaulter{}, creator{}, t.gvk, t.gvk.GroupVersion(), subresource,
			fieldpath.NewExcludeFilterSetMap(map[fieldpath.APIVersion]*fieldpath.Set{fieldpath.APIVersion(t.gvk.GroupVersion().String()): reset}))
		if err != nil {
			return nil, fmt.Errorf("managed: %s: %w", t.gvk, err)
		}
		return m, nil
	}
	var err error
	reset := fieldpath.NewSet()
	if c.Kind.HasStatus {
		reset.Insert(fieldpath.MakePathOrDie("status"))
		if t.status, err = manager("status", specs); err != nil {
			return nil, err
		}
	}
	if t.whole, err = manager("", reset); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *Tracker) manager(w Write) *managedfields.FieldManager {
	if w.Status && t.status != nil {
		return t.status
	}
	return t.whole
}

// Update sets the managed fields of an object that is to be stored in place of live, which is nil on creation. live is not
// changed. On an error the object has the managed fields of live.
func (t *Tracker) Update(live, obj Object, w Write) error {
	if live != nil && len(live.GetMetadata().GetManagedFields()) == 0 && len(obj.GetMetadata().GetManagedFields()) == 0 {
		return nil // nobody has applied it, and it is not new: as in Kubernetes, nobody is tracked
	}
	was, err := t.live(live)
	if err != nil {
		return t.keep(live, obj, err)
	}
	now, err := t.converter.types.object(obj)
	if err != nil {
		return t.keep(live, obj, err)
	}
	t.completeKeys(now.Object, obj)
	if _, err = t.manager(w).Update(was, now, w.Manager); err != nil {
		return t.keep(live, obj, err)
	}
	obj.GetMetadata().ManagedFields = messages(now.managed)
	return nil
}

func (t *Tracker) keep(live, obj Object, err error) error {
	obj.GetMetadata().ManagedFields = nil
	if live != nil {
		obj.GetMetadata().ManagedFields = live.GetMetadata().GetManagedFields()
	}
	return fmt.Errorf("managed: the fields of %s %q are not tracked: %w", t.gvk.Kind, obj.GetMetadata().GetName(), err)
}

// live returns the object there is as field managers take it: an empty one where there is none.
func (t *Tracker) live(obj Object) (*object, error) {
	if obj == nil {
		return emptyObject(t.gvk), nil
	}
	return t.converter.types.object(obj)
}

// Apply returns what comes of live, nil if there is none, when a document is applied to it. live is not changed.
func (t *Tracker) Apply(live Object, doc *Document, w Write) (Object, error) {
	was, err := t.live(live)
	if err != nil {
		return nil, err
	}
	merged, err := t.manager(w).Apply(was, doc, w.Manager, w.Force)
	if err != nil {
		return nil, told(err)
	}
	o, err := contentOf(merged)
	if err != nil {
		return nil, err
	}
	if live != nil && len(live.GetMetadata().GetManagedFields()) == 0 && len(o.managed) == 0 {
		// Neither says anything that could be managed. Of empty lists, which nobody manages, messages would keep the empty
		// parents, and those would be somebody's next time.
		return proto.CloneOf(live), nil
	}
	out, ok := t.kind.New().(Object)
	if !ok {
		return nil, fmt.Errorf("managed: %s has no metadata", t.kind.Message)
	}
	return out, o.into(out)
}

// told is an error of the field manager as users see it.
func told(err error) error {
	status, ok := errors.AsType[*kerrors.StatusError](err)
	if !ok {
		return apierror.Internal(err)
	}
	s := status.Status()
	e := apierror.New(apierror.Reason(s.Reason), "%s", s.Message).Wrap(err)
	if s.Details != nil {
		for _, c := range s.Details.Causes {
			e.Causes = append(e.Causes, apierror.Cause{Field: c.Field, Reason: string(c.Type), Message: c.Message})
		}
	}
	return e
}
