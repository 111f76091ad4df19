// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package codec_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	kmetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/randfill"

	corepb "fairlead.dev/gen/go/fairlead/core/v1"
	"fairlead.dev/services/internal/codec"
)

// fillPodSpec returns a PodSpec with most of its fields set, the same for the same seed.
func fillPodSpec(seed int64) *corev1.PodSpec {
	f := randfill.NewWithSeed(seed).NilChance(.3).NumElements(1, 2).MaxDepth(20).Funcs(
		func(q *resource.Quantity, c randfill.Continue) {
			format := []resource.Format{resource.DecimalSI, resource.BinarySI, resource.DecimalExponent}[c.Intn(3)]
			*q = *resource.NewQuantity(c.Int63n(1<<40), format)
			if c.Bool() {
				*q = *resource.NewMilliQuantity(c.Int63n(1<<30), resource.DecimalSI)
			}
			// A quantity remembers its text only once it has been written.
			*q = resource.MustParse(q.String())
		},
		func(v *intstr.IntOrString, c randfill.Continue) {
			*v = intstr.FromInt32(int32(c.Uint32()))
			if c.Bool() {
				*v = intstr.FromString(c.String(0))
			}
		},
		func(t *kmetav1.Time, c randfill.Continue) {
			*t = kmetav1.NewTime(time.Unix(c.Int63n(1<<34), 0))
		},
		func(v *kmetav1.FieldsV1, c randfill.Continue) {
			v.SetRawBytes(fmt.Appendf(nil, `{"f:metadata":{"k:{\"n\":%d}":[1.50,null,{}]}}`, c.Int63()))
		},
		// What is required in our types is not written where it is empty.
		func(r *kmetav1.LabelSelectorRequirement, c randfill.Continue) {
			c.FillNoCustom(r)
			r.Key += "k"
			r.Operator += "In"
		},
		func(r *kmetav1.OwnerReference, c randfill.Continue) {
			c.FillNoCustom(r)
			r.APIVersion, r.Kind, r.Name, r.UID = r.APIVersion+"v1", r.Kind+"K", r.Name+"n", r.UID+"u"
		},
	)
	spec := &corev1.PodSpec{}
	f.Fill(spec)
	return spec
}

// TestPodSpecRoundTrip shows that a PodSpec goes through our types and our bytes without a loss, and that what we write
// is what Kubernetes would.
func TestPodSpecRoundTrip(t *testing.T) {
	t.Parallel()
	for seed := range int64(500) {
		if err := roundTrip(fillPodSpec(seed)); err != nil {
			t.Fatalf("seed %d: %s", seed, err)
		}
	}
}

func roundTrip(want *corev1.PodSpec) error {
	theirs, err := json.Marshal(want)
	if err != nil {
		return err
	}
	read := &corepb.PodSpec{}
	warnings, err := codec.Unmarshal(theirs, read, codec.Options{Strict: true})
	if err != nil {
		return fmt.Errorf("Unmarshal: %w", err)
	}
	if len(warnings) > 0 {
		return fmt.Errorf("Unmarshal: warnings %q", warnings)
	}
	wire, err := proto.Marshal(read)
	if err != nil {
		return err
	}
	stored := &corepb.PodSpec{}
	if err := proto.Unmarshal(wire, stored); err != nil {
		return err
	}
	ours, err := codec.Marshal(stored)
	if err != nil {
		return err
	}
	got := &corev1.PodSpec{}
	if err := json.Unmarshal(ours, got); err != nil {
		return err
	}
	if !equality.Semantic.DeepEqual(want, got) {
		return fmt.Errorf("the PodSpec changed on the way (-want +got):\n%s", cmp.Diff(want, got))
	}
	if diff := cmp.Diff(plain(theirs), plain(ours)); diff != "" {
		return fmt.Errorf("the JSON is not that of Kubernetes (-theirs +ours):\n%s", diff)
	}
	return nil
}

// plain is JSON as Go values, without nulls, which mean the same as nothing.
func plain(data []byte) any {
	var v any
	in := json.NewDecoder(bytes.NewReader(data))
	in.UseNumber()
	if err := in.Decode(&v); err != nil {
		return err.Error()
	}
	return withoutNulls(v)
}

func withoutNulls(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, item := range v {
			if item == nil {
				delete(v, name)
				continue
			}
			v[name] = withoutNulls(item)
		}
	case []any:
		for i := range v {
			v[i] = withoutNulls(v[i])
		}
	}
	return v
}
