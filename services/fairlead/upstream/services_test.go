// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"net"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	servingv1 "fairlead.dev/gen/go/fairlead/serving/v1"
	"fairlead.dev/services/internal/apierror"
)

// tokens is an auth service.
type tokens struct {
	authv1.UnimplementedTokenServiceServer
}

func (tokens) WhoAmI(context.Context, *authv1.WhoAmIRequest) (*authv1.WhoAmIResponse, error) {
	return &authv1.WhoAmIResponse{User: "somebody"}, nil
}

func dial(t *testing.T, address string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// TestCallsGoToTheServiceThatOwnsThem has auth there, serving away, and a method that nobody owns.
func TestCallsGoToTheServiceThatOwnsThem(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	authv1.RegisterTokenServiceServer(server, tokens{})
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	away, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := away.Addr().String()
	_ = away.Close()
	s := &services{conns: map[string]*grpc.ClientConn{"auth": dial(t, l.Addr().String()), "serving": dial(t, nobody)}}
	conn, err := grpc.NewClient("passthrough:///services", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithUnaryInterceptor(s.unary), grpc.WithStreamInterceptor(s.stream))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	who, err := authv1.NewTokenServiceClient(conn).WhoAmI(t.Context(), &authv1.WhoAmIRequest{})
	if err != nil || who.GetUser() != "somebody" {
		t.Errorf("auth: %v %v", who, err)
	}
	_, err = servingv1.NewServiceServiceClient(conn).Get(t.Context(), &metav1.GetRequest{})
	if e := apierror.FromStatus(err); err == nil || e.Reason != apierror.ReasonServiceUnavailable || !strings.Contains(e.Message, "the serving service does not answer") {
		t.Errorf("serving, which is away: %v", err)
	}
	watch, err := servingv1.NewServiceServiceClient(conn).Watch(t.Context(), &metav1.WatchRequest{})
	if err == nil {
		_, err = watch.Recv()
	}
	if err == nil {
		t.Error("a watch of serving, which is away, goes on")
	}
	if _, err := healthv1.NewHealthClient(conn).Check(t.Context(), &healthv1.HealthCheckRequest{}); err == nil || apierror.FromStatus(err).Reason != apierror.ReasonNotFound {
		t.Errorf("a service that nobody owns: %v", err)
	}
}
