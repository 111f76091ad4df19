// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package codec_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	buildv1 "fairlead.dev/gen/go/fairlead/build/v1"
	corepb "fairlead.dev/gen/go/fairlead/core/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/codec"
)

func TestMarshal(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		in     proto.Message
		want   string
	}{
		"Kind": {
			reason: "a kind names itself first, and unset fields are left out",
			in:     &servingv1.Service{Metadata: &metav1.ObjectMeta{Name: "a", Generation: 1 << 60}, Spec: &servingv1.ServiceSpec{}},
			want:   `{"apiVersion":"serving.knative.dev/v1","kind":"Service","metadata":{"name":"a","generation":1152921504606846976},"spec":{}}`,
		},
		"List": {
			reason: "a list response is a list of its kind",
			in: &servingv1.ServiceServiceListResponse{
				Metadata: &metav1.ListMeta{ResourceVersion: "7"}, Items: []*servingv1.Service{{}},
			},
			want: `{"apiVersion":"serving.knative.dev/v1","kind":"ServiceList","metadata":{"resourceVersion":"7"},` +
				`"items":[{"apiVersion":"serving.knative.dev/v1","kind":"Service"}]}`,
		},
		"Inline": {
			reason: "inline fields stand beside their parent's; optional ones that are set are written",
			in: &servingv1.RevisionSpec{
				PodSpec:              &corepb.PodSpec{ServiceAccountName: "x", Containers: []*corepb.Container{{Image: "i"}}},
				ContainerConcurrency: proto.Int64(0),
			},
			want: `{"containers":[{"name":"","image":"i"}],"serviceAccountName":"x","containerConcurrency":0}`,
		},
		"NoInline": {
			reason: "an inline message that is not set writes nothing",
			in:     &servingv1.RevisionSpec{},
			want:   `{}`,
		},
		"Map": {
			reason: "map keys are sorted",
			in:     &metav1.ObjectMeta{Labels: map[string]string{"b": "2", "a": "1", "c": "<\"é\n>"}},
			want:   `{"labels":{"a":"1","b":"2","c":"<\"é\n>"}}`,
		},
		"Forms": {
			reason: "times have a fraction only where they need one, raw JSON is inline, names are those given",
			in: &metav1.ManagedFieldsEntry{
				Time:     &timestamppb.Timestamp{Seconds: 1767323045, Nanos: 120},
				FieldsV1: &metav1.RawJSON{Raw: []byte(" {\"b\": 1.0,\n \"a\": null} ")},
			},
			want: `{"time":"2026-01-02T03:04:05.00000012Z","fieldsV1":{"b":1.0,"a":null}}`,
		},
		"WholeSeconds": {
			reason: "whole seconds are written as Kubernetes writes them",
			in:     &buildv1.BuildStatus{StartTime: &timestamppb.Timestamp{Seconds: 1767323045}},
			want:   `{"startTime":"2026-01-02T03:04:05Z"}`,
		},
		"Bytes": {
			reason: "bytes are base64",
			in:     &buildv1.LogServiceReadResponse{Step: "a", Data: []byte("hi\n")},
			want:   `{"step":"a","data":"aGkK"}`,
		},
		"Enum": {
			reason: "enums are names",
			in:     &metav1.Kind{Scope: metav1.Scope_SCOPE_CLUSTER},
			want:   `{"scope":"SCOPE_CLUSTER"}`,
		},
		"Double": {
			reason: "floating point numbers are written as encoding/json does",
			in:     wrapperspb.Double(1e21),
			want:   `{"value":1e+21}`,
		},
		"IntOrString": {
			reason: "an integer is a number, a string one, nothing 0",
			in: &corepb.Lifecycle{
				PostStart: &corepb.LifecycleHandler{HttpGet: &corepb.HTTPGetAction{Port: &metav1.IntOrString{Value: &metav1.IntOrString_Str{Str: "80"}}}},
				PreStop:   &corepb.LifecycleHandler{HttpGet: &corepb.HTTPGetAction{Port: &metav1.IntOrString{}}},
			},
			want: `{"postStart":{"httpGet":{"port":"80"}},"preStop":{"httpGet":{"port":0}}}`,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := codec.Marshal(tc.in)
			if err != nil {
				t.Fatalf("%s: %s", tc.reason, err)
			}
			want := strings.ReplaceAll(tc.want, "\n>", `\n>`)
			if diff := cmp.Diff(want, string(got)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestMarshalYAML(t *testing.T) {
	t.Parallel()
	got, err := codec.MarshalYAML(&servingv1.Service{Metadata: &metav1.ObjectMeta{
		Name: "yes", Generation: 9007199254740993, Annotations: map[string]string{"n": "1"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := `apiVersion: serving.knative.dev/v1
kind: Service
metadata:
  annotations:
    "n": "1"
  generation: 9007199254740993
  name: "yes"
`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestMarshalFaults writes what no JSON can hold: the error names the place and is one of ours, not the user's.
func TestMarshalFaults(t *testing.T) {
	t.Parallel()
	for want, in := range map[string]proto.Message{
		"metadata.managedFields[1].fieldsV1: not valid JSON": &servingv1.Service{Metadata: &metav1.ObjectMeta{
			ManagedFields: []*metav1.ManagedFieldsEntry{{}, {FieldsV1: &metav1.RawJSON{Raw: []byte("{")}}},
		}},
		"labels[a]":         &metav1.ObjectMeta{Labels: map[string]string{"a": "\xff"}},
		"creationTimestamp": &metav1.ObjectMeta{CreationTimestamp: &timestamppb.Timestamp{Seconds: 1 << 60}},
	} {
		_, err := codec.Marshal(in)
		var cause error
		if e := apierror.From(err); e != nil {
			cause = e.Unwrap()
		}
		if !apierror.Is(err, apierror.ReasonInternalError) || cause == nil || !strings.Contains(cause.Error(), want) {
			t.Errorf("got %v (%v), want an InternalError about %s", err, cause, want)
		}
	}
}

func TestNormalize(t *testing.T) {
	t.Parallel()
	in := service(&servingv1.RevisionSpec{PodSpec: &corepb.PodSpec{
		Overhead:   map[string]string{"cpu": "0.5"},
		Containers: []*corepb.Container{{Resources: &corepb.ResourceRequirements{Limits: map[string]string{"cpu": "1000m"}}}},
	}})
	in.Metadata = &metav1.ObjectMeta{ManagedFields: []*metav1.ManagedFieldsEntry{{FieldsV1: &metav1.RawJSON{Raw: []byte(`{ "a": 1 }`)}}}}
	want := service(&servingv1.RevisionSpec{PodSpec: &corepb.PodSpec{
		Overhead:   map[string]string{"cpu": "500m"},
		Containers: []*corepb.Container{{Resources: &corepb.ResourceRequirements{Limits: map[string]string{"cpu": "1"}}}},
	}})
	want.Metadata = &metav1.ObjectMeta{ManagedFields: []*metav1.ManagedFieldsEntry{{FieldsV1: &metav1.RawJSON{Raw: []byte(`{"a":1}`)}}}}
	in.Status, want.Status = &servingv1.ServiceStatus{}, &servingv1.ServiceStatus{}
	if causes := codec.Normalize(in); len(causes) > 0 {
		t.Fatalf("causes %v", causes)
	}
	if diff := cmp.Diff(want, in, protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNormalizeEmptyInline(t *testing.T) {
	t.Parallel()
	in := &servingv1.RevisionSpec{PodSpec: &corepb.PodSpec{}}
	if causes := codec.Normalize(in); len(causes) > 0 || in.GetPodSpec() != nil {
		t.Errorf("got %v with causes %v, want nothing", in, causes)
	}
}

func TestNormalizeFaults(t *testing.T) {
	t.Parallel()
	in := &buildv1.Build{
		Metadata: &metav1.ObjectMeta{
			CreationTimestamp: &timestamppb.Timestamp{Seconds: 1 << 60},
			ManagedFields:     []*metav1.ManagedFieldsEntry{{FieldsV1: &metav1.RawJSON{Raw: []byte("{}}")}}},
		},
		Spec: &buildv1.BuildSpec{
			Timeout: "soon",
			Steps:   []*corepb.Container{{Resources: &corepb.ResourceRequirements{Requests: map[string]string{"cpu": ""}}}},
		},
	}
	causes := codec.Normalize(in)
	got := make([]string, 0, len(causes))
	for _, c := range causes {
		got = append(got, c.Field)
	}
	want := []string{"metadata.creationTimestamp", "metadata.managedFields[0].fieldsV1", "spec.steps[0].resources.requests[cpu]", "spec.timeout"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("faulty fields (-want +got):\n%s", diff)
	}
}
