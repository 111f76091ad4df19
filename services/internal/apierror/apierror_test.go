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
	"google.golang.org/grpc/codes"

	"fairlead.dev/services/internal/apierror"
)

var services = apierror.Resource{Group: "serving.knative.dev", Plural: "services", Kind: "Service"}

func TestStatusRoundTrip(t *testing.T) {
	cases := map[string]struct {
		err  *apierror.Error
		code codes.Code
		http int
	}{
		"not found":   {apierror.NotFound(services, "web"), codes.NotFound, 404},
		"exists":      {apierror.AlreadyExists(services, "web"), codes.AlreadyExists, 409},
		"conflict":    {apierror.Modified(services, "web"), codes.Aborted, 409},
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
