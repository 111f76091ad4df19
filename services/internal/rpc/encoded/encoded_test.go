// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package encoded_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/internal/rpc/encoded"
)

const itemsField = 2

// list returns an answer of n items, and the message that it stands for.
func list(t testing.TB, n, bytesEach int) (*encoded.Answer, *authv1.RoleServiceListResponse) {
	t.Helper()
	want := &authv1.RoleServiceListResponse{}
	var parts [][]byte
	for i := range n {
		role := &authv1.Role{Metadata: &metav1.ObjectMeta{Name: fmt.Sprint(i), Annotations: map[string]string{"text": strings.Repeat("x", bytesEach)}}}
		want.Items = append(want.Items, role)
		data, err := proto.Marshal(role)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, encoded.AppendField(nil, itemsField, len(data)), data)
	}
	return encoded.New(want.ProtoReflect().Type(), parts...), want
}

func TestAnswer(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		reason string
		items  int
		bytes  int
	}{
		"Empty": {"an answer may be empty", 0, 0},
		"Few":   {"few parts are handed on as they are", 2, 10},
		"Many":  {"many parts are copied together", 1000, 10},
		"Large": {"an answer may be larger than a buffer", 50, 100_000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answer, want := list(t, tc.items, tc.bytes)
			if diff := cmp.Diff(want, answer.ProtoReflect().Interface(), protocmp.Transform()); diff != "" {
				t.Errorf("%s: decoded (-want +got):\n%s", tc.reason, diff)
			}
			sent, err := encoded.Codec().Marshal(answer)
			if err != nil {
				t.Fatal(err)
			}
			defer sent.Free()
			if !bytes.Equal(sent.Materialize(), answer.Bytes()) {
				t.Errorf("%s: what is sent is not the answer", tc.reason)
			}
			got := &authv1.RoleServiceListResponse{}
			if err := encoded.Codec().Unmarshal(sent, got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
				t.Errorf("%s: sent (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestCodec has other messages encoded as ever.
func TestCodec(t *testing.T) {
	t.Parallel()
	want := &metav1.GetRequest{Name: "a"}
	sent, err := encoded.Codec().Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	defer sent.Free()
	got := &metav1.GetRequest{}
	if err := encoded.Codec().Unmarshal(sent, got); err != nil || !proto.Equal(want, got) {
		t.Errorf("got %v (%v), want %v", got, err, want)
	}
	if encoded.Codec().Name() != "proto" {
		t.Errorf("clients ask for proto, not %s", encoded.Codec().Name())
	}
}

// BenchmarkList is a list of 5,000 objects on its way into gRPC. The limit is proto.Marshal's opposite: nothing but a copy.
func BenchmarkList(b *testing.B) {
	answer, message := list(b, 5000, 1200)
	b.Run("encoded", func(b *testing.B) {
		for b.Loop() {
			sent, err := encoded.Codec().Marshal(answer)
			if err != nil {
				b.Fatal(err)
			}
			sent.Free()
		}
	})
	b.Run("proto", func(b *testing.B) {
		for b.Loop() {
			sent, err := encoded.Codec().Marshal(message)
			if err != nil {
				b.Fatal(err)
			}
			sent.Free()
		}
	})
	b.Run("copy", func(b *testing.B) {
		data := answer.Bytes()
		to := make([]byte, len(data))
		for b.Loop() {
			copy(to, data)
		}
	})
}
