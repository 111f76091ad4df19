// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

// Package versiontest shows of the older forms of a kind that they lose nothing: what is written in one and read in it again is
// the same, whatever the other cannot say.
package versiontest

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/internal/codec"
	"fairlead.dev/services/internal/resource"
	"fairlead.dev/services/internal/store"
)

// Kind is a kind in an older form.
type Kind struct {
	// Older and Stored are the handlers of the two forms.
	Older, Stored resource.Handler
	// Mend makes of a random older object one that could be admitted.
	Mend func(store.Object)
	// Notes are values of the conversion's annotations that stored objects may have.
	Notes []map[string]string
}

// Rounds takes random objects of both forms to the other form and back.
func (k Kind) Rounds(t *testing.T, rounds int) {
	t.Helper()
	for seed := range rounds {
		if !k.Round(t, uint64(seed)) {
			t.Fatalf("the seed was %d", seed)
		}
	}
}

// Round does so for one seed, and tells whether nothing was lost.
func (k Kind) Round(tb testing.TB, seed uint64) bool {
	tb.Helper()
	c, err := resource.NewConverter(k.Older, k.Stored)
	if err != nil {
		tb.Fatal(err)
	}
	g := generator{rand.New(rand.NewPCG(seed, 0))} //nolint:gosec // for tests
	older, stored := k.older(tb, g), k.stored(tb, g)
	up := convert(tb, "up", c.ToStored, older)
	ok := same(tb, "an older object, stored and read again", older, convert(tb, "down", c.FromStored, up), nil)
	notes := k.Older.Convert.Annotations
	ok = ok && same(tb, "a stored object, read and written in the older form", stored, convert(tb, "up again", c.ToStored, convert(tb, "down", c.FromStored, stored)), notes)
	// Somebody has changed all of it over the stored form, and left the annotations alone.
	changed := clone(stored)
	meta(changed).Annotations = up.GetMetadata().GetAnnotations()
	back := convert(tb, "up again", c.ToStored, convert(tb, "down", c.FromStored, changed))
	spec := func(obj store.Object) store.Object {
		obj = clone(obj)
		meta(obj).Annotations = nil
		return obj
	}
	return ok && same(tb, "a stored object with what was kept of another", spec(changed), spec(back), nil)
}

func (k Kind) older(tb testing.TB, g generator) store.Object {
	tb.Helper()
	obj := random(tb, g, k.Older)
	if status := obj.ProtoReflect().Descriptor().Fields().ByName("status"); status != nil {
		obj.ProtoReflect().Clear(status) // not what a user writes; some of it is made of other fields
	}
	if k.Mend != nil {
		k.Mend(obj)
	}
	return normal(tb, obj)
}

func (k Kind) stored(tb testing.TB, g generator) store.Object {
	tb.Helper()
	obj := random(tb, g, k.Stored)
	if len(k.Notes) > 0 {
		meta(obj).Annotations = k.Notes[g.IntN(len(k.Notes))]
	}
	return normal(tb, obj)
}

func random(tb testing.TB, g generator, h resource.Handler) store.Object {
	tb.Helper()
	obj, ok := h.Kind.New().(store.Object)
	if !ok {
		tb.Fatalf("%s is no object", h.Kind.Message)
	}
	fields := obj.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		if f := fields.Get(i); f.Name() != "metadata" && g.IntN(10) > 0 {
			g.fill(obj.ProtoReflect().Mutable(f).Message(), 0)
		}
	}
	meta(obj).Name, meta(obj).Annotations = "x", map[string]string{"of": "the user"}
	return obj
}

// meta returns the metadata of an object, which has them then.
func meta(obj store.Object) *metav1.ObjectMeta {
	m := obj.ProtoReflect()
	out, _ := m.Mutable(m.Descriptor().Fields().ByName("metadata")).Message().Interface().(*metav1.ObjectMeta)
	return out
}

// normal returns an object as it is once it was JSON.
func normal(tb testing.TB, obj store.Object) store.Object {
	tb.Helper()
	out, ok := obj.ProtoReflect().New().Interface().(store.Object)
	if !ok {
		tb.Fatalf("%T is no object", obj)
	}
	if _, err := codec.Unmarshal([]byte(text(tb, obj)), out, codec.Options{Strict: true}); err != nil {
		tb.Fatalf("%v: %s", err, text(tb, obj))
	}
	return out
}

func text(tb testing.TB, obj store.Object) string {
	tb.Helper()
	data, err := codec.Marshal(obj)
	if err != nil {
		tb.Fatal(err)
	}
	return string(data)
}

// convert converts an object, and sees to it that the object stays what it was.
func convert(tb testing.TB, way string, convert func(store.Object) (store.Object, error), obj store.Object) store.Object {
	tb.Helper()
	before := clone(obj)
	out, err := convert(obj)
	if err != nil {
		tb.Fatalf("%s: %v\n%s", way, err, text(tb, obj))
	}
	if !proto.Equal(before, obj) {
		tb.Fatalf("%s: the conversion has changed what it got", way)
	}
	return clone(out)
}

func clone(obj store.Object) store.Object {
	return proto.Clone(obj).(store.Object) //nolint:forcetypeassert // of the same type
}

// same compares two objects but for some annotations.
func same(tb testing.TB, what string, want, got store.Object, except []string) bool {
	tb.Helper()
	want, got = clone(want), clone(got)
	for _, obj := range []store.Object{want, got} {
		for key := range obj.GetMetadata().GetAnnotations() {
			if slices.Contains(except, key) {
				delete(obj.GetMetadata().GetAnnotations(), key)
			}
		}
	}
	if d := cmp.Diff(text(tb, want), text(tb, got)); d != "" {
		tb.Errorf("%s (-want +got):\n%s", what, d)
		return false
	}
	return true
}
