// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package apierror_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"

	"fairlead.dev/services/internal/apierror"
)

var services = apierror.Resource{Group: "serving.knative.dev", Plural: "services", Kind: "Service"}

func TestStatusRoundTrip(t *testing.T) {
	cases := map[string]struct {
		err  *apierror.Error
		code codes.Code
		http int
	}{
		"not found": {apierror.NotFound(services, "web"), codes.NotFound, 404},
		"exists":    {apierror.AlreadyExists(services, "web"), codes.AlreadyExists, 409},
		"conflict":  {apierror.Modified(services, "web"), codes.Aborted, 409},
		"conflicting fields": {&apierror.Error{
			Reason: apierror.ReasonConflict, Message: "conflicts", Resource: services, Name: "web",
			Causes: []apierror.Cause{{Field: ".spec.a", Reason: "FieldManagerConflict", Message: `conflict with "kn"`}},
		}, codes.Aborted, 409},
		"expired":     {apierror.Expired("too old"), codes.OutOfRange, 410},
		"unavailable": {apierror.Unavailable(3*time.Second, "etcd is away"), codes.Unavailable, 503},
		"too large":   {apierror.New(apierror.ReasonRequestEntityTooLarge, "5 MiB"), codes.ResourceExhausted, 413},
		"invalid": {apierror.InvalidObject(services, "web", []apierror.Cause{
			apierror.Invalid("spec.a", "must be 1"), apierror.Required("spec.b", "say which"),
		}), codes.InvalidArgument, 422},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			st := apierror.ToStatus(fmt.Errorf("wrapped: %w", tc.err))
			if st.Code() != tc.code || tc.err.HTTPCode() != tc.http {
				t.Errorf("codes: got %s and %d, want %s and %d", st.Code(), tc.err.HTTPCode(), tc.code, tc.http)
			}
			got := apierror.FromStatus(st.Err())
			if d := cmp.Diff(tc.err, got, cmpopts.IgnoreUnexported(apierror.Error{})); d != "" {
				t.Errorf("round trip (-want +got):\n%s", d)
			}
		})
	}
}

func TestForeignErrorsTellNothing(t *testing.T) {
	e := apierror.From(errors.New("password=hunter2"))
	if e.Reason != apierror.ReasonInternalError || e.Message == "password=hunter2" {
		t.Errorf("got %s %q", e.Reason, e.Message)
	}
	if !apierror.Is(apierror.From(context.DeadlineExceeded), apierror.ReasonTimeout) {
		t.Error("a deadline is no timeout")
	}
}

func TestKubernetesStatusNamesEveryFault(t *testing.T) {
	s := apierror.InvalidObject(services, "web", []apierror.Cause{
		apierror.Invalid("spec.a", "must be 1"), apierror.Required("spec.b", "say which"),
	}).Kubernetes()
	if s.Code != 422 || s.Details.Kind != "Service" || len(s.Details.Causes) != 2 || s.Details.Causes[1].Field != "spec.b" {
		t.Errorf("got %+v", s)
	}
}

// TestDetails has each kind of error carry the google.rpc details that fit it.
func TestDetails(t *testing.T) {
	object := &errdetails.ResourceInfo{ResourceType: "services.serving.knative.dev", ResourceName: "web"}
	info := func(reason string, metadata map[string]string) *errdetails.ErrorInfo {
		return &errdetails.ErrorInfo{Reason: reason, Domain: "fairlead.dev", Metadata: metadata}
	}
	web := map[string]string{"group": "serving.knative.dev", "plural": "services", "kind": "Service", "name": "web"}
	for _, tc := range []struct {
		reason string
		err    *apierror.Error
		want   []any
	}{
		{"an object that is not there", apierror.NotFound(services, "web"), []any{info("NotFound", web), object}},
		{"about no object", apierror.BadRequest("what?"), []any{info("BadRequest", nil)}},
		{"a retry helps", apierror.Unavailable(2*time.Second, "away"), []any{
			info("ServiceUnavailable", nil), &errdetails.RetryInfo{RetryDelay: durationpb.New(2 * time.Second)},
		}},
		{"faults of fields", apierror.InvalidObject(services, "web", []apierror.Cause{apierror.Required("spec.b", "say which")}), []any{
			info("Invalid", web), object, &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
				{Field: "spec.b", Reason: "FieldValueRequired", Description: "say which"},
			}},
		}},
		{"another state than the expected one", apierror.Modified(services, "web"), []any{
			info("Conflict", web), object, &errdetails.PreconditionFailure{Violations: []*errdetails.PreconditionFailure_Violation{
				{Type: "Conflict", Subject: "services.serving.knative.dev/web", Description: "it is not in the state that the request is for; the message tells more"},
			}},
		}},
	} {
		t.Run(tc.reason, func(t *testing.T) {
			if d := cmp.Diff(tc.want, apierror.ToStatus(tc.err).Details(), protocmp.Transform()); d != "" {
				t.Errorf("details (-want +got):\n%s", d)
			}
		})
	}
}

// TestDetailsOfOthers reads what a server says that is none of ours.
func TestDetailsOfOthers(t *testing.T) {
	st, err := status.New(codes.NotFound, "gone").WithDetails(
		protoadapt.MessageV1Of(&errdetails.ErrorInfo{Reason: "X", Domain: "other"}),
		protoadapt.MessageV1Of(&errdetails.ResourceInfo{ResourceType: "services.serving.knative.dev", ResourceName: "web"}))
	if err != nil {
		t.Fatal(err)
	}
	got := apierror.FromStatus(st.Err())
	if got.Reason != apierror.ReasonNotFound || got.Name != "web" || got.Resource.String() != "services.serving.knative.dev" {
		t.Errorf("got %+v", got)
	}
}
