// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package codec_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/api/annotations"
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

func service(template *servingv1.RevisionSpec) *servingv1.Service {
	return &servingv1.Service{Spec: &servingv1.ServiceSpec{Template: &servingv1.RevisionTemplateSpec{Spec: template}}}
}

func TestUnmarshal(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		in     string
		want   proto.Message
	}{
		"Inline": {
			reason: "the fields of an inline message stand beside those of its parent",
			in: `{"apiVersion":"serving.knative.dev/v1","kind":"Service","spec":{"template":{"spec":{"timeoutSeconds":30,
				"containers":[{"image":"a","ports":[{"containerPort":8080}]}],"containerConcurrency":0}}}}`,
			want: service(&servingv1.RevisionSpec{
				PodSpec: &corepb.PodSpec{Containers: []*corepb.Container{
					{Image: "a", Ports: []*corepb.ContainerPort{{ContainerPort: 8080}}},
				}},
				TimeoutSeconds: proto.Int64(30), ContainerConcurrency: proto.Int64(0),
			}),
		},
		"NoTypeMeta": {
			reason: "apiVersion and kind may be missing, or null, or alone",
			in:     `{"kind":null,"apiVersion":"serving.knative.dev/v1"}`,
			want:   &servingv1.Service{},
		},
		"Null": {
			reason: "null is the same as nothing, and in a list the zero value",
			in:     `{"metadata":{"creationTimestamp":null,"labels":{"a":null},"generation":null,"finalizers":[null,"x"],"ownerReferences":[null]},"spec":null}`,
			want: &servingv1.Service{Metadata: &metav1.ObjectMeta{
				Labels: map[string]string{"a": ""}, Finalizers: []string{"", "x"}, OwnerReferences: []*metav1.OwnerReference{{}},
			}},
		},
		"Empty": {
			reason: "an empty object is set, an empty list or map is not",
			in:     `{"metadata":{"labels":{},"finalizers":[]},"spec":{}}`,
			want:   &servingv1.Service{Metadata: &metav1.ObjectMeta{}, Spec: &servingv1.ServiceSpec{}},
		},
		"Time": {
			reason: "times are RFC 3339, in any zone, with any fraction",
			in:     `{"status":{"startTime":"2026-01-02T04:04:05+01:00","completionTime":"2026-01-02T03:04:05.000000007Z"}}`,
			want: &buildv1.Build{Status: &buildv1.BuildStatus{
				StartTime:      &timestamppb.Timestamp{Seconds: 1767323045},
				CompletionTime: &timestamppb.Timestamp{Seconds: 1767323045, Nanos: 7},
			}},
		},
		"Duration": {
			reason: "durations become canonical",
			in:     `{"spec":{"timeout":"90s"}}`,
			want:   &buildv1.Build{Spec: &buildv1.BuildSpec{Timeout: "1m30s"}},
		},
		"Quantity": {
			reason: "quantities are strings or numbers, and become canonical",
			in: `{"resources":{"limits":{"cpu":0.5,"memory":"1024Mi","nvidia.com/gpu":1,"a":"1500m","b":null},
				"requests":{"cpu":"1e3","memory":1e9}}}`,
			want: &corepb.Container{Resources: &corepb.ResourceRequirements{
				Limits:   map[string]string{"cpu": "500m", "memory": "1Gi", "nvidia.com/gpu": "1", "a": "1500m", "b": "0"},
				Requests: map[string]string{"cpu": "1e3", "memory": "1e9"},
			}},
		},
		"IntOrString": {
			reason: "an integer stays one, and so does a string of digits",
			in:     `{"httpGet":{"port":8080}}`,
			want: &corepb.Probe{HttpGet: &corepb.HTTPGetAction{
				Port: &metav1.IntOrString{Value: &metav1.IntOrString_Int{Int: 8080}},
			}},
		},
		"IntOrStringText": {
			reason: "a string of digits stays a string",
			in:     `{"httpGet":{"port":"8080"}}`,
			want: &corepb.Probe{HttpGet: &corepb.HTTPGetAction{
				Port: &metav1.IntOrString{Value: &metav1.IntOrString_Str{Str: "8080"}},
			}},
		},
		"Raw": {
			reason: "raw JSON keeps every digit and null, without white space",
			in:     `{"fieldsV1":{ "a" : [ 1.50, 12345678901234567890, null, "\u00e9" ] }}`,
			want:   &metav1.ManagedFieldsEntry{FieldsV1: &metav1.RawJSON{Raw: []byte(`{"a":[1.50,12345678901234567890,null,"\u00e9"]}`)}},
		},
		"BigInteger": {
			reason: "64-bit integers keep all digits",
			in:     `{"metadata":{"generation":9223372036854775807}}`,
			want:   &servingv1.Service{Metadata: &metav1.ObjectMeta{Generation: 9223372036854775807}},
		},
		"Bytes": {
			reason: "bytes are base64",
			in:     `{"data":"aGkK"}`,
			want:   &buildv1.LogServiceReadResponse{Data: []byte("hi\n")},
		},
		"Enum": {
			reason: "enums are names",
			in:     `{"scope":"SCOPE_CLUSTER"}`,
			want:   &metav1.Kind{Scope: metav1.Scope_SCOPE_CLUSTER},
		},
		"Double": {
			reason: "floating point numbers may be written in any way",
			in:     `{"value":-1.5e2}`,
			want:   wrapperspb.Double(-150),
		},
		"Unsigned": {
			reason: "unsigned integers have their whole range",
			in:     `{"value":18446744073709551615}`,
			want:   wrapperspb.UInt64(18446744073709551615),
		},
		"List": {
			reason: "a list response is a Kubernetes list",
			in: `{"apiVersion":"serving.knative.dev/v1","kind":"ServiceList","metadata":{"resourceVersion":"7"},
				"items":[{"apiVersion":"serving.knative.dev/v1","kind":"Service","metadata":{"name":"a"}},{}]}`,
			want: &servingv1.ServiceServiceListResponse{
				Metadata: &metav1.ListMeta{ResourceVersion: "7"},
				Items:    []*servingv1.Service{{Metadata: &metav1.ObjectMeta{Name: "a"}}, {}},
			},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := tc.want.ProtoReflect().New().Interface()
			warnings, err := codec.Unmarshal([]byte(tc.in), got, codec.Options{Strict: true})
			if err != nil || warnings != nil {
				t.Fatalf("%s: warnings %q, error %v", tc.reason, warnings, err)
			}
			if diff := cmp.Diff(tc.want, got, protocmp.Transform()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestUnmarshalFaults reads documents that do not fit and expects every fault, as `field: reason: message`.
func TestUnmarshalFaults(t *testing.T) {
	t.Parallel()
	const head = `{"apiVersion":"serving.knative.dev/v1","kind":"Service",`
	typeInvalid := func(field, message string) apierror.Cause {
		return apierror.Cause{Field: field, Reason: apierror.CauseTypeInvalid, Message: message}
	}
	cases := map[string]struct {
		in   string
		into proto.Message
		want []apierror.Cause
	}{
		"EveryFaultAtOnce": {
			in: head + `"metadata":{"name":7,"labels":{"app":true}},"spec":{"template":{"spec":{
				"containers":[{"ports":[{"containerPort":"abc"},{"containerPort":1.5}]},"x"],"timeoutSeconds":"30"}},"traffic":{}}}`,
			into: &servingv1.Service{},
			want: []apierror.Cause{
				typeInvalid("metadata.name", `expected a string, got 7 (number)`),
				typeInvalid("metadata.labels[app]", `expected a string, got true (boolean)`),
				typeInvalid("spec.template.spec.containers[0].ports[0].containerPort", `expected an integer, got "abc" (string)`),
				typeInvalid("spec.template.spec.containers[0].ports[1].containerPort", `expected an integer, got 1.5 (number)`),
				typeInvalid("spec.template.spec.containers[1]", `expected an object, got "x" (string)`),
				typeInvalid("spec.template.spec.timeoutSeconds", `expected an integer, got "30" (string)`),
				typeInvalid("spec.traffic", `expected a list, got an object`),
			},
		},
		"Ranges": {
			in:   `{"containerPort":2147483648,"hostPort":-1e3}`,
			into: &corepb.ContainerPort{},
			want: []apierror.Cause{
				typeInvalid("containerPort", `2147483648 is out of the range of int32`),
				typeInvalid("hostPort", `expected an integer, got -1e3 (number)`),
			},
		},
		"Forms": {
			in: `{"spec":{"timeout":"soon","steps":[{"resources":{"limits":{"cpu":"lots","memory":[]}},
				"livenessProbe":{"httpGet":{"port":true}},"stdin":"yes"}]},"status":{"startTime":"yesterday","completionTime":5}}`,
			into: &buildv1.Build{},
			want: []apierror.Cause{
				apierror.Invalid("spec.timeout", `expected a duration such as 10m0s, got "soon"`),
				apierror.Invalid("spec.steps[0].resources.limits[cpu]", `expected a quantity such as 500m or 1Gi, got "lots"`),
				typeInvalid("spec.steps[0].resources.limits[memory]", `expected a quantity such as 500m or 1Gi, got a list`),
				typeInvalid("spec.steps[0].livenessProbe.httpGet.port", `expected an integer or a string, got true (boolean)`),
				typeInvalid("spec.steps[0].stdin", `expected true or false, got "yes" (string)`),
				typeInvalid("status.startTime", `expected a time such as 2006-01-02T15:04:05Z, got "yesterday"`),
				typeInvalid("status.completionTime", `expected a time such as 2006-01-02T15:04:05Z, got 5 (number)`),
			},
		},
		"OneOf": {
			in:   `{"get":"a","put":null,"post":"b"}`,
			into: &annotations.HttpRule{},
			want: []apierror.Cause{{Field: "post", Reason: apierror.CauseValueForbidden, Message: "may not be set together with get"}},
		},
		"Bytes": {
			in:   `{"data":"%"}`,
			into: &buildv1.LogServiceReadResponse{},
			want: []apierror.Cause{typeInvalid("data", "expected a string in base64: illegal base64 data at input byte 0")},
		},
		"Enum": {
			in:   `{"scope":"WIDE"}`,
			into: &metav1.Kind{},
			want: []apierror.Cause{{Field: "scope", Reason: apierror.CauseValueNotSupported,
				Message: `unsupported value "WIDE", supported are: SCOPE_UNSPECIFIED, SCOPE_NAMESPACED, SCOPE_CLUSTER`}},
		},
		"Double": {
			in:   `{"value":1e400}`,
			into: &wrapperspb.DoubleValue{},
			want: []apierror.Cause{typeInvalid("value", "1e400 is out of the range of double")},
		},
		"HugeQuantity": {
			in:   `{"limits":{"cpu":"1e9999999999999999999","memory":1e-2147483648,"a":"` + strings.Repeat("9", 65) + `"}}`,
			into: &corepb.ResourceRequirements{},
			want: []apierror.Cause{
				apierror.Invalid("limits[cpu]", `a quantity has an exponent between -30 and 30`),
				apierror.Invalid("limits[memory]", `a quantity has an exponent between -30 and 30`),
				apierror.Invalid("limits[a]", `a quantity has at most 64 characters`),
			},
		},
		"OtherKind": {
			in:   `{"apiVersion":"v1","kind":"Pod"}`,
			into: &servingv1.Service{},
			want: []apierror.Cause{apierror.Invalid("apiVersion",
				`expected apiVersion "serving.knative.dev/v1" and kind "Service", got apiVersion "v1" and kind "Pod"`)},
		},
		"KindOfWrongType": {
			in:   `{"kind":7}`,
			into: &servingv1.Service{},
			want: []apierror.Cause{typeInvalid("kind", `expected a string, got 7 (number)`)},
		},
		"NoObject": {
			in:   `[]`,
			into: &servingv1.Service{},
			want: []apierror.Cause{typeInvalid("", `expected an object, got a list`)},
		},
		"Nothing": {
			in:   `null`,
			into: &servingv1.Service{},
			want: []apierror.Cause{typeInvalid("", `expected an object, got null`)},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := codec.Unmarshal([]byte(tc.in), tc.into, codec.Options{})
			var e *apierror.Error
			if !errors.As(err, &e) || e.Reason != apierror.ReasonBadRequest {
				t.Fatalf("got error %v, want a BadRequest", err)
			}
			if diff := cmp.Diff(tc.want, e.Causes); diff != "" {
				t.Errorf("causes (-want +got):\n%s", diff)
			}
			for _, c := range tc.want {
				if !strings.Contains(e.Message, c.Message) {
					t.Errorf("message %q does not tell %q", e.Message, c.Message)
				}
			}
		})
	}
}

func TestUnmarshalUnexpectedFields(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		in   string
		want []string
	}{
		"Unknown":     {`{"spec":{"foo":{"bar":[1]}}}`, []string{`unknown field "spec.foo"`}},
		"UnknownDeep": {`{"spec":{"template":{"spec":{"containers":[{},{"x":1}]}}}}`, []string{`unknown field "spec.template.spec.containers[1].x"`}},
		"Typo": {`{"spec":{"template":{"spec":{"containres":[]}}}}`,
			[]string{`unknown field "spec.template.spec.containres" (did you mean "containers"?)`}},
		"Case":  {`{"Spec":{}}`, []string{`unknown field "Spec" (did you mean "spec"?)`}},
		"Snake": {`{"spec":{"template":{"spec":{"timeout_seconds":3}}}}`, []string{`unknown field "spec.template.spec.timeout_seconds" (did you mean "timeoutSeconds"?)`}},
		"InlineName": {`{"spec":{"template":{"spec":{"podSpec":{}}}}}`,
			[]string{`unknown field "spec.template.spec.podSpec"`}},
		"Duplicate": {`{"spec":{},"spec":{"traffic":[]},"kind":"Service","kind":"Service"}`,
			[]string{`duplicate field "spec"`, `duplicate field "kind"`}},
		"DuplicateKey": {`{"metadata":{"labels":{"a":"1","a":"2"}}}`, []string{`duplicate field "metadata.labels.a"`}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			warnings, err := codec.Unmarshal([]byte(tc.in), &servingv1.Service{}, codec.Options{})
			if err != nil {
				t.Fatalf("without Strict: %s", err)
			}
			if diff := cmp.Diff(tc.want, warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
			_, err = codec.Unmarshal([]byte(tc.in), &servingv1.Service{}, codec.Options{Strict: true})
			var e *apierror.Error
			if !errors.As(err, &e) || e.Reason != apierror.ReasonBadRequest {
				t.Fatalf("with Strict: got error %v, want a BadRequest", err)
			}
			if want := "strict decoding error: " + strings.Join(tc.want, ", "); e.Message != want {
				t.Errorf("with Strict: got message %q, want %q", e.Message, want)
			}
			if len(e.Causes) != len(tc.want) {
				t.Errorf("with Strict: got %d causes, want %d", len(e.Causes), len(tc.want))
			}
		})
	}
}

// TestUnmarshalLastOneCounts shows that of duplicate fields the last one counts, whole, as a reader of the file expects.
func TestUnmarshalLastOneCounts(t *testing.T) {
	t.Parallel()
	got := &servingv1.Service{}
	in := `{"metadata":{"name":"a","uid":"u","labels":{"a":"1","a":"2"},"finalizers":["x"],"finalizers":["y"]},"spec":{"template":{}},"spec":null,
		"metadata":{"name":"b","labels":{"a":"1","a":"2"},"finalizers":["x"],"finalizers":["y"]}}`
	if _, err := codec.Unmarshal([]byte(in), got, codec.Options{}); err != nil {
		t.Fatal(err)
	}
	want := &servingv1.Service{Metadata: &metav1.ObjectMeta{Name: "b", Labels: map[string]string{"a": "2"}, Finalizers: []string{"y"}}}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestUnmarshalSyntax(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ in, want string }{
		"Empty":        {" \n", "the document is empty"},
		"Truncated":    {"{\n\"spec\":\n{", "line 3: unexpected end of input"},
		"TruncatedRaw": {"{\n\"foo\":\n{\"a\":", "line 3: unexpected end of input"},
		"Token":        {"{\n\"spec\":\n  nope}", "line 3: "},
		"Two":          {`{}{}`, "more than one value"},
		"UTF8":         {"{\"metadata\":{\"name\":\"\xff\"}}", "invalid UTF-8"},
		"Surrogate":    {`{"metadata":{"name":"\ud800"}}`, "surrogate"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := codec.Unmarshal([]byte(tc.in), &servingv1.Service{}, codec.Options{})
			if !apierror.Is(err, apierror.ReasonBadRequest) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want a BadRequest with %q", err, tc.want)
			}
		})
	}
}

