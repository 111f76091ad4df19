// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package managed_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"fairlead.dev/gen/go/kinds"
	"fairlead.dev/services/internal/managed"
)

// tracker makes the tracker of a kind that has one version.
func tracker(t testing.TB, m proto.Message) *managed.Tracker {
	t.Helper()
	return trackerWith(t, m, nil)
}

func trackerWith(t testing.TB, m proto.Message, complete func(managed.Object)) *managed.Tracker {
	t.Helper()
	k, ok := kinds.ByMessage(m.ProtoReflect().Descriptor().FullName())
	if !ok {
		t.Fatalf("%T is no kind", m)
	}
	types, err := managed.NewTypes([]kinds.Kind{k})
	if err != nil {
		t.Fatal(err)
	}
	out, err := managed.New(managed.Config{Types: types, Kind: k, Versions: []kinds.Kind{k}, Complete: complete})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
