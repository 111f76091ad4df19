// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"context"
	"fmt"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/managed"
	"fairlead.dev/services/internal/store"
)

// track gives servers what keeps the managed fields of their objects.
func track(servers []*server) error {
	all := make([]kinds.Kind, len(servers))
	for i, s := range servers {
		all[i] = s.Kind
	}
	types, err := managed.NewTypes(all)
	if err != nil {
		return fmt.Errorf("resource: %w", err)
	}
	for _, s := range servers {
		forms := formsOf(s, servers)
		var complete func(managed.Object)
		if s.Default != nil {
			complete = s.complete
		}
		s.fields, err = managed.New(managed.Config{
			Types: types, Kind: s.Kind, Versions: forms.kinds(), Convert: forms.convert, Complete: complete,
		})
		if err != nil {
			return fmt.Errorf("resource: %w", err)
		}
	}
	return nil
}

// forms are the servers of a kind, by version.
type forms map[string]*server

func formsOf(s *server, servers []*server) forms {
	out := forms{}
	for _, other := range servers {
		if other.stored.Message == s.stored.Message {
			out[other.Kind.Version] = other
		}
	}
	return out
}

func (f forms) kinds() []kinds.Kind {
	var out []kinds.Kind
	for _, s := range f {
		out = append(out, s.Kind)
	}
	return out
}

// convert returns an object of one version in another, by way of the stored one.
func (f forms) convert(obj managed.Object, from, to kinds.Kind) (managed.Object, error) {
	source, target := f[from.Version], f[to.Version]
	if source == nil || target == nil {
		return nil, fmt.Errorf("resource: %s is not served in %s and %s", from.Kind, from.Version, to.Version)
	}
	if source.older != nil {
		stored, err := source.older.toStored(obj)
		if err != nil {
			return nil, err
		}
		obj = stored
	}
	return target.served(obj)
}

// complete fills in what an object leaves open, as admission will.
func (s *server) complete(obj managed.Object) {
	s.Default(context.Background(), obj, nil)
}

// track notes on obj, which is to be stored in place of old, who manages its fields. That cannot fail a write: what went wrong
// is logged, and the fields' managers stay.
func (s *server) track(ctx context.Context, old, obj store.Object, by managed.Write) {
	s.ensureMetadata(obj)
	if err := s.fields.Update(live(old), obj, by); err != nil {
		s.deps.Log.WarnContext(ctx, "the managers of an object's fields are not updated", "resource", s.resource.String(), "error", err)
	}
}

// live returns an object as what there is; nil stays nil.
func live(obj store.Object) managed.Object {
	if obj == nil {
		return nil
	}
	return obj
}
