// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package shape_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	buildv1 "fairlead.dev/gen/go/fairlead/build/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/rpc/shape"
)

func TestCheck(t *testing.T) {
	required := func(field string) apierror.Cause {
		return apierror.Cause{Field: field, Reason: apierror.CauseValueRequired, Message: "Required value"}
	}
	cases := map[string]struct {
		reason string
		m      proto.Message
		skip   func(protoreflect.FieldDescriptor) bool
		want   []apierror.Cause
	}{
		"good": {reason: "", m: &buildv1.Build{Spec: &buildv1.BuildSpec{}}},
		"lists and JSON names": {
			reason: "items of lists are named by their place, fields by their JSON names",
			m: &buildv1.Build{
				Metadata: &metav1.ObjectMeta{OwnerReferences: []*metav1.OwnerReference{{Kind: "a", Name: "b", Uid: "c"}}},
				Spec:     &buildv1.BuildSpec{Source: &buildv1.SourceSpec{Git: &buildv1.GitSource{Url: "x"}}},
			},
			want: []apierror.Cause{required("metadata.ownerReferences[0].apiVersion"), required("spec.source.git.revision")},
		},
		"unsupported": {
			reason: "the supported values are told, but for the empty one",
			m:      &buildv1.Build{Spec: &buildv1.BuildSpec{Status: "Now"}},
			want: []apierror.Cause{{
				Field: "spec.status", Reason: apierror.CauseValueNotSupported, Message: `Unsupported value: "Now": supported values: "BuildCancelled"`,
			}},
		},
		"too few": {
			reason: "a list that must not be empty is a required value",
			m:      &authv1.Role{Rules: []*authv1.PolicyRule{{}}},
			want: []apierror.Cause{{
				Field: "rules[0].verbs", Reason: apierror.CauseValueRequired, Message: "Required value: must contain at least 1 item(s)",
			}},
		},
		"skipped": {
			reason: "what is below a skipped field is somebody else's",
			m:      &buildv1.BuildServiceCreateRequest{Object: &buildv1.Build{}},
			skip:   func(f protoreflect.FieldDescriptor) bool { return f.Name() == "object" },
		},
		"not skipped": {reason: "", m: &buildv1.BuildServiceCreateRequest{Object: &buildv1.Build{}}, want: []apierror.Cause{required("object.spec")}},
	}
	checker, err := shape.New()
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := checker.Check(tc.m, tc.skip)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, d)
			}
		})
	}
}

func TestLongValuesAreCut(t *testing.T) {
	checker, err := shape.New()
	if err != nil {
		t.Fatal(err)
	}
	got, err := checker.Check(&buildv1.Build{Spec: &buildv1.BuildSpec{Status: strings.Repeat("x", 1<<20)}}, nil)
	if err != nil || len(got) != 1 || len(got[0].Message) > 300 {
		t.Errorf("got %d faults, %v", len(got), err)
	}
}