func TestUnmarshalLimits(t *testing.T) {
	t.Parallel()
	t.Run("Bytes", func(t *testing.T) {
		t.Parallel()
		in := []byte(`{"metadata":{"name":"` + strings.Repeat("a", codec.DefaultMaxBytes) + `"}}`)
		_, err := codec.Unmarshal(in, &servingv1.Service{}, codec.Options{})
		if !apierror.Is(err, apierror.ReasonRequestEntityTooLarge) {
			t.Errorf("got %v, want RequestEntityTooLarge", err)
		}
		if _, err := codec.Unmarshal(in, &servingv1.Service{}, codec.Options{MaxBytes: -1}); err != nil {
			t.Errorf("without a limit: %s", err)
		}
	})
	t.Run("Depth", func(t *testing.T) {
		t.Parallel()
		raw := func(depth int) []byte {
			return []byte(`{"fieldsV1":` + strings.Repeat("[", depth) + strings.Repeat("]", depth) + "}")
		}
		if _, err := codec.Unmarshal(raw(codec.MaxDepth-1), &metav1.ManagedFieldsEntry{}, codec.Options{}); err != nil {
			t.Errorf("at the limit: %s", err)
		}
		for _, depth := range []int{codec.MaxDepth, 100_000} {
			_, err := codec.Unmarshal(raw(depth), &metav1.ManagedFieldsEntry{}, codec.Options{})
			if !apierror.Is(err, apierror.ReasonBadRequest) {
				t.Errorf("at depth %d: got %v, want a BadRequest", depth, err)
			}
		}
	})
	t.Run("Faults", func(t *testing.T) {
		t.Parallel()
		in := []byte(`{"finalizers":[` + strings.Repeat("1,", 999) + `1],"a":1,"a":1}`)
		_, err := codec.Unmarshal(in, &metav1.ObjectMeta{}, codec.Options{Strict: true})
		var e *apierror.Error
		if !errors.As(err, &e) || len(e.Causes) > 200 || !strings.Contains(e.Message, "and 900 more") {
			t.Errorf("got %v, want at most 200 causes and the number of the others", err)
		}
	})
}

func TestTypeMeta(t *testing.T) {
	t.Parallel()
	apiVersion, kind, name, err := codec.TypeMeta([]byte(
		`{"spec":{"a":[{}]},"metadata":{"labels":{},"namespace":"n","name":"x","generateName":"x-"},"kind":"K","apiVersion":"g/v1"}`))
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(apiVersion, " ", kind, " ", name)
	if want := "g/v1 K {n x x-}"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, in := range []string{``, `[]`, `{"kind":7}`, `{"metadata":[]}`, `{"metadata":{"name":{}}}`, `{"kind":"K"`, `{} {}`} {
		if _, _, _, err := codec.TypeMeta([]byte(in)); !apierror.Is(err, apierror.ReasonBadRequest) {
			t.Errorf("%s: got %v, want a BadRequest", in, err)
		}
	}
}
