// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package resource_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/internal/resource"
	"fairlead.dev/services/internal/rpc"
)

func TestWriterAnnotations(t *testing.T) {
	w := resource.WriterAnnotations{Creator: "creator", LastModifier: "lastModifier"}
	by := func(creator, modifier string) map[string]string {
		return map[string]string{"creator": creator, "lastModifier": modifier}
	}
	as := func(user string) context.Context {
		if user == "" {
			return t.Context()
		}
		return rpc.WithIdentity(t.Context(), &rpc.Identity{User: user})
	}
	for _, tc := range []struct {
		reason     string
		user       string
		given, old map[string]string
		update     bool
		changed    bool
		want       map[string]string
	}{
		{reason: "who makes an object is noted", user: "alice", changed: true, want: by("alice", "alice")},
		{reason: "who makes an object cannot be another", user: "mallory", given: by("alice", "alice"), changed: true, want: by("mallory", "mallory")},
		{reason: "nobody can be noted by nobody", given: by("alice", "alice"), changed: true, want: map[string]string{}},
		{reason: "a change is its writer's", user: "bob", given: by("alice", "alice"), old: by("alice", "alice"), update: true, changed: true, want: by("alice", "bob")},
		{reason: "an update without a change leaves both", user: "bob", given: by("alice", "carol"), old: by("alice", "carol"), update: true, want: by("alice", "carol")},
		{reason: "an update cannot change them", user: "mallory", given: by("mallory", "eve"), old: by("alice", "carol"), update: true, want: by("alice", "carol")},
		{reason: "an update cannot remove them", user: "mallory", old: by("alice", "carol"), update: true, want: by("alice", "carol")},
		{reason: "an update cannot add them", user: "mallory", given: by("mallory", "mallory"), update: true, want: map[string]string{}},
		{
			reason: "a change by nobody removes the last modifier", given: by("mallory", "mallory"), old: by("alice", "carol"),
			update: true, changed: true, want: map[string]string{"creator": "alice"},
		},
		{
			reason: "other annotations are the user's", user: "alice", given: map[string]string{"note": "x"}, changed: true,
			want: map[string]string{"note": "x", "creator": "alice", "lastModifier": "alice"},
		},
	} {
		t.Run(tc.reason, func(t *testing.T) {
			m := &metav1.ObjectMeta{Annotations: tc.given}
			var old *metav1.ObjectMeta
			if tc.update {
				old = &metav1.ObjectMeta{Annotations: tc.old}
			}
			w.Record(as(tc.user), m, old, tc.changed)
			if diff := cmp.Diff(tc.want, m.GetAnnotations()); diff != "" {
				t.Errorf("annotations (-want +got):\n%s", diff)
			}
		})
	}
	w.Record(as("alice"), nil, nil, true) // an object without metadata has no place for them
}
