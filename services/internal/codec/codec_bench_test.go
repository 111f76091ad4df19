// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package codec_test

import (
	"encoding/json"
	"testing"

	corev1 "k8s.io/api/core/v1"

	corepb "fairlead.dev/gen/go/fairlead/core/v1"
	"fairlead.dev/services/internal/codec"
)

// The floor beside each figure is encoding/json with Kubernetes' own type.

func BenchmarkUnmarshal(b *testing.B) {
	data, err := json.Marshal(fillPodSpec(1))
	if err != nil {
		b.Fatal(err)
	}
	b.Run("codec", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			if _, err := codec.Unmarshal(data, &corepb.PodSpec{}, codec.Options{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			if err := json.Unmarshal(data, &corev1.PodSpec{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkMarshal(b *testing.B) {
	spec := fillPodSpec(1)
	data, err := json.Marshal(spec)
	if err != nil {
		b.Fatal(err)
	}
	ours := &corepb.PodSpec{}
	if _, err := codec.Unmarshal(data, ours, codec.Options{}); err != nil {
		b.Fatal(err)
	}
	b.Run("codec", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			if _, err := codec.Marshal(ours); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			if _, err := json.Marshal(spec); err != nil {
				b.Fatal(err)
			}
		}
	})
}
