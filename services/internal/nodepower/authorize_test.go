// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package nodepower_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/nodepower"
	"fairlead.dev/services/internal/rpc"
)

// podCreators may create pods, each in a namespace of its name. For `lost` the cluster does not answer.
type podCreators struct{}

func (podCreators) MayCreatePods(_ context.Context, id *rpc.Identity, namespace string) error {
	if id.User == "lost" {
		return apierror.Unavailable(time.Second, "no answer")
	}
	if id.User == namespace {
		return nil
	}
	return apierror.Forbidden(apierror.Resource{Plural: "pods"}, "", "%s cannot create pods in %s", id.User, namespace)
}

func TestAuthorize(t *testing.T) {
	power := []apierror.Cause{apierror.ForbiddenField("spec.hostNetwork", ""), apierror.ForbiddenField("spec.hostPID", "")}
	many := make([]apierror.Cause, 0, 30)
	for range 15 {
		many = append(many, power...)
	}
	cases := map[string]struct {
		reason string
		user   string // none for calls of our own
		access nodepower.Access
		fields []apierror.Cause
		want   apierror.Reason
		texts  []string
	}{
		"right":     {"who may create pods may have them", "shop", podCreators{}, power, "", nil},
		"no field":  {"without such a field nothing is asked", "lost", podCreators{}, nil, "", nil},
		"our own":   {"controllers do what was authorised before", "", podCreators{}, power, "", nil},
		"no right":  {"fields and the missing right are named", "ada", podCreators{}, power, apierror.ReasonForbidden, []string{"spec.hostNetwork, spec.hostPID", "ada cannot create pods in shop"}},
		"many":      {"the text has an end", "ada", podCreators{}, many, apierror.ReasonForbidden, []string{"and 20 more"}},
		"no access": {"what cannot be asked is denied", "shop", nil, power, apierror.ReasonForbidden, []string{"spec.hostNetwork", "cannot ask"}},
		"no answer": {"a cluster that is away is no denial", "lost", podCreators{}, power, apierror.ReasonServiceUnavailable, []string{"no answer"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			if tc.user != "" {
				ctx = rpc.WithIdentity(ctx, &rpc.Identity{User: tc.user})
			}
			err := nodepower.Authorize(ctx, tc.access, apierror.Resource{Group: "g", Plural: "things"}, "shop", "web", tc.fields)
			if tc.want == "" {
				if err != nil {
					t.Errorf("%s: %v", tc.reason, err)
				}
				return
			}
			if !apierror.Is(err, tc.want) {
				t.Fatalf("%s: got %v, want %s", tc.reason, err, tc.want)
			}
			for _, text := range tc.texts {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("%s: no %q in %q", tc.reason, text, err)
				}
			}
		})
	}
}
