// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package older_test

import (
	"testing"

	eventingv1alpha1 "fairlead.dev/gen/go/fairlead/eventing/v1alpha1"
	"fairlead.dev/services/eventing/older"
	"fairlead.dev/services/internal/resource"
	"fairlead.dev/services/internal/resource/versiontest"
	"fairlead.dev/services/internal/store"
)

func versions(t testing.TB) []versiontest.Kind {
	t.Helper()
	handlers, err := older.Handlers()
	if err != nil {
		t.Fatal(err)
	}
	var out []versiontest.Kind
	for _, h := range handlers {
		out = append(out, versiontest.Kind{Older: h, Stored: resource.Handler{Kind: h.Kind.Stored()}, Mend: mend, Notes: []map[string]string{
			nil, {older.AnnotationForm: "sourceAndType"}, {older.AnnotationForm: "dnsName,sourceAndType"},
		}})
	}
	return out
}

// mend leaves one of the ways in which an object says the same.
func mend(obj store.Object) {
	t, ok := obj.(*eventingv1alpha1.Trigger)
	if !ok {
		return
	}
	if f := t.GetSpec().GetFilter(); f.GetSourceAndType() != nil {
		f.Attributes = nil
	}
	if s := t.GetSpec().GetSubscriber(); s.GetDnsName() != "" {
		s.Ref, s.Uri = nil, ""
	}
}

// TestRoundTrips is a property of all older forms: what is written in one form and read in it again is the same.
func TestRoundTrips(t *testing.T) {
	for _, k := range versions(t) {
		t.Run(k.Older.Kind.Kind+"."+k.Older.Kind.Version, func(t *testing.T) {
			t.Parallel()
			k.Rounds(t, 300)
		})
	}
}

// FuzzRoundTrips looks for the seed of an object that loses something.
func FuzzRoundTrips(f *testing.F) {
	ks := versions(f)
	f.Add(uint8(0), uint64(0))
	f.Fuzz(func(t *testing.T, kind uint8, seed uint64) { ks[int(kind)%len(ks)].Round(t, seed) })
}
