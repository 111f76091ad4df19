// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package codec_test

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	rbacv1 "k8s.io/api/rbac/v1"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	buildv1 "fairlead.dev/gen/go/fairlead/build/v1"
	corepb "fairlead.dev/gen/go/fairlead/core/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/codec"
)

// encodable are messages that have every kind of field between them.
func encodable() []proto.Message {
	return []proto.Message{
		&servingv1.Service{}, &buildv1.Build{}, &corepb.PodSpec{}, &servingv1.ServiceServiceListResponse{}, &authv1.Role{},
		&metav1.ObjectMeta{}, &metav1.ManagedFieldsEntry{}, &metav1.Kind{}, &corepb.Lifecycle{}, &servingv1.RevisionSpec{},
		&wrapperspb.DoubleValue{}, &wrapperspb.FloatValue{}, &wrapperspb.UInt64Value{}, &structpb.Struct{}, &structpb.ListValue{},
	}
}

// checkEncoded holds what is made of an encoding to what is made of the message by asking it for its fields.
func checkEncoded(t *testing.T, data []byte, m proto.Message) {
	t.Helper()
	if proto.Unmarshal(data, m) != nil {
		_, _ = codec.AppendEncoded(nil, m.ProtoReflect().Descriptor(), data) // it may not panic; it may look at less
		return
	}
	want, wantErr := codec.MarshalByReflection(m)
	for way, marshal := range map[string]func() ([]byte, error){
		"Marshal":       func() ([]byte, error) { return codec.Marshal(m) },
		"AppendEncoded": func() ([]byte, error) { return codec.AppendEncoded(nil, m.ProtoReflect().Descriptor(), data) },
	} {
		got, err := marshal()
		if (err != nil) != (wantErr != nil) {
			t.Errorf("%s of %x as %T: got %v, want %v", way, data, m, err, wantErr)
		} else if err == nil && !bytes.Equal(got, want) {
			t.Errorf("%s of %x as %T:\ngot  %s\nwant %s", way, data, m, got, want)
		}
	}
}

// FuzzAppendEncoded reads anything as protobuf.
func FuzzAppendEncoded(f *testing.F) {
	filled := &corepb.PodSpec{}
	data, err := json.Marshal(fillPodSpec(1))
	if err != nil {
		f.Fatal(err)
	}
	if _, err := codec.Unmarshal(data, filled, codec.Options{}); err != nil {
		f.Fatal(err)
	}
	for _, m := range []proto.Message{
		filled,
		&metav1.ObjectMeta{Name: "a", Labels: map[string]string{"b": "é\n", "a": ""}, CreationTimestamp: &timestamppb.Timestamp{Seconds: 7, Nanos: 9}},
		&authv1.Role{Rules: []*authv1.PolicyRule{{Verbs: []string{"get", ""}}, {}}},
		wrapperspb.Double(math.Copysign(0, -1)), wrapperspb.Float(1.5), wrapperspb.UInt64(math.MaxUint64),
	} {
		data, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add(slices.Concat(data, data))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, m := range encodable() {
			checkEncoded(t, data, m)
		}
	})
}

// TestAppendEncoded has encodings that proto.Marshal does not make, and that mean what they say all the same.
func TestAppendEncoded(t *testing.T) {
	t.Parallel()
	encode := func(m proto.Message) []byte {
		data, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	entry := func(fields ...[]byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, number(t, &metav1.ObjectMeta{}, "labels"), protowire.BytesType), slices.Concat(fields...))
	}
	text := func(num protowire.Number, s string) []byte {
		return protowire.AppendString(protowire.AppendTag(nil, num, protowire.BytesType), s)
	}
	cases := map[string]struct {
		reason string
		data   []byte
		into   proto.Message
		want   string
	}{
		"Merged": {
			reason: "a message that comes in parts is the sum of its parts: so the store adds the resourceVersion",
			data: slices.Concat(encode(&authv1.Role{Metadata: &metav1.ObjectMeta{Name: "a", Finalizers: []string{"x"}}}),
				encode(&authv1.Role{Metadata: &metav1.ObjectMeta{ResourceVersion: "7", Finalizers: []string{"y"}}})),
			into: &authv1.Role{},
			want: `{"apiVersion":"auth.fairlead.dev/v1","kind":"Role","metadata":{"name":"a","resourceVersion":"7","finalizers":["x","y"]}}`,
		},
		"InlineInParts": {
			reason: "so is one whose fields stand beside its parent's",
			data: slices.Concat(encode(&servingv1.RevisionSpec{PodSpec: &corepb.PodSpec{ServiceAccountName: "x"}}),
				encode(&servingv1.RevisionSpec{PodSpec: &corepb.PodSpec{ServiceAccountName: "y", HostNetwork: true}})),
			into: &servingv1.RevisionSpec{},
			want: `{"serviceAccountName":"y","hostNetwork":true}`,
		},
		"MapTwice": {
			reason: "of entries with one key the last counts; what an entry leaves out is empty",
			data:   slices.Concat(entry(text(1, "a"), text(2, "x")), entry(text(1, "b")), entry(text(2, "y"), text(1, "a")), entry()),
			into:   &metav1.ObjectMeta{},
			want:   `{"labels":{"":"","a":"y","b":""}}`,
		},
		"OneOf": {
			reason: "of fields that exclude each other the last counts",
			data:   slices.Concat(encode(structpb.NewNumberValue(1)), encode(structpb.NewStringValue("x"))),
			into:   &structpb.Value{},
			want:   `{"stringValue":"x"}`,
		},
		"Unknown": {
			reason: "what is not known is left out",
			data:   slices.Concat(text(999, "x"), encode(&metav1.ObjectMeta{Name: "a"}), text(15000, "y")),
			into:   &metav1.ObjectMeta{},
			want:   `{"name":"a"}`,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := codec.AppendEncoded(nil, tc.into.ProtoReflect().Descriptor(), tc.data)
			if err != nil || string(got) != tc.want {
				t.Errorf("%s:\ngot  %s (%v)\nwant %s", tc.reason, got, err, tc.want)
			}
			checkEncoded(t, tc.data, tc.into)
		})
	}
}

