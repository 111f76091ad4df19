// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package nodepower

import (
	"context"
	"fmt"
	"strings"

	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/rpc"
)

// Access tells what callers may do in the cluster.
type Access interface {
	// MayCreatePods returns nil if the caller, as the cluster knows it, may create pods in a namespace.
	MayCreatePods(ctx context.Context, id *rpc.Identity, namespace string) error
}

// maxNamed is how many fields an error names.
const maxNamed = 10

// Authorize lets those write fields with power over a node who may create pods in the namespace by themselves: who may not
// would get through us what the cluster denies them. The causes are the fields that an object has; without any there is
// nothing to ask. Calls that did not pass the server's interceptors are our own, and may. Without an access nobody may.
func Authorize(ctx context.Context, access Access, r apierror.Resource, namespace, name string, causes []apierror.Cause) error {
	id, ok := rpc.IdentityFrom(ctx)
	if len(causes) == 0 || !ok {
		return nil
	}
	fields := make([]string, 0, len(causes))
	for _, c := range causes {
		fields = append(fields, c.Field)
	}
	named := strings.Join(fields[:min(len(fields), maxNamed)], ", ")
	if more := len(fields) - maxNamed; more > 0 {
		named += fmt.Sprintf(" and %d more", more)
	}
	why := "this server cannot ask the cluster whether you may create pods"
	if access != nil {
		err := access.MayCreatePods(ctx, id, namespace)
		if !apierror.Is(err, apierror.ReasonForbidden) {
			return err //nolint:wrapcheck // an error of ours, or none
		}
		why = err.Error()
	}
	return apierror.Forbidden(r, name, "%s %q is forbidden: %s: power over the node takes the right to create pods: %s", r, name, named, why)
}
