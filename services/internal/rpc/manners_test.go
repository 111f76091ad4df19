// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionv1alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"

	buildv1 "fairlead.dev/gen/go/fairlead/build/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/internal/apierror"
)

// listen has a fixture's server answer at an address.
func listen(t *testing.T, f *fixture) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- f.server.Serve(l) }()
	t.Cleanup(func() {
		f.server.Stop()
		<-served
	})
	return l.Addr().String()
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

// TestReflectionAndHealth are there for everybody, reflection in both of its versions.
func TestReflectionAndHealth(t *testing.T) {
	conn := dial(t, listen(t, start(t, nil)))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	res, err := healthv1.NewHealthClient(conn).Check(ctx, &healthv1.HealthCheckRequest{})
	if err != nil || res.GetStatus() != healthv1.HealthCheckResponse_SERVING {
		t.Errorf("health: %v %v", res, err)
	}
	listed := map[string][]string{}
	newer, err := reflectionv1.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := newer.Send(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}}); err != nil {
		t.Fatal(err)
	}
	if answer, err := newer.Recv(); err != nil {
		t.Error(err)
	} else {
		for _, s := range answer.GetListServicesResponse().GetService() {
			listed["v1"] = append(listed["v1"], s.GetName())
		}
	}
	older, err := reflectionv1alpha.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := older.Send(&reflectionv1alpha.ServerReflectionRequest{MessageRequest: &reflectionv1alpha.ServerReflectionRequest_ListServices{}}); err != nil { //nolint:staticcheck // older clients speak it
		t.Fatal(err)
	}
	if answer, err := older.Recv(); err != nil {
		t.Error(err)
	} else {
		for _, s := range answer.GetListServicesResponse().GetService() { //nolint:staticcheck // older clients speak it
			listed["v1alpha"] = append(listed["v1alpha"], s.GetName()) //nolint:staticcheck // older clients speak it
		}
	}
	for version, names := range listed {
		if !slices.Contains(names, buildv1.BuildService_ServiceDesc.ServiceName) {
			t.Errorf("%s lists %v", version, names)
		}
	}
	if len(listed) != 2 {
		t.Errorf("only %v list anything", listed)
	}
}

// TestDetailsReachCallers has an error's details cross a connection.
func TestDetailsReachCallers(t *testing.T) {
	f := start(t, nil)
	services := apierror.Resource{Group: "build.knative.dev", Plural: "builds", Kind: "Build"}
	f.builds.get = func(context.Context) (*buildv1.Build, error) { return nil, apierror.Modified(services, "b") }
	_, err := buildv1.NewBuildServiceClient(dial(t, listen(t, f))).Get(as("alice"), &metav1.GetRequest{Namespace: "a", Name: "b"})
	var got []any
	for _, d := range status.Convert(err).Details() {
		switch d.(type) {
		case *errdetails.ResourceInfo, *errdetails.PreconditionFailure:
			got = append(got, d)
		}
	}
	want := []any{
		&errdetails.ResourceInfo{ResourceType: "builds.build.knative.dev", ResourceName: "b"},
		&errdetails.PreconditionFailure{Violations: []*errdetails.PreconditionFailure_Violation{
			{Type: "Conflict", Subject: "builds.build.knative.dev/b", Description: "it is not in the state that the request is for; the message tells more"},
		}},
	}
	if d := cmp.Diff(want, got, protocmp.Transform()); d != "" {
		t.Errorf("details (-want +got):\n%s", d)
	}
	if e := apierror.FromStatus(err); !apierror.IsConflict(e) || e.Resource != services || len(e.Causes) != 0 {
		t.Errorf("read back: %+v", e)
	}
}

// TestTooManyPings has a client ask over and over whether the server is still there.
func TestTooManyPings(t *testing.T) {
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", listen(t, start(t, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte(http2.ClientPreface)); err != nil {
		t.Fatal(err)
	}
	framer := http2.NewFramer(conn, conn)
	if err := framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	for i := range 8 {
		if err := framer.WritePing(false, [8]byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
	}
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			t.Fatalf("no GOAWAY came: %v", err)
		}
		if away, ok := frame.(*http2.GoAwayFrame); ok {
			if away.ErrCode != http2.ErrCodeEnhanceYourCalm || string(away.DebugData()) != "too_many_pings" {
				t.Errorf("got %s %q", away.ErrCode, away.DebugData())
			}
			return
		}
	}
}