func number(t *testing.T, m proto.Message, name protoreflect.Name) protowire.Number {
	t.Helper()
	return m.ProtoReflect().Descriptor().Fields().ByName(name).Number()
}

// TestAppendEncodedMutations reads encodings of which bytes were changed, for those who do not fuzz.
func TestAppendEncodedMutations(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	role := &authv1.Role{
		Metadata: &metav1.ObjectMeta{Name: "a", Labels: map[string]string{"x": "y", "z": ""}, CreationTimestamp: &timestamppb.Timestamp{Seconds: 7}},
		Rules:    []*authv1.PolicyRule{{Verbs: []string{"get"}}},
	}
	service := service(&servingv1.RevisionSpec{
		PodSpec:              &corepb.PodSpec{Containers: []*corepb.Container{{Image: "i", Resources: &corepb.ResourceRequirements{Limits: map[string]string{"cpu": "1"}}}}},
		ContainerConcurrency: proto.Int64(0),
	})
	for _, m := range []proto.Message{role, service} {
		data, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		for range 3000 {
			changed := slices.Clone(data)
			for range 1 + random.IntN(3) {
				changed[random.IntN(len(changed))] = byte(random.UintN(256))
			}
			checkEncoded(t, changed, m.ProtoReflect().New().Interface())
		}
	}
}

// BenchmarkRole writes an object of 1.6 kB: from its encoding, as lists do, and from the message. The limit is
// encoding/json with Kubernetes' own type.
func BenchmarkRole(b *testing.B) {
	role := &authv1.Role{Metadata: &metav1.ObjectMeta{
		Namespace: "bench", Name: "n-1", Uid: "0a5a44a8-5a44-4a44-9a44-5a44a85a44a8", ResourceVersion: "12345", Generation: 1,
		CreationTimestamp: &timestamppb.Timestamp{Seconds: 1767323045}, Labels: map[string]string{"app": "bench", "tier": "base"},
		Annotations: map[string]string{"notes": strings.Repeat("measure ", 60)},
	}}
	for range 6 {
		role.Rules = append(role.Rules, &authv1.PolicyRule{
			Verbs: []string{"get", "list", "watch"}, ApiGroups: []string{"group.fairlead.dev"}, Resources: []string{"builds", "builds/status", "log"},
		})
	}
	data, err := proto.Marshal(role)
	if err != nil {
		b.Fatal(err)
	}
	text, err := codec.Marshal(role)
	if err != nil {
		b.Fatal(err)
	}
	theirs := &rbacv1.Role{}
	if err := json.Unmarshal(text, theirs); err != nil {
		b.Fatal(err)
	}
	for way, write := range map[string]func([]byte) ([]byte, error){
		"encoded": func(buf []byte) ([]byte, error) {
			return codec.AppendEncoded(buf, role.ProtoReflect().Descriptor(), data)
		},
		"message":       func(buf []byte) ([]byte, error) { return codec.Append(buf, role) },
		"reflection":    func([]byte) ([]byte, error) { return codec.MarshalByReflection(role) },
		"encoding-json": func([]byte) ([]byte, error) { return json.Marshal(theirs) },
	} {
		b.Run(way, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			buf := make([]byte, 0, 2*len(text))
			for b.Loop() {
				if _, err := write(buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
