// Copyright The Fairlead Authors.
// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	authv1 "fairlead.dev/gen/go/fairlead/auth/v1"
	buildv1 "fairlead.dev/gen/go/fairlead/build/v1"
	metav1 "fairlead.dev/gen/go/fairlead/meta/v1"
	"fairlead.dev/services/internal/apierror"
	"fairlead.dev/services/internal/fairness"
)

// watches is a service of a kind whose watches last as long as their callers want.
type watches struct {
	buildv1.UnimplementedBuildServiceServer

	began chan struct{}
}

func (w *watches) Watch(_ *metav1.WatchRequest, s buildv1.BuildService_WatchServer) error {
	select {
	case w.began <- struct{}{}:
		<-s.Context().Done()
	case <-s.Context().Done():
	}
	return s.Context().Err() //nolint:wrapcheck // the end of the test
}

func limited(t *testing.T, cfg fairness.Config) *fixture {
	t.Helper()
	limits, err := fairness.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return start(t, func(c *Config) { c.Limits = limits })
}

func tooMany(t *testing.T, err error) {
	t.Helper()
	if e := apierror.FromStatus(err); err == nil || e.Reason != apierror.ReasonTooManyRequests || e.RetryAfter <= 0 {
		t.Errorf("got %v, want TooManyRequests that says when to come again", err)
	}
}

// TestLimitsOfCalls has a user with a request going on: a second one is refused, those of others are not, and neither are
// calls that everybody may make.
func TestLimitsOfCalls(t *testing.T) {
	f := limited(t, fairness.Config{PerUser: 1})
	began, end := make(chan struct{}), make(chan struct{})
	f.builds.get = func(context.Context) (*buildv1.Build, error) {
		close(began)
		<-end
		return &buildv1.Build{}, nil
	}
	client := buildv1.NewBuildServiceClient(f.conn)
	first := make(chan error, 1)
	go func() {
		_, err := client.Get(as("alice"), &metav1.GetRequest{Name: "a"})
		first <- err
	}()
	select {
	case <-began:
	case err := <-first:
		t.Fatalf("the first one ends: %v", err)
	}
	_, err := client.Get(as("alice"), &metav1.GetRequest{Name: "a"})
	tooMany(t, err)
	if _, err := client.Get(as("bob"), &metav1.GetRequest{Name: "a"}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("another user, who has no right: %v", err)
	}
	if _, err := authv1.NewTokenServiceClient(f.conn).WhoAmI(as("alice"), &authv1.WhoAmIRequest{}); status.Code(err) != codes.Unimplemented {
		t.Errorf("a call that everybody may make: %v", err)
	}
	close(end)
	if err := <-first; err != nil {
		t.Error(err)
	}
}

// TestLimitsOfStreams has a user open one watch more than he may.
func TestLimitsOfStreams(t *testing.T) {
	limits, err := fairness.New(fairness.Config{StreamsPerUser: 1})
	if err != nil {
		t.Fatal(err)
	}
	server, err := NewServer(Config{Authn: users{}, Authz: &recorder{}, Limits: limits})
	if err != nil {
		t.Fatal(err)
	}
	w := &watches{began: make(chan struct{})}
	buildv1.RegisterBuildServiceServer(server, w)
	memory := NewInMemory(server)
	conn, err := memory.Dial(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
		if err := memory.Close(); err != nil {
			t.Error(err)
		}
	})
	client := buildv1.NewBuildServiceClient(conn)
	open := func() (cancel context.CancelFunc, recv func() error) {
		ctx, cancel := context.WithTimeout(as("alice"), 30*time.Second)
		t.Cleanup(cancel)
		stream, err := client.Watch(ctx, &metav1.WatchRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return cancel, func() error { _, err := stream.Recv(); return err }
	}
	cancel, recv := open()
	select {
	case <-w.began:
	case <-time.After(30 * time.Second):
		t.Fatal("the first watch does not begin")
	}
	_, second := open()
	tooMany(t, second())
	cancel()
	if status.Code(recv()) != codes.Canceled {
		t.Error("the first watch goes on")
	}
	for { // its end reaches the server by and by
		_, recv := open()
		ended := make(chan error, 1)
		go func() { ended <- recv() }()
		select {
		case <-w.began:
			return
		case err := <-ended:
			tooMany(t, err)
		}
	}
}
