// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"time"

	"google.golang.org/grpc"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/rpc"
)

// AskAuth is an Access that asks the auth service, as the sender of the request.
func AskAuth(conn grpc.ClientConnInterface) Access {
	client := authv1.NewAccessServiceClient(conn)
	return func(ctx context.Context, authorization, path string) error {
		ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(ctx, rpc.AuthorizationKey, authorization), 10*time.Second)
		defer cancel()
		res, err := client.Review(ctx, &authv1.ReviewRequest{Verb: "get", Path: path})
		if err != nil {
			return apierror.FromStatus(err)
		}
		if !res.GetAllowed() {
			return apierror.Forbidden(apierror.Resource{}, "", "%s", res.GetReason())
		}
		return nil
	}
}

// ProbeConn tells whether the other end of a connection is there and serves.
func ProbeConn(ctx context.Context, conn *grpc.ClientConn) error {
	res, err := healthv1.NewHealthClient(conn).Check(ctx, &healthv1.HealthCheckRequest{})
	if err != nil {
		return apierror.Unavailable(time.Second, "it does not answer").Wrap(err)
	}
	if res.GetStatus() != healthv1.HealthCheckResponse_SERVING {
		return apierror.Unavailable(time.Second, "it is not ready")
	}
	return nil
}
