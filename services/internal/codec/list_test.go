// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package codec_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/internal/codec"
)

func roles(n, bytesEach int) *authv1.RoleServiceListResponse {
	out := &authv1.RoleServiceListResponse{Metadata: &metav1.ListMeta{ResourceVersion: "7", RemainingItemCount: proto.Int64(0)}}
	for i := range n {
		out.Items = append(out.Items, &authv1.Role{
			Metadata: &metav1.ObjectMeta{Name: fmt.Sprint(i), Annotations: map[string]string{"text": strings.Repeat("x", bytesEach)}},
		})
	}
	return out
}

// TestMarshalEncodedList writes lists that Marshal writes the same, whatever number of cores writes them, and empty ones.
func TestMarshalEncodedList(t *testing.T) {
	t.Parallel()
	for _, list := range []*authv1.RoleServiceListResponse{roles(1, 10), roles(3, 10), roles(3, 300_000), roles(1001, 1000)} {
		want, err := codec.Marshal(list)
		if err != nil {
			t.Fatal(err)
		}
		data, err := proto.Marshal(list)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := codec.MarshalEncodedList(list.ProtoReflect().Descriptor(), data); err != nil || string(got) != string(want) {
			t.Errorf("%d items of %d bytes are another list than Marshal writes (%v)", len(list.GetItems()), len(data), err)
		}
	}
	const empty = `{"apiVersion":"auth.fairlead.dev/v1","kind":"RoleList","metadata":{},"items":[]}`
	md := (&authv1.RoleServiceListResponse{}).ProtoReflect().Descriptor()
	if got, err := codec.MarshalEncodedList(md, nil); err != nil || string(got) != empty {
		t.Errorf("an empty list has its metadata and items all the same: got %s (%v), want %s", got, err, empty)
	}
	broken, err := proto.Marshal(roles(500, 1000))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := codec.MarshalEncodedList(md, broken[:len(broken)-1]); err == nil {
		t.Error("a list that is cut off was written")
	}
	if _, err := codec.MarshalEncodedList((&authv1.Role{}).ProtoReflect().Descriptor(), nil); err == nil {
		t.Error("what is no list was written as one")
	}
	if _, err := codec.MarshalEncodedList(md, slices.Concat(broken, []byte{0x12, 2, 0x0a, 9})); err == nil {
		t.Error("a list with a broken item was written")
	}
}

// BenchmarkList writes 5,000 objects. The limit is a copy of what is written.
func BenchmarkList(b *testing.B) {
	list := roles(5000, 1300)
	data, err := proto.Marshal(list)
	if err != nil {
		b.Fatal(err)
	}
	text, err := codec.Marshal(list)
	if err != nil {
		b.Fatal(err)
	}
	for way, write := range map[string]func() error{
		"encoded": func() error {
			_, err := codec.MarshalEncodedList(list.ProtoReflect().Descriptor(), data)
			return err
		},
		"message": func() error {
			_, err := codec.Marshal(list)
			return err
		},
		"decode": func() error { return proto.Unmarshal(data, &authv1.RoleServiceListResponse{}) },
		"copy": func() error {
			_ = slices.Clone(text)
			return nil
		},
	} {
		b.Run(way, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if err := write(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
